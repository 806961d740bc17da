#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>

#include "appliance/bench/bench.h"
#include "appliance/cli/command.h"
#include "appliance/cli/command_loop.h"

namespace keymeld::cli {
namespace {

boost::asio::awaitable<int> finish(Result<std::string> result) {
    if (!result) {
        co_await unless_interrupted();
        co_return report(result.error());
    }
    std::fflush(stderr);
    std::cout << *result << std::endl;
    co_return std::cout ? 0 : kFailed;
}

struct SignCommand {
    bench::SignOptions bench;
    std::string url;
    std::string trust;
    std::filesystem::path pcrs;
};

boost::asio::awaitable<int> sign(bench::SignOptions options) {
    auto result = co_await bench::bench_sign(std::move(options));
    co_return co_await finish(std::move(result));
}

boost::asio::awaitable<int> single(bench::SingleOptions options) {
    auto result = co_await bench::bench_single(options);
    co_return co_await finish(std::move(result));
}

boost::asio::awaitable<int> keygen(bench::KeygenOptions options) {
    auto result = co_await bench::bench_keygen(options);
    co_return co_await finish(std::move(result));
}

boost::asio::awaitable<int> scale(bench::ScaleOptions options) {
    auto result = co_await bench::bench_scale(std::move(options));
    co_return co_await finish(std::move(result));
}

boost::asio::awaitable<int> overload(bench::OverloadOptions options) {
    auto result = co_await bench::bench_overload(options);
    co_return co_await finish(std::move(result));
}

void add_common(CLI::App& app, unsigned& enclaves, bool& json, bool& quiet) {
    app.add_option("--enclaves", enclaves, "Simulated enclaves to start")->check(CLI::Range(1, 64))->capture_default_str();
    app.add_flag("--json", json, "Print one JSON object");
    app.add_flag("-q,--quiet", quiet, "Show no progress on standard error");
}

boost::asio::awaitable<int> idle(bench::IdleOptions options) {
    auto result = co_await bench::bench_idle(options);
    co_return co_await finish(std::move(result));
}

} // namespace

Run prepare_bench_sign(CLI::App& app) {
    auto command = std::make_shared<SignCommand>();
    bench::SignOptions& options = command->bench;
    app.add_option("--participants", options.participants, "Signers of each key")->check(CLI::Range(2, 1000))->capture_default_str();
    app.add_option("--enclaves", options.enclaves, "Simulated enclaves to start")->check(CLI::Range(1, 64))->capture_default_str();
    app.add_option("--sessions", options.sessions, "Signing sessions to measure")->check(CLI::Range(1, 10'000'000))->capture_default_str();
    app.add_option("--warm-up", options.warm_up, "Sessions before those that are measured")->check(CLI::Range(0, 1'000'000))->capture_default_str();
    app.add_option("--concurrency", options.concurrency, "Sessions under way at any time")->check(CLI::Range(1, 10'000))->capture_default_str();
    app.add_option("--keys", options.keys, "Keys to sign with, in turn; created before the clock starts")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    app.add_option("--verify-every", options.verify_every, "Verify each n-th signature; 1: all")->check(CLI::Range(1, 1'000'000))->capture_default_str();
    auto* const load = app.add_option("--load", options.load, "Then offer this share of the rate that was measured, at random times; 0.5: half")
                           ->check(CLI::Range(0.01, 2.0));
    app.add_option("--rate", options.rate, "Then offer so many sessions a second, at random times")->check(CLI::Range(0.1, 1e6))->excludes(load);
    auto* const url = app.add_option("--url", command->url, "Measure the appliance there instead of starting one; its rate limits apply, and its "
                                                            "CPU time is not seen")
                          ->type_name("URL");
    auto* const trust = app.add_option("--trust", command->trust, "With --url: aws, or a PEM file with a simulator's root")->type_name("aws|FILE");
    auto* const pcrs = app.add_option("--pcrs", command->pcrs, "With --url: allowed measurements")->type_name("FILE");
    url->needs(trust)->needs(pcrs);
    trust->needs(url);
    pcrs->needs(url);
    app.add_flag("--json", options.json, "Print one JSON object");
    app.add_flag("-q,--quiet", options.quiet, "Show no progress on standard error");
    app.footer("Latency is from before POST /signing until the client has decrypted the signature. The load comes from one thread of this\n"
               "program, on the same machine. `plain` is the same ceremony in bare libsecp256k1 calls, measured in the same run. With --load or\n"
               "--rate as many sessions again begin by the clock, at the times of a Poisson process, whoever still waits; their latency is from the\n"
               "time when each was due.\n\n"
               "Example:\n  keymeld bench sign --participants 3 --enclaves 3 --sessions 5000 --concurrency 32 --json");
    return [command] {
        if (!command->url.empty()) {
            auto endpoint = client::Endpoint::parse(command->url);
            if (!endpoint)
                return report(endpoint.error());
            command->bench.remote = bench::Remote{std::move(*endpoint), command->trust, command->pcrs};
        }
        return run_command([command] { return sign(command->bench); });
    };
}

Run prepare_bench_single(CLI::App& app) {
    auto options = std::make_shared<bench::SingleOptions>();
    app.add_option("--signatures", options->signatures, "Signatures to measure, of each kind")->check(CLI::Range(1, 10'000'000))->capture_default_str();
    app.add_option("--warm-up", options->warm_up, "Signatures before those that are measured")->check(CLI::Range(0, 1'000'000))->capture_default_str();
    app.add_option("--concurrency", options->concurrency, "Requests under way at any time")->check(CLI::Range(1, 10'000))->capture_default_str();
    app.add_option("--batch", options->batch, "Signatures of a batch request")->check(CLI::Range(1, 100))->capture_default_str();
    app.add_option("--keys", options->keys, "Keys to sign with, in turn; generated before the clock starts")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    add_common(app, options->enclaves, options->json, options->quiet);
    app.footer("By BIP-340 and by ECDSA: one at a time, one signature a request, and many. The client encrypts each digest, approves it, decrypts and\n"
               "verifies each signature. `plain` is the bare signature in libsecp256k1, measured in the same run.\n\n"
               "Example:\n  keymeld bench single --signatures 10000 --concurrency 64 --json");
    return [options] { return run_command([options] { return single(*options); }); };
}

Run prepare_bench_keygen(CLI::App& app) {
    auto options = std::make_shared<bench::KeygenOptions>();
    app.add_option("--participants", options->participants, "Participants of each key")->check(CLI::Range(2, 1000))->capture_default_str();
    app.add_option("--keygens", options->keygens, "Keys to make")->check(CLI::Range(1, 1'000'000))->capture_default_str();
    app.add_option("--concurrency", options->concurrency, "Keygens under way at any time")->check(CLI::Range(1, 1000))->capture_default_str();
    add_common(app, options->enclaves, options->json, options->quiet);
    app.footer("A keygen lasts from POST /keygen until the client has recomputed the aggregate key; its participants join one after the other.\n"
               "Memory is what the processes hold at the end.\n\nExample:\n  keymeld bench keygen --participants 1000 --keygens 1");
    return [options] { return run_command([options] { return keygen(*options); }); };
}

Run prepare_bench_scale(CLI::App& app) {
    auto options = std::make_shared<bench::ScaleOptions>();
    app.add_option("--signers", options->signers, "Numbers of signers to measure")->delimiter(',')->check(CLI::Range(2, 1000))->capture_default_str();
    app.add_option("--work", options->work, "Sessions times signers at each point")->check(CLI::Range(1, 10'000'000))->capture_default_str();
    app.add_option("--stored", options->stored, "Then: start, memory and latency with so many completed keygens in the database; 0: not measured")
        ->check(CLI::Range(0, 10'000'000))
        ->capture_default_str();
    app.add_option("--alone", options->alone, "Sessions, one at a time, on that database and by turns on an empty one beside it")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    add_common(app, options->enclaves, options->json, options->quiet);
    app.footer("The curve is CPU time of appliance and enclaves a session, beside bare libsecp256k1 calls in the same run. scripts/plot-growth makes a\n"
               "picture of the JSON. The database is filled with copies of one keygen, through the storage plugin.\n\n"
               "Example:\n  keymeld bench scale --signers 2,3,5,10,20,50,100 --stored 100000 --json");
    return [options] { return run_command([options] { return scale(*options); }); };
}

Run prepare_bench_overload(CLI::App& app) {
    auto options = std::make_shared<bench::OverloadOptions>();
    app.add_option("--sessions", options->sessions, "Sessions that find the peak")->check(CLI::Range(1, 10'000'000))->capture_default_str();
    app.add_option("--factor", options->factor, "Offered, as a multiple of the peak")->check(CLI::Range(1.0, 100.0))->capture_default_str();
    app.add_option("--seconds", options->seconds, "Length of the overload")->check(CLI::Range(1, 120))->capture_default_str();
    app.add_option("--in-flight", options->in_flight, "The appliance's limits: max_inflight_requests")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    add_common(app, options->enclaves, options->json, options->quiet);
    app.footer("Sessions are offered by the clock, whoever still waits. A refusal must come with Retry-After; what was accepted must be signed.\n\n"
               "Example:\n  keymeld bench overload --factor 4 --seconds 20");
    return [options] { return run_command([options] { return overload(*options); }); };
}

Run prepare_bench_idle(CLI::App& app) {
    auto options = std::make_shared<bench::IdleOptions>();
    app.add_option("--sessions", options->sessions, "Sessions that wait for an approval")->check(CLI::Range(1, 1'000'000))->capture_default_str();
    app.add_option("--seconds", options->seconds, "Length of each of the two measurements")->check(CLI::Range(1, 3600))->capture_default_str();
    app.add_option("--enclaves", options->enclaves, "Simulated enclaves to start")->check(CLI::Range(1, 64))->capture_default_str();
    app.add_flag("--json", options->json, "Print one JSON object");
    app.add_flag("-q,--quiet", options->quiet, "Show no progress on standard error");
    app.footer("Measures a fleet without sessions, then with sessions that wait; at the end one of them is approved and must be signed.\n\n"
               "Example:\n  keymeld bench idle --sessions 10000 --seconds 30");
    return [options] { return run_command([options] { return idle(*options); }); };
}

} // namespace keymeld::cli
