// `keymeld bench keygen`: what making a key costs, from POST /keygen to the aggregate key that the client has recomputed.
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/bench/bench.h"
#include "appliance/bench/bench_fleet.h"
#include "appliance/bench/bench_key.h"
#include "appliance/bench/measure.h"
#include "appliance/bench/plain_ceremony.h"

namespace keymeld::bench {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

struct Work {
    Work(client::RestClient& client, const client::Trust& believed, const KeygenOptions& wanted, cli::Progress& shown,
         const asio::any_io_executor& executor)
        : rest(client), trust(believed), options(wanted), progress(shown), finished(executor, steady_clock::time_point::max()) {}

    client::RestClient& rest;
    const client::Trust& trust;
    const KeygenOptions& options;
    cli::Progress& progress;
    asio::steady_timer finished; ///< cancelled by the last worker
    std::uint64_t next = 0;
    unsigned workers = 0;
    std::vector<Nanos> latencies;
    std::optional<Error> error;
};

Async<void> worker(std::shared_ptr<Work> work) {
    while (!work->error && work->next < work->options.keygens) {
        ++work->next;
        const auto begin = steady_clock::now();
        auto key = co_await make_key(work->rest, work->trust, work->options.participants, 0, 100);
        if (!key) {
            if (!work->error)
                work->error = std::move(key).error();
            break;
        }
        work->latencies.push_back(steady_clock::now() - begin);
        work->progress.part(work->latencies.size(), work->options.keygens);
    }
    if (--work->workers == 0)
        work->finished.cancel();
}

} // namespace

asio::awaitable<Result<std::string>> bench_keygen(KeygenOptions options) {
    const auto executor = co_await asio::this_coro::executor;
    cli::Progress progress(executor, options.quiet ? cli::Progress::Style::Silent : cli::Progress::Style::Shown);
    auto started = co_await BenchFleet::start(options.enclaves, fleet::SimFleet::lifted_limits(), progress);
    if (!started)
        co_return std::move(started).error();
    BenchFleet& bench = *started;
    client::RestClient rest(executor, bench.fleet->endpoint());

    progress.begin("keygens");
    const auto work = std::make_shared<Work>(rest, bench.trust, options, progress, executor);
    work->workers = static_cast<unsigned>(std::min<std::uint64_t>(options.concurrency, options.keygens));
    const Cpu before = Cpu::now(bench.fleet.get());
    const auto began = steady_clock::now();
    for (unsigned i = work->workers; i > 0; --i)
        asio::co_spawn(executor, worker(work), [](std::exception_ptr error) {
            if (error)
                std::rethrow_exception(error);
        });
    while (work->workers > 0) {
        boost::system::error_code cancelled;
        co_await work->finished.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    const Nanos elapsed = steady_clock::now() - began;
    const Cpu cpu = Cpu::now(bench.fleet.get()) - before;
    if (work->error)
        co_return bench.explained(std::move(*work->error));
    const Memory memory = Memory::now(*bench.fleet);
    progress.done(std::to_string(options.keygens) + " of " + std::to_string(options.participants) + " participants");

    progress.begin("plain key aggregation");
    auto plain = measure_plain_ceremony(options.participants, options.participants > 100 ? 2 : 20, 3);
    if (!plain)
        co_return std::move(plain).error();
    progress.done("bare libsecp256k1 calls in this process");
    Status stopped = bench.fleet->shut_down();
    if (!stopped)
        co_return std::move(stopped).error();

    const auto count = static_cast<double>(options.keygens);
    const double rate = count / (millis(elapsed) / 1e3);
    const double aggregation = plain->uncached_us - plain->ceremony_us;
    if (options.json) {
        json::Writer out;
        out.begin_object().member("participants", options.participants).member("enclaves", options.enclaves);
        out.member("keygens", options.keygens).member("concurrency", options.concurrency);
        number(out, "keygens_per_second", rate, 2);
        write_latency(out, "latency_ms", work->latencies);
        out.key("cpu_us_per_keygen").begin_object();
        number(out, "appliance", micros(cpu.appliance) / count, 1);
        number(out, "enclaves", micros(cpu.enclaves) / count, 1);
        number(out, "load_generator", micros(cpu.client) / count, 1);
        out.end_object();
        number(out, "plain_key_aggregation_us", aggregation, 1);
        out.key("resident_mib").begin_object();
        number(out, "appliance", memory.appliance, 1);
        number(out, "largest_enclave", memory.enclave, 1);
        out.end_object();
        co_return out.end_object().take();
    }
    co_return std::to_string(options.keygens) + " keygens of " + std::to_string(options.participants) + " participants, " +
        std::to_string(options.concurrency) + " at a time\n  rate       " + decimal(rate, 1) + " keygens/s\n  latency    " +
        latency_text(work->latencies) + " (first request to the key recomputed by the client)\n  CPU        " +
        decimal(micros(cpu.server()) / count, 0) + " us a keygen: appliance " + decimal(micros(cpu.appliance) / count, 0) + ", enclaves " +
        decimal(micros(cpu.enclaves) / count, 0) + "\n  plain      " + decimal(aggregation, 0) +
        " us for one key aggregation in bare libsecp256k1 calls\n  memory     appliance " + decimal(memory.appliance, 0) +
        " MiB, largest enclave " + decimal(memory.enclave, 0) + " MiB";
}

} // namespace keymeld::bench
