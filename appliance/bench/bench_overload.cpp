// `keymeld bench overload`: first the peak in a closed loop, then several times as many sessions are offered as were completed, whoever
// waits. What was accepted must be signed, the rest must be told when to come back.
#include <cstdlib>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/bench/bench.h"
#include "appliance/bench/bench_fleet.h"
#include "appliance/bench/measure.h"
#include "appliance/bench/sign_load.h"
#include "core/secure/random.h"

namespace keymeld::bench {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

struct Flood {
    Flood(client::RestClient& impatient, client::RestClient& persistent, const std::vector<BenchKey>& with)
        : create(impatient), wait(persistent), keys(with) {}

    client::RestClient& create; ///< takes no for an answer
    client::RestClient& wait;   ///< asks again
    const std::vector<BenchKey>& keys;
    std::uint64_t offered = 0, refused = 0, unexplained = 0, accepted = 0, completed = 0, failed = 0;
    std::uint64_t under_way = 0;
    std::vector<Nanos> latencies; ///< of those that were accepted
    std::optional<Error> first_error;
};

void note(Flood& flood, Error error) {
    if (!flood.first_error)
        flood.first_error = std::move(error);
}

Async<void> one_offer(std::shared_ptr<Flood> flood, const BenchKey& key) {
    const auto begin = steady_clock::now();
    const client::Participant& coordinator = key.people.front();
    const ByteArray<32> message = secure::random_array<32>();
    client::Ceremony ceremony(flood->create);
    auto id = co_await ceremony.create_signing(key.invitation, coordinator.user_id, message, 300);
    if (!id) {
        const Error& error = id.error();
        const bool busy = (error.code == Errc::Overloaded || error.code == Errc::RateLimited) && error.facts.contains("retry_after");
        ++(busy ? flood->refused : flood->unexplained);
        if (!busy)
            note(*flood, error);
        --flood->under_way;
        co_return;
    }
    ++flood->accepted;
    client::Ceremony waiting(flood->wait);
    auto signature = co_await waiting.signature(key.invitation, coordinator, *id, message, key.key, begin + std::chrono::seconds(240));
    if (signature) {
        ++flood->completed;
        flood->latencies.push_back(steady_clock::now() - begin);
    } else {
        ++flood->failed;
        note(*flood, std::move(signature).error());
    }
    --flood->under_way;
}

/// How many signings the appliance says it has completed since its start.
Async<Result<double>> completed_by(client::RestClient& rest) {
    static constexpr std::string_view kName =
        "\nkeymeld_session_processing_duration_seconds_count{operation=\"total\",session_type=\"signing\"} ";
    auto text = co_await rest.get_text("/metrics");
    if (!text)
        co_return std::move(text).error();
    const std::size_t at = text->find(kName);
    if (at == std::string::npos)
        co_return fail(Errc::Internal, "the appliance counts no signings");
    co_return std::strtod(text->c_str() + at + kName.size(), nullptr);
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
    client::RestClient::Options no_repeats;
    no_repeats.repeats = 0;
    client::RestClient::Options many_repeats;
    many_repeats.repeats = 240;
    client::RestClient impatient(executor, bench.fleet->endpoint(), no_repeats);
    client::RestClient persistent(executor, bench.fleet->endpoint(), many_repeats);

    progress.begin("keys");
    std::vector<BenchKey> keys;
    for (unsigned i = 0; i < 8; ++i) {
        auto key = co_await make_key(persistent, bench.trust, 3, 0, 10'000'000);
        if (!key)
            co_return bench.explained(std::move(key).error());
        keys.push_back(std::move(*key));
    }
    progress.done();
    progress.begin("peak");
    auto warm = co_await run_load(persistent, keys, 300, 64, 1, progress);
    if (!warm)
        co_return bench.explained(std::move(warm).error());
    auto closed = co_await run_load(persistent, keys, options.sessions, 64, 1, progress);
    if (!closed)
        co_return bench.explained(std::move(closed).error());
    const double peak = static_cast<double>(closed->latencies.size()) / (millis(closed->elapsed) / 1e3);
    progress.done(decimal(peak, 0) + " sessions/s");

    progress.begin("overload");
    const auto flood = std::make_shared<Flood>(impatient, persistent, keys);
    const double offered_rate = peak * options.factor;
    auto before = co_await completed_by(persistent);
    if (!before)
        co_return bench.explained(std::move(before).error());
    const auto began = steady_clock::now();
    // One client may have half of the appliance's requests under way; and more would measure the generator, which is one thread.
    const std::uint64_t most = std::max(options.in_flight / 2, 2u) - 1;
    const auto until = began + std::chrono::seconds(options.seconds);
    asio::steady_timer timer(executor);
    for (auto now = began; now < until; now = steady_clock::now()) {
        const auto due = static_cast<std::uint64_t>(millis(now - began) / 1e3 * offered_rate);
        for (; flood->offered < due && flood->under_way < most; ++flood->offered) {
            ++flood->under_way;
            asio::co_spawn(executor, one_offer(flood, keys[flood->offered % keys.size()]), [flood](std::exception_ptr error) {
                if (error)
                    std::rethrow_exception(error);
            });
        }
        progress.part(static_cast<std::uint64_t>(millis(now - began)), std::uint64_t{options.seconds} * 1000);
        timer.expires_after(std::chrono::milliseconds(2));
        boost::system::error_code ignored;
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    auto after = co_await completed_by(persistent);
    if (!after)
        co_return bench.explained(std::move(after).error());
    const double seconds = millis(steady_clock::now() - began) / 1e3;
    progress.done(std::to_string(flood->offered) + " offered");
    progress.begin("what was accepted");
    const auto patience = steady_clock::now() + std::chrono::seconds(240);
    while (flood->under_way > 0 && steady_clock::now() < patience) {
        timer.expires_after(std::chrono::milliseconds(50));
        boost::system::error_code ignored;
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    progress.done();
    if (flood->under_way > 0)
        co_return bench.explained(fail(Errc::DeadlineExceeded, std::to_string(flood->under_way) + " sessions have no end"));
    Status stopped = bench.fleet->shut_down();
    if (!stopped)
        co_return std::move(stopped).error();

    const double rate = (*after - *before) / seconds;
    const std::uint64_t lost = flood->accepted - flood->completed;
    const std::string trouble = flood->first_error ? flood->first_error->detail : "";
    if (options.json) {
        json::Writer out;
        out.begin_object().member("enclaves", options.enclaves).member("max_inflight_requests", options.in_flight);
        number(out, "peak_per_second", peak, 1);
        number(out, "offered_per_second", static_cast<double>(flood->offered) / seconds, 1);
        number(out, "completed_per_second", rate, 1);
        number(out, "share_of_peak", rate / peak, 3);
        out.member("offered", flood->offered).member("accepted", flood->accepted).member("completed", flood->completed);
        out.member("refused_with_retry_after", flood->refused).member("refused_otherwise", flood->unexplained).member("lost", lost);
        write_latency(out, "latency_accepted_ms", flood->latencies);
        out.member("first_error", trouble);
        co_return out.end_object().take();
    }
    co_return "peak " + decimal(peak, 0) + " sessions/s; offered " + decimal(static_cast<double>(flood->offered) / seconds, 0) +
        "/s for " + std::to_string(options.seconds) + " s\n  completed  " + decimal(rate, 0) + " sessions/s (" + decimal(rate / peak, 2) +
        " of the peak)\n  refused    " + std::to_string(flood->refused) + " with Retry-After, " + std::to_string(flood->unexplained) +
        " otherwise\n  accepted   " + std::to_string(flood->accepted) + ", of them lost " + std::to_string(lost) + "\n  latency    " +
        latency_text(flood->latencies) + " (of those accepted)" + (trouble.empty() ? "" : "\n  first error: " + trouble);
}

} // namespace keymeld::bench
