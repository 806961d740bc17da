// `keymeld bench overload`: first the peak in a closed loop, then several times as many sessions are offered as were completed, whoever
// waits. What was accepted must be signed, the rest must be told when to come back.
#include <algorithm>

#include <sys/resource.h>

#include <boost/asio/this_coro.hpp>

#include "appliance/bench/bench.h"
#include "appliance/bench/bench_fleet.h"
#include "appliance/bench/flood.h"
#include "appliance/bench/measure.h"

namespace keymeld::bench {

namespace asio = boost::asio;

namespace {

constexpr unsigned kClients = 8;
constexpr std::size_t kConnections = 1000; ///< of each client, if the process may open as many
constexpr std::uint64_t kWarmUp = 300;

/// Of each client, after asking for as many files as may be had.
std::size_t connections() {
    constexpr std::size_t kKept = 128;
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0)
        return kKept / kClients;
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::getrlimit(RLIMIT_NOFILE, &files);
    return std::clamp<std::size_t>(files.rlim_cur, 2 * kKept, kConnections * kClients + kKept) / kClients - kKept / kClients;
}

struct Tally {
    std::uint64_t offered = 0, not_sent = 0, refused_503 = 0, refused_429 = 0, refused_otherwise = 0, completed = 0, lost = 0;
    std::vector<Nanos> latencies; ///< of those completed

    explicit Tally(const std::vector<Offer>& offers) {
        for (const Offer& offer : offers) {
            offered += offer.sent;
            switch (offer.end) {
            case Offer::End::NotSent:
                ++not_sent;
                break;
            case Offer::End::Refused503:
                ++refused_503;
                break;
            case Offer::End::Refused429:
                ++refused_429;
                break;
            case Offer::End::RefusedOtherwise:
                ++refused_otherwise;
                break;
            case Offer::End::Lost:
                ++lost;
                break;
            case Offer::End::Completed:
                ++completed;
                latencies.push_back(offer.latency);
                break;
            }
        }
    }
};

struct Closed {
    double rate = 0; ///< sessions a second
    unsigned concurrency = 0;
    Cpu cpu; ///< of all
    std::uint64_t sessions = 0;
    Nanos elapsed{0};
    double us(Nanos time) const { return micros(time) / static_cast<double>(sessions); }
};

/// How many cores the fleet and this process had.
double cores(const Cpu& cpu, Nanos elapsed) {
    return millis(cpu.server() + cpu.client) / millis(elapsed);
}

/// A closed loop of the same cheap requests, `concurrency` at a time.
Async<Result<Closed>> closed_rate(fleet::SimFleet& fleet, Flood& flood, std::uint64_t sessions, unsigned concurrency) {
    auto offers = flood.make(sessions);
    if (!offers)
        co_return std::move(offers).error();
    const Status prepared = flood.prepare_headers(sessions);
    if (!prepared)
        co_return prepared.error();
    const Cpu before = Cpu::now(&fleet);
    const auto done = co_await flood.closed(*offers, concurrency);
    const Cpu spent = Cpu::now(&fleet) - before;
    if (!done)
        co_return done.error();
    const auto verified = flood.verify(*offers);
    if (!verified)
        co_return verified.error();
    if (*verified != sessions)
        co_return fail(Errc::WrongState,
                       std::to_string(sessions - *verified) + " sessions of the closed loop were not signed; " + done->trouble);
    co_return Closed{static_cast<double>(sessions) / (millis(done->elapsed) / 1e3), concurrency, spent, sessions, done->elapsed};
}

} // namespace

asio::awaitable<Result<std::string>> bench_overload(OverloadOptions options) {
    const auto executor = co_await asio::this_coro::executor;
    cli::Progress progress(executor, options.quiet ? cli::Progress::Style::Silent : cli::Progress::Style::Shown);
    std::map<std::string, std::string> limits = fleet::SimFleet::lifted_limits();
    limits["max_inflight_requests"] = std::to_string(options.in_flight);
    auto started = co_await BenchFleet::start(options.enclaves, std::move(limits), progress);
    if (!started)
        co_return std::move(started).error();
    BenchFleet& bench = *started;
    client::RestClient rest(executor, bench.fleet->endpoint());
    progress.begin("keys");
    std::vector<BenchKey> keys;
    for (unsigned i = 0; i < 8; ++i) {
        auto key = co_await make_key(rest, bench.trust, 3, 0, 10'000'000);
        if (!key)
            co_return bench.explained(std::move(key).error());
        keys.push_back(std::move(*key));
    }
    progress.done();

    progress.begin("peak");
    Flood flood(bench.fleet->endpoint(), keys, kClients, connections());
    Closed best;
    const unsigned most = std::max(options.in_flight / 8, 1u);
    auto warm = co_await closed_rate(*bench.fleet, flood, kWarmUp, std::min(16u, most));
    if (!warm)
        co_return bench.explained(std::move(warm).error());
    // Half of what an overloaded appliance works on at a time, and fewer.
    for (const unsigned concurrency : {std::min(64u, most), most}) {
        const auto closed = co_await closed_rate(*bench.fleet, flood, options.sessions, concurrency);
        if (!closed)
            co_return bench.explained(closed.error());
        if (closed->rate > best.rate)
            best = *closed;
    }
    const double peak = best.rate;
    progress.done(decimal(peak, 0) + " sessions/s, " + std::to_string(best.concurrency) + " at a time");

    progress.begin("requests");
    auto offers = flood.make(static_cast<std::uint64_t>(peak * options.factor * options.seconds) + 1);
    if (!offers)
        co_return std::move(offers).error();
    const Status prepared = flood.prepare_headers(static_cast<std::uint64_t>(1.2 * peak * options.seconds));
    if (!prepared)
        co_return prepared.error();
    progress.done(std::to_string(offers->size()) + " made");
    progress.begin("overload");
    const Cpu before = Cpu::now(bench.fleet.get());
    const auto began = std::chrono::steady_clock::now();
    const auto done = co_await flood.open(*offers, peak * options.factor, progress);
    const Cpu spent = Cpu::now(bench.fleet.get()) - before;
    const Nanos whole = std::chrono::steady_clock::now() - began;
    if (!done)
        co_return bench.explained(done.error());
    progress.done();
    const auto verified = flood.verify(*offers);
    if (!verified)
        co_return verified.error();
    Status stopped = bench.fleet->shut_down();
    if (!stopped)
        co_return std::move(stopped).error();

    const Tally tally(*offers);
    const double seconds = millis(done->elapsed) / 1e3;
    const double rate = static_cast<double>(done->completed_in_time) / seconds;
    const double offered_rate = static_cast<double>(tally.offered) / seconds;
    const double refusals = static_cast<double>(std::max<std::uint64_t>(tally.refused_503 + tally.refused_429, 1));
    const auto completed = static_cast<double>(tally.completed);
    const double refusal_appliance = (micros(spent.appliance) - completed * best.us(best.cpu.appliance)) / refusals;
    const double refusal_generator = (micros(spent.client) - completed * best.us(best.cpu.client)) / refusals;
    if (options.json) {
        json::Writer out;
        out.begin_object().member("enclaves", options.enclaves).member("max_inflight_requests", options.in_flight);
        number(out, "peak_per_second", peak, 1);
        out.member("peak_concurrency", best.concurrency);
        number(out, "peak_cores", cores(best.cpu, best.elapsed), 2);
        number(out, "overload_cores", cores(spent, whole), 2);
        number(out, "session_cpu_us", best.us(best.cpu.server() + best.cpu.client), 1);
        number(out, "refusal_appliance_cpu_us", refusal_appliance, 1);
        number(out, "refusal_generator_cpu_us", refusal_generator, 1);
        number(out, "offered_per_second", offered_rate, 1);
        number(out, "factor", offered_rate / peak, 2);
        number(out, "completed_per_second", rate, 1);
        number(out, "share_of_peak", rate / peak, 3);
        out.member("offered", tally.offered).member("not_sent", tally.not_sent);
        out.member("accepted", tally.completed + tally.lost).member("completed", tally.completed).member("signatures_verified", *verified);
        out.member("refused_503_with_retry_after", tally.refused_503).member("refused_429_with_retry_after", tally.refused_429);
        out.member("refused_otherwise", tally.refused_otherwise).member("lost", tally.lost);
        write_latency(out, "latency_accepted_ms", tally.latencies);
        out.member("first_error", done->trouble);
        co_return out.end_object().take();
    }
    co_return "peak " + decimal(peak, 0) + " sessions/s with " + std::to_string(best.concurrency) + " at a time; offered " +
        decimal(offered_rate, 0) + "/s for " + decimal(seconds, 1) + " s (" + decimal(offered_rate / peak, 2) + " times the peak; " +
        std::to_string(tally.not_sent) + " more had no connection)\n  completed  " + decimal(rate, 0) + " sessions/s (" +
        decimal(rate / peak, 2) + " of the peak)\n  refused    " + std::to_string(tally.refused_503) + " by 503 and " +
        std::to_string(tally.refused_429) + " by 429 with Retry-After, " + std::to_string(tally.refused_otherwise) +
        " otherwise\n  accepted   " + std::to_string(tally.completed + tally.lost) + ", of them lost " + std::to_string(tally.lost) + "; " +
        std::to_string(*verified) + " signatures verified\n  latency    " + latency_text(tally.latencies) +
        " (of those accepted)\n  CPU        " + decimal(best.us(best.cpu.server() + best.cpu.client), 0) +
        " us a session at the peak with the generator's " + decimal(best.us(best.cpu.client), 0) + "; a refusal: appliance " +
        decimal(refusal_appliance, 0) + " us, generator " + decimal(refusal_generator, 0) + " us; cores had " +
        decimal(cores(best.cpu, best.elapsed), 2) + " at the peak, " + decimal(cores(spent, whole), 2) + " in the overload" +
        (done->trouble.empty() ? "" : "\n  first error: " + done->trouble);
}

} // namespace keymeld::bench
