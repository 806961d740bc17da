// `keymeld bench scale`: how the cost of a signing grows with the signers of a key, and what a large database changes.
#include <algorithm>
#include <future>
#include <set>

#include <boost/asio/this_coro.hpp>

#include "appliance/bench/bench.h"
#include "appliance/bench/bench_fleet.h"
#include "appliance/bench/measure.h"
#include "appliance/bench/plain_ceremony.h"
#include "appliance/bench/sign_load.h"
#include "appliance/load_parts.h"
#include "core/config/config.h"
#include "core/plugin/storage.h"
#include "core/secure/random.h"

namespace keymeld::bench {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kWarmUp = 30;
constexpr std::size_t kCopiesAtOnce = 500;
constexpr std::uint64_t kBlock = 4; ///< sessions on one side before the other has its turn

struct Point {
    unsigned signers = 0;
    std::uint64_t sessions = 0;
    double appliance_us = 0;
    double enclaves_us = 0;
    PlainCost plain;
    double keygen_ms = 0; ///< one keygen of that many participants, who join one after the other
    double ratio() const { return (appliance_us + enclaves_us) / plain.ceremony_us; }
};

Async<Result<Point>> measure_growth(BenchFleet& bench, client::RestClient& rest, unsigned signers, std::uint64_t work,
                                    cli::Progress& progress) {
    Point out;
    out.signers = signers;
    out.sessions = std::max<std::uint64_t>(10, work / signers);
    progress.begin("n = " + std::to_string(signers));
    const auto began = steady_clock::now();
    std::vector<BenchKey> keys;
    auto key = co_await make_key(rest, bench.trust, signers, 0, 1'000'000);
    if (!key)
        co_return std::move(key).error();
    keys.push_back(std::move(*key));
    out.keygen_ms = millis(steady_clock::now() - began);
    auto warm = co_await run_load(rest, keys, std::min(kWarmUp, out.sessions), 16, 1, progress);
    if (!warm)
        co_return std::move(warm).error();
    const Cpu before = Cpu::now(bench.fleet.get());
    auto load = co_await run_load(rest, keys, out.sessions, 16, 16, progress);
    const Cpu cpu = Cpu::now(bench.fleet.get()) - before;
    if (!load)
        co_return std::move(load).error();
    out.appliance_us = micros(cpu.appliance) / static_cast<double>(out.sessions);
    out.enclaves_us = micros(cpu.enclaves) / static_cast<double>(out.sessions);
    auto plain = measure_plain_ceremony(signers, signers > 100 ? 5 : 100, 3);
    if (!plain)
        co_return std::move(plain).error();
    out.plain = *plain;
    progress.done(decimal(out.ratio(), 2) + " times plain libsecp256k1");
    co_return out;
}

/// Copies of a completed keygen under ids of their own, through the storage plugin of the fleet's configuration; the appliance must not
/// run.
Status fill_database(const config::Config& config, const KeygenId& model, std::uint64_t copies, cli::Progress& progress) {
    KEYMELD_TRY(const auto storage, appliance::load_storage(config));
    plugin::ReadBatch question;
    question.keygen = model;
    std::promise<Result<plugin::ReadAnswer>> answered;
    storage->read(std::move(question), [&](Result<plugin::ReadAnswer> answer) { answered.set_value(std::move(answer)); });
    KEYMELD_TRY(auto answer, answered.get_future().get());
    if (!answer.keygen)
        return fail(Errc::Internal, "the keygen to be copied is not in the database");
    const auto random_id = [](auto id) {
        id.bytes = secure::random_array<16>();
        return id;
    };
    for (std::uint64_t done = 0; done < copies;) {
        std::vector<plugin::Mutation> batch;
        for (std::size_t i = 0; i < kCopiesAtOnce && done < copies; ++i, ++done) {
            plugin::InsertKeygen copy{answer.keygen->record, answer.keygen->participants};
            copy.record.id = random_id(copy.record.id);
            batch.push_back(copy);
            std::set<std::uint32_t> enclaves;
            for (const plugin::ParticipantRecord& participant : copy.participants)
                if (enclaves.insert(participant.enclave_id).second)
                    batch.push_back(plugin::PutSealed{{copy.record.id, participant.enclave_id, 1, true, Bytes(600, 0x5a)}});
        }
        std::promise<Status> written;
        storage->write(std::move(batch), [&](Status status) { written.set_value(std::move(status)); });
        KEYMELD_CHECK(written.get_future().get());
        progress.part(done, copies);
    }
    return {};
}

/// Sessions one at a time, over and over on one fleet and then on the other, so that whatever else the machine does hits both alike.
struct Alone {
    std::vector<Nanos> latencies;
    Cpu cpu;
    double appliance_us() const { return micros(cpu.appliance) / static_cast<double>(latencies.size()); }
    double quantile_ms(double share) const {
        std::vector<Nanos> sorted = latencies;
        std::sort(sorted.begin(), sorted.end());
        return percentile_ms(sorted, share);
    }
};

struct Stored {
    std::uint64_t keygens = 0;
    Nanos ready{0};
    Memory memory;
    Alone empty;
    Alone full;
    /// Of the latencies that `share` of the sessions did not exceed. On a busy machine the tenth is a better witness than the half: what it
    /// measured was not interrupted.
    double ratio(double share) const { return full.quantile_ms(share) / empty.quantile_ms(share); }
};

/// A fleet with one key, and what to reach it by.
struct Side {
    BenchFleet& bench;
    client::RestClient& rest;
    std::vector<BenchKey> keys;
};

Async<Status> measure_block(Side& side, std::uint64_t sessions, Alone* into, cli::Progress& progress) {
    const Cpu before = Cpu::now(side.bench.fleet.get());
    auto load = co_await run_load(side.rest, side.keys, sessions, 1, 1, progress);
    const Cpu spent = Cpu::now(side.bench.fleet.get()) - before;
    if (!load)
        co_return side.bench.explained(std::move(load).error());
    if (into != nullptr) {
        into->latencies.insert(into->latencies.end(), load->latencies.begin(), load->latencies.end());
        into->cpu.appliance += spent.appliance;
        into->cpu.enclaves += spent.enclaves;
    }
    co_return Status();
}

Async<Status> fill_side(Side& full, Stored& out, cli::Progress& progress) {
    progress.begin("database");
    fleet::SimFleet& fleet = *full.bench.fleet;
    if (!fleet.stop_appliance())
        co_return fail(Errc::Io, "the appliance did not stop cleanly");
    auto config = config::load_file(fleet.config_file());
    if (!config)
        co_return std::move(config).error();
    Status filled = fill_database(*config, full.keys.front().invitation.keygen_id, out.keygens, progress);
    if (!filled)
        co_return std::move(filled).error();
    progress.done(std::to_string(out.keygens) + " completed keygens");
    progress.begin("start");
    const auto began = steady_clock::now();
    Status started = co_await fleet.start_appliance();
    if (!started)
        co_return std::move(started).error();
    Status ready = co_await fleet.wait_ready(began + std::chrono::seconds(120));
    if (!ready)
        co_return std::move(ready).error();
    out.ready = steady_clock::now() - began;
    full.rest.pool().drop_idle();
    progress.done();
    co_return Status();
}

/// `bench` gets the large database, a second fleet beside it keeps an empty one.
Async<Result<Stored>> measure_database(BenchFleet& bench, client::RestClient& rest, const ScaleOptions& options, cli::Progress& progress) {
    const auto executor = co_await asio::this_coro::executor;
    Stored out;
    out.keygens = options.stored;
    auto second = co_await BenchFleet::start(options.enclaves, fleet::SimFleet::lifted_limits(), progress);
    if (!second)
        co_return std::move(second).error();
    client::RestClient second_rest(executor, second->fleet->endpoint());
    Side full{bench, rest, {}};
    Side empty{*second, second_rest, {}};
    for (Side* side : {&full, &empty}) {
        auto key = co_await make_key(side->rest, side->bench.trust, 3, 0, 1'000'000);
        if (!key)
            co_return side->bench.explained(std::move(key).error());
        side->keys.push_back(std::move(*key));
    }
    Status filled = co_await fill_side(full, out, progress);
    if (!filled)
        co_return bench.explained(std::move(filled).error());

    progress.begin("latency");
    for (Side* side : {&full, &empty}) {
        Status warm = co_await measure_block(*side, std::min(kWarmUp, options.alone), nullptr, progress);
        if (!warm)
            co_return std::move(warm).error();
    }
    for (std::uint64_t round = 0; round * kBlock < options.alone; ++round) {
        const bool full_first = round % 2 == 0;
        for (const bool first : {true, false}) {
            const bool on_full = first == full_first;
            Status measured = co_await measure_block(on_full ? full : empty, kBlock, on_full ? &out.full : &out.empty, progress);
            if (!measured)
                co_return std::move(measured).error();
        }
    }
    out.memory = Memory::now(*bench.fleet);
    progress.done(decimal(out.ratio(0.5), 2) + " times that of an empty database");
    Status stopped = second->fleet->shut_down();
    if (!stopped)
        co_return std::move(stopped).error();
    co_return out;
}

std::string report(const ScaleOptions& options, const std::vector<Point>& points, const std::optional<Stored>& stored) {
    if (options.json) {
        json::Writer out;
        out.begin_object().member("enclaves", options.enclaves).key("growth").begin_array();
        for (const Point& point : points) {
            out.begin_object().member("signers", point.signers).member("sessions", point.sessions);
            number(out, "appliance_us", point.appliance_us, 1);
            number(out, "enclaves_us", point.enclaves_us, 1);
            number(out, "plain_us", point.plain.ceremony_us, 1);
            number(out, "plain_shared_us", point.plain.shared_us, 1);
            number(out, "plain_uncached_us", point.plain.uncached_us, 1);
            number(out, "ratio", point.ratio(), 2);
            number(out, "keygen_ms", point.keygen_ms, 1);
            out.end_object();
        }
        out.end_array();
        if (stored) {
            out.key("database").begin_object().member("completed_keygens", stored->keygens);
            number(out, "ready_ms", millis(stored->ready), 1);
            number(out, "appliance_resident_mib", stored->memory.appliance, 1);
            write_latency(out, "latency_alone_empty_ms", stored->empty.latencies);
            write_latency(out, "latency_alone_full_ms", stored->full.latencies);
            out.key("latency_ratio").begin_object();
            number(out, "p10", stored->ratio(0.10), 3);
            number(out, "p50", stored->ratio(0.50), 3);
            number(out, "p90", stored->ratio(0.90), 3);
            out.end_object();
            number(out, "appliance_alone_empty_us", stored->empty.appliance_us(), 1);
            number(out, "appliance_alone_full_us", stored->full.appliance_us(), 1);
            out.end_object();
        }
        return out.end_object().take();
    }
    std::string text = "CPU time of a signing session, us:\n  signers  appliance   enclaves      plain  ratio   one keygen\n";
    for (const Point& point : points) {
        char line[160];
        std::snprintf(line, sizeof line, "  %7u %10.0f %10.0f %10.0f %6.2f %9.0f ms\n", point.signers, point.appliance_us,
                      point.enclaves_us, point.plain.ceremony_us, point.ratio(), point.keygen_ms);
        text += line;
    }
    if (stored)
        text += std::to_string(stored->keygens) + " completed keygens in the database:\n  start to ready   " +
                decimal(millis(stored->ready), 0) + " ms\n  memory           " + decimal(stored->memory.appliance, 0) +
                " MiB\n  latency alone    " + latency_text(stored->full.latencies) + "; appliance " +
                decimal(stored->full.appliance_us(), 0) + " us\n  empty database   " + latency_text(stored->empty.latencies) +
                "; appliance " + decimal(stored->empty.appliance_us(), 0) + " us\n  ratio            p10 " +
                decimal(stored->ratio(0.10), 2) + ", p50 " + decimal(stored->ratio(0.50), 2) + ", p90 " + decimal(stored->ratio(0.90), 2);
    return text;
}

} // namespace

asio::awaitable<Result<std::string>> bench_scale(ScaleOptions options) {
    const auto executor = co_await asio::this_coro::executor;
    cli::Progress progress(executor, options.quiet ? cli::Progress::Style::Silent : cli::Progress::Style::Shown);
    auto started = co_await BenchFleet::start(options.enclaves, fleet::SimFleet::lifted_limits(), progress);
    if (!started)
        co_return std::move(started).error();
    BenchFleet& bench = *started;
    client::RestClient rest(executor, bench.fleet->endpoint());
    std::vector<Point> points;
    for (const unsigned signers : options.signers) {
        auto point = co_await measure_growth(bench, rest, signers, options.work, progress);
        if (!point)
            co_return bench.explained(std::move(point).error());
        points.push_back(*point);
    }
    std::optional<Stored> stored;
    if (options.stored > 0) {
        auto measured = co_await measure_database(bench, rest, options, progress);
        if (!measured)
            co_return bench.explained(std::move(measured).error());
        stored = std::move(*measured);
    }
    Status stopped = bench.fleet->shut_down();
    if (!stopped)
        co_return std::move(stopped).error();
    co_return report(options, points, stored);
}

} // namespace keymeld::bench
