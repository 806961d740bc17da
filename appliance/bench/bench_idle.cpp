#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/bench/bench.h"
#include "appliance/bench/bench_key.h"
#include "appliance/bench/measure.h"
#include "appliance/bench/sign_load.h"
#include "appliance/cli/progress.h"
#include "appliance/fleet/sim_fleet.h"
#include "appliance/json/writer.h"
#include "core/secure/random.h"

namespace keymeld::bench {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kLatencySessions = 300;

/// CPU milliseconds of the whole fleet for each second of the clock.
struct IdleCost {
    double appliance = 0;
    double enclaves = 0;
};

Async<IdleCost> measure(fleet::SimFleet& fleet, unsigned seconds, cli::Progress& progress) {
    const auto total = [&] {
        IdleCost out;
        for (const auto& process : fleet.usage())
            (process.name == "appliance" ? out.appliance : out.enclaves) += static_cast<double>(process.cpu.count()) / 1e6;
        return out;
    };
    asio::steady_timer timer(co_await asio::this_coro::executor);
    const IdleCost before = total();
    const auto begin = steady_clock::now();
    for (unsigned second = 0; second < seconds; ++second) {
        timer.expires_at(begin + std::chrono::seconds(second + 1));
        co_await timer.async_wait(asio::use_awaitable);
        progress.part(second + 1, seconds);
    }
    const IdleCost after = total();
    co_return IdleCost{(after.appliance - before.appliance) / seconds, (after.enclaves - before.enclaves) / seconds};
}

} // namespace

asio::awaitable<Result<std::string>> bench_idle(IdleOptions options) {
    const auto executor = co_await asio::this_coro::executor;
    cli::Progress progress(executor, options.quiet ? cli::Progress::Style::Silent : cli::Progress::Style::Shown);
    progress.begin("start");
    fleet::SimFleet::Options wanted;
    wanted.enclaves = options.enclaves;
    wanted.limits = fleet::SimFleet::lifted_limits();
    auto started = co_await fleet::SimFleet::start(std::move(wanted));
    if (!started)
        co_return std::move(started).error();
    const std::unique_ptr<fleet::SimFleet> fleet = std::move(*started);
    const auto trust = client::Trust::load(fleet->trust_root().string(), fleet->pcrs());
    if (!trust)
        co_return trust.error();
    client::RestClient rest(executor, fleet->endpoint());
    auto key = co_await make_key(rest, *trust, 3, 1, static_cast<std::uint32_t>(std::min<std::uint64_t>(options.sessions, UINT32_MAX)));
    if (!key)
        co_return std::move(key).error();
    std::vector<BenchKey> free_keys; // nobody must approve
    auto free_key = co_await make_key(rest, *trust, 3, 0, 100'000);
    if (!free_key)
        co_return std::move(free_key).error();
    free_keys.push_back(std::move(*free_key));
    auto warm = co_await run_load(rest, free_keys, 50, 1, 1, progress);
    if (!warm)
        co_return std::move(warm).error();
    progress.done();

    progress.begin("without sessions");
    const auto alone = co_await run_load(rest, free_keys, kLatencySessions, 1, 1, progress);
    if (!alone)
        co_return alone.error();
    const IdleCost empty = co_await measure(*fleet, options.seconds, progress);
    progress.done();

    progress.begin("sessions");
    client::Ceremony ceremony(rest);
    SigningId last;
    ByteArray<32> message{};
    for (std::uint64_t i = 0; i < options.sessions; ++i) {
        progress.part(i, options.sessions);
        message = secure::random_array<32>();
        auto id = co_await ceremony.create_signing(key->invitation, key->people.front().user_id, message, 86400);
        if (!id)
            co_return std::move(id).error();
        last = *id;
    }
    progress.done(std::to_string(options.sessions) + " wait for an approval");

    progress.begin("with sessions");
    const IdleCost waiting = co_await measure(*fleet, options.seconds, progress);
    const auto beside = co_await run_load(rest, free_keys, kLatencySessions, 1, 1, progress);
    if (!beside)
        co_return beside.error();
    progress.done();
    // They did wait: an approval wakes the last one.
    Status approved = co_await ceremony.approve(key->invitation, key->people.back(), last, message, client::Approval::Header);
    if (!approved)
        co_return std::move(approved).error();
    auto signature = co_await ceremony.signature(key->invitation, key->people.front(), last, message, key->key,
                                                 steady_clock::now() + std::chrono::seconds(30));
    if (!signature)
        co_return std::move(signature).error();
    Status stopped = fleet->shut_down();
    if (!stopped)
        co_return std::move(stopped).error();

    if (options.json) {
        json::Writer out;
        const auto side = [&](std::string_view name, const IdleCost& cost) {
            out.key(name).begin_object();
            out.key("appliance").raw(decimal(cost.appliance, 3));
            out.key("enclaves").raw(decimal(cost.enclaves, 3));
            out.end_object();
        };
        out.begin_object().member("sessions", options.sessions).member("seconds", options.seconds).member("enclaves", options.enclaves);
        out.key("cpu_ms_per_second").begin_object();
        side("without_sessions", empty);
        side("with_sessions", waiting);
        out.end_object();
        write_latency(out, "latency_alone_ms", alone->latencies);
        write_latency(out, "latency_beside_waiting_ms", beside->latencies);
        co_return out.end_object().take();
    }
    const auto line = [](std::string_view title, const IdleCost& cost) {
        return std::string(title) + decimal(cost.appliance, 3) + " ms appliance, " + decimal(cost.enclaves, 3) + " ms enclaves\n";
    };
    co_return "CPU time in each second of " + std::to_string(options.seconds) + ":\n" + line("  no session                ", empty) +
        line("  " + std::to_string(options.sessions) + " waiting sessions   ", waiting) +
        "Latency of one more session that nobody must approve:\n  alone                     " + latency_text(alone->latencies) +
        "\n  beside those waiting      " + latency_text(beside->latencies);
}

} // namespace keymeld::bench
