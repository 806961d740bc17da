#include <algorithm>

#include <boost/asio/this_coro.hpp>

#include "appliance/bench/bench.h"
#include "appliance/bench/measure.h"
#include "appliance/bench/plain_ceremony.h"
#include "appliance/bench/sign_load.h"
#include "appliance/fleet/sim_fleet.h"
#include "appliance/json/writer.h"

namespace keymeld::bench {

namespace asio = boost::asio;

namespace {

struct Report {
    SignOptions options;
    LoadResult load; ///< latencies sorted
    Cpu cpu;
    Stages stages; ///< of the measured sessions; not with --url
    PlainCost plain;
    std::optional<LoadResult> paced;
    double paced_rate = 0;           ///< as it was to be offered

    double per_session(std::chrono::nanoseconds time) const { return micros(time) / static_cast<double>(load.latencies.size()); }
    double rate() const { return static_cast<double>(load.latencies.size()) / (millis(load.elapsed) / 1e3); }
    double stage_us(std::size_t i) const { return stages.seconds[i] * 1e6 / static_cast<double>(load.latencies.size()); }
    double server_us() const { return per_session(cpu.appliance) + per_session(cpu.enclaves); }

    double paced_done() const { return static_cast<double>(paced->latencies.size()) / (millis(paced->elapsed) / 1e3); }

    std::string text() const {
        std::string out = std::to_string(load.latencies.size()) + " sessions of " + std::to_string(options.participants) + " signers, " +
                          std::to_string(options.concurrency) + " at a time, " + std::to_string(options.keys) + " keys, in " +
                          decimal(millis(load.elapsed) / 1e3, 2) + " s; " + std::to_string(load.verified) + " signatures verified\n";
        out += "  rate       " + decimal(rate(), 0) + " sessions/s\n";
        out += "  latency    p50 " + decimal(percentile_ms(load.latencies, 0.50), 2) + " ms, p95 " +
               decimal(percentile_ms(load.latencies, 0.95), 2) + " ms, p99 " + decimal(percentile_ms(load.latencies, 0.99), 2) +
               " ms, most " + decimal(millis(load.latencies.back()), 2) + " ms (request to decrypted signature)\n";
        if (paced)
            out += "  paced      " + decimal(paced_rate, 0) + " sessions/s offered (" + decimal(paced_rate / rate(), 2) +
                   " of the rate above), " + decimal(paced_done(), 0) + " done: " + latency_text(paced->latencies) + "\n";
        if (!options.remote)
            out += "  CPU        " + decimal(server_us(), 0) + " us a session: appliance " + decimal(per_session(cpu.appliance), 0) + ", " +
                   std::to_string(options.enclaves) + " enclaves " + decimal(per_session(cpu.enclaves), 0) + " (the load generator took " +
                   decimal(per_session(cpu.client), 0) + " beside that)\n";
        if (!options.remote) {
            out += "  stages    ";
            for (std::size_t i = 0; i < stages.seconds.size(); ++i)
                out +=
                    " " + std::string(Stages::kNames[i]) + " " + decimal(stage_us(i), 0) + (i + 1 < stages.seconds.size() ? "," : " us\n");
        }
        out += "  plain      " + decimal(plain.ceremony_us, 0) + " us for the same ceremony in bare libsecp256k1 calls; " +
               decimal(plain.shared_us, 0) + " if its signers shared one session, " + decimal(plain.uncached_us, 0) +
               " with key aggregation each time";
        if (!options.remote)
            out += "\n  ratio      " + decimal(server_us() / plain.ceremony_us, 2) + " (shared session " +
                   decimal(server_us() / plain.shared_us, 2) + ", with key aggregation " + decimal(server_us() / plain.uncached_us, 2) + ")";
        return out;
    }

    std::string json() const {
        json::Writer out;
        out.begin_object()
            .member("participants", options.participants)
            .member("enclaves", options.enclaves)
            .member("sessions", load.latencies.size())
            .member("concurrency", options.concurrency)
            .member("keys", options.keys)
            .member("signatures_verified", load.verified);
        number(out, "seconds", millis(load.elapsed) / 1e3, 3);
        number(out, "sessions_per_second", rate(), 1);
        out.key("latency_ms").begin_object();
        number(out, "p50", percentile_ms(load.latencies, 0.50), 3);
        number(out, "p95", percentile_ms(load.latencies, 0.95), 3);
        number(out, "p99", percentile_ms(load.latencies, 0.99), 3);
        number(out, "max", millis(load.latencies.back()), 3);
        out.end_object();
        if (paced) {
            out.key("paced").begin_object().member("sessions", paced->latencies.size()).member("signatures_verified", paced->verified);
            number(out, "offered_per_second", paced_rate, 1);
            number(out, "share_of_saturated", paced_rate / rate(), 3);
            number(out, "sessions_per_second", paced_done(), 1);
            write_latency(out, "latency_ms", paced->latencies);
            out.end_object();
        }
        out.key("cpu_us_per_session").begin_object();
        if (!options.remote) {
            number(out, "appliance", per_session(cpu.appliance), 1);
            number(out, "enclaves", per_session(cpu.enclaves), 1);
            number(out, "total", server_us(), 1);
        }
        number(out, "load_generator", per_session(cpu.client), 1);
        out.end_object();
        if (!options.remote) {
            out.key("stage_us_per_session").begin_object();
            for (std::size_t i = 0; i < stages.seconds.size(); ++i)
                number(out, Stages::kNames[i], stage_us(i), 1);
            out.end_object();
        }
        out.key("plain_libsecp256k1_cpu_us").begin_object();
        number(out, "ceremony", plain.ceremony_us, 1);
        number(out, "shared_session", plain.shared_us, 1);
        number(out, "with_key_aggregation", plain.uncached_us, 1);
        out.end_object();
        if (!options.remote) {
            out.key("ratio").begin_object();
            number(out, "ceremony", server_us() / plain.ceremony_us, 2);
            number(out, "shared_session", server_us() / plain.shared_us, 2);
            number(out, "with_key_aggregation", server_us() / plain.uncached_us, 2);
            out.end_object();
        }
        return out.end_object().take();
    }
};

} // namespace

asio::awaitable<Result<std::string>> bench_sign(SignOptions options) {
    const auto executor = co_await asio::this_coro::executor;
    cli::Progress progress(executor, options.quiet ? cli::Progress::Style::Silent : cli::Progress::Style::Shown);

    std::unique_ptr<fleet::SimFleet> fleet;
    client::Endpoint endpoint;
    Result<client::Trust> trust = fail(Errc::Internal, "");
    if (options.remote) {
        endpoint = options.remote->endpoint;
        trust = client::Trust::load(options.remote->trust, options.remote->pcrs);
    } else {
        progress.begin("start");
        fleet::SimFleet::Options wanted;
        wanted.enclaves = options.enclaves;
        wanted.limits = fleet::SimFleet::lifted_limits();
        wanted.progress = [&](std::string_view what) { progress.at(what); };
        auto started = co_await fleet::SimFleet::start(std::move(wanted));
        if (!started)
            co_return std::move(started).error();
        fleet = std::move(*started);
        endpoint = fleet->endpoint();
        trust = client::Trust::load(fleet->trust_root().string(), fleet->pcrs());
        progress.done(std::to_string(options.enclaves) + " simulated enclaves, appliance, SQLite");
    }
    if (!trust)
        co_return std::move(trust).error();
    const auto explained = [&](Error error) {
        if (const std::string casualties = fleet ? fleet->casualties() : ""; !casualties.empty())
            error.detail += "\n" + casualties;
        return error;
    };

    client::RestClient rest(executor, endpoint);
    progress.begin("keys");
    std::vector<BenchKey> keys;
    const std::uint64_t quota = 2 * options.sessions + options.warm_up;
    for (unsigned i = 0; i < options.keys; ++i) {
        progress.part(i, options.keys);
        auto key = co_await make_key(rest, *trust, options.participants, 0,
                                     static_cast<std::uint32_t>(std::min<std::uint64_t>(quota, UINT32_MAX)));
        if (!key)
            co_return explained(std::move(key).error());
        keys.push_back(std::move(*key));
    }
    progress.done(std::to_string(options.keys) + " of " + std::to_string(options.participants) + " participants each");

    if (options.warm_up > 0) {
        progress.begin("warm-up");
        auto warm = co_await run_load(rest, keys, options.warm_up, options.concurrency, options.verify_every, progress);
        if (!warm)
            co_return explained(std::move(warm).error());
        progress.done(std::to_string(options.warm_up) + " sessions");
    }
    Stages before_stages;
    if (fleet) {
        auto stages = co_await stages_of(rest);
        if (!stages)
            co_return explained(std::move(stages).error());
        before_stages = *stages;
    }
    progress.begin("signing");
    const Cpu before = Cpu::now(fleet.get());
    auto load = co_await run_load(rest, keys, options.sessions, options.concurrency, options.verify_every, progress);
    const Cpu spent = Cpu::now(fleet.get()) - before;
    if (!load)
        co_return explained(std::move(load).error());
    progress.done(std::to_string(options.sessions) + " sessions");
    Stages spent_stages;
    if (fleet) {
        auto stages = co_await stages_of(rest);
        if (!stages)
            co_return explained(std::move(stages).error());
        for (std::size_t i = 0; i < spent_stages.seconds.size(); ++i)
            spent_stages.seconds[i] = stages->seconds[i] - before_stages.seconds[i];
    }

    std::optional<LoadResult> paced;
    double paced_rate = 0;
    if (options.load || options.rate) {
        progress.begin("paced");
        const double saturated = static_cast<double>(load->latencies.size()) / (millis(load->elapsed) / 1e3);
        paced_rate = options.rate.value_or(saturated * options.load.value_or(0));
        auto open = co_await open_loop(sign_job(rest, keys, options.verify_every), options.sessions, paced_rate, progress);
        if (!open)
            co_return explained(std::move(open).error());
        paced = std::move(*open);
        progress.done(decimal(paced_rate, 0) + " sessions/s offered");
    }

    progress.begin("plain ceremony");
    auto plain = measure_plain_ceremony(options.participants);
    if (!plain)
        co_return std::move(plain).error();
    progress.done("bare libsecp256k1 calls in this process");
    if (fleet) {
        progress.begin("clean-up");
        Status stopped = fleet->shut_down();
        if (!stopped)
            co_return std::move(stopped).error();
        progress.done();
    }
    std::sort(load->latencies.begin(), load->latencies.end());
    const Report report{options, std::move(*load), spent, spent_stages, *plain, std::move(paced), paced_rate};
    co_return options.json ? report.json() : report.text();
}

} // namespace keymeld::bench
