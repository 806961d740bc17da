// `keymeld bench single`: single keys over REST, one signature a request and many.
#include <algorithm>

#include <boost/asio/this_coro.hpp>

#include "appliance/bench/bench.h"
#include "appliance/bench/bench_fleet.h"
#include "appliance/bench/load_loop.h"
#include "appliance/bench/measure.h"
#include "appliance/bench/plain_ceremony.h"
#include "appliance/client/single_keys.h"
#include "core/secure/random.h"

namespace keymeld::bench {

namespace asio = boost::asio;
using bitcoin::SignatureType;

namespace {

constexpr std::uint64_t kAlone = 400;
constexpr unsigned kBatches = 4; ///< under way at any time, at least: with one, appliance and
                                 ///< client would wait for each other

struct Signers {
    client::SingleKeys& api;
    const std::vector<client::OwnedKey>& keys;
    const client::OwnedKey& of(std::uint64_t number) const { return keys[number % keys.size()]; }
};

Async<Result<std::uint64_t>> one_signature(Signers signers, std::uint64_t number, SignatureType type) {
    const auto digest = secure::random_array<32>();
    const auto signature = co_await signers.api.sign(signers.of(number), digest, type); // verifies it
    if (!signature)
        co_return signature.error();
    co_return std::uint64_t{1};
}

Async<Result<std::uint64_t>> one_batch(Signers signers, std::uint64_t number, SignatureType type, unsigned size) {
    std::vector<ByteArray<32>> digests(size);
    for (auto& digest : digests)
        digest = secure::random_array<32>();
    auto signatures = co_await signers.api.sign_batch(signers.of(number), std::move(digests), type);
    if (!signatures)
        co_return std::move(signatures).error();
    for (const auto& signature : *signatures)
        if (!signature)
            co_return signature.error();
    co_return std::uint64_t{signatures->size()};
}

/// One way to ask for signatures, measured.
struct Row {
    SignatureType type = SignatureType::SchnorrBip340;
    std::string_view way; ///< "alone", "single", "batch"
    LoadResult load;
    Cpu cpu;
    double plain_us = 0;

    double signatures() const { return static_cast<double>(load.verified); }
    double seconds() const { return millis(load.elapsed) / 1e3; }
    double us(Nanos time) const { return micros(time) / signatures(); }
    double ratio() const { return us(cpu.server()) / plain_us; }
};

std::string report(const SingleOptions& options, const std::vector<Row>& rows, const Stages& stages, const PlainSignature& plain) {
    if (options.json) {
        json::Writer out;
        out.begin_object().member("enclaves", options.enclaves).member("keys", options.keys).member("concurrency", options.concurrency);
        out.member("batch", options.batch).key("plain_libsecp256k1_cpu_us").begin_object();
        number(out, "schnorr_bip340", plain.schnorr_us, 1);
        number(out, "ecdsa", plain.ecdsa_us, 1);
        out.end_object().key("measured").begin_array();
        for (const Row& row : rows) {
            out.begin_object().member("signature_type", bitcoin::text(row.type)).member("way", row.way);
            out.member("requests", row.load.latencies.size()).member("signatures_verified", row.load.verified);
            number(out, "requests_per_second", static_cast<double>(row.load.latencies.size()) / row.seconds(), 1);
            number(out, "signatures_per_second", row.signatures() / row.seconds(), 1);
            write_latency(out, "latency_ms", row.load.latencies);
            out.key("cpu_us_per_signature").begin_object();
            number(out, "appliance", row.us(row.cpu.appliance), 1);
            number(out, "enclaves", row.us(row.cpu.enclaves), 1);
            number(out, "total", row.us(row.cpu.server()), 1);
            number(out, "load_generator", row.us(row.cpu.client), 1);
            out.end_object();
            number(out, "ratio", row.ratio(), 2);
            out.end_object();
        }
        out.end_array().key("stage_us_per_signature").begin_object();
        for (std::size_t i = 0; i < stages.seconds.size(); ++i)
            number(out, Stages::kNames[i], stages.seconds[i] * 1e6, 1);
        return out.end_object().end_object().take();
    }
    std::string text = "Single keys, " + std::to_string(options.keys) + " keys in " + std::to_string(options.enclaves) + " enclaves; " +
                       std::to_string(options.concurrency) + " requests at a time, batches of " + std::to_string(options.batch) +
                       "\n                        signatures/s  requests/s  appliance  enclaves  "
                       "generator    ratio  latency\n";
    for (const Row& row : rows) {
        char line[160];
        std::snprintf(line, sizeof line, "  %-14s %-6s %12.0f %11.0f %7.0f us %6.0f us %7.0f us %8.1f  ", bitcoin::text(row.type).data(),
                      std::string(row.way).c_str(), row.signatures() / row.seconds(),
                      static_cast<double>(row.load.latencies.size()) / row.seconds(), row.us(row.cpu.appliance), row.us(row.cpu.enclaves),
                      row.us(row.cpu.client), row.ratio());
        text += line + latency_text(row.load.latencies) + "\n";
    }
    text += "  stages     ";
    for (std::size_t i = 0; i < stages.seconds.size(); ++i)
        text += std::string(Stages::kNames[i]) + " " + decimal(stages.seconds[i] * 1e6, 0) + (i + 1 < stages.seconds.size() ? ", " : " us");
    return text + " a signature (schnorr_bip340, single)\n  plain      " + decimal(plain.schnorr_us, 0) + " us for a BIP-340 signature, " +
           decimal(plain.ecdsa_us, 0) + " us for an ECDSA signature in bare libsecp256k1 calls";
}

} // namespace

asio::awaitable<Result<std::string>> bench_single(SingleOptions options) {
    const auto executor = co_await asio::this_coro::executor;
    cli::Progress progress(executor, options.quiet ? cli::Progress::Style::Silent : cli::Progress::Style::Shown);
    auto started = co_await BenchFleet::start(options.enclaves, fleet::SimFleet::lifted_limits(), progress);
    if (!started)
        co_return std::move(started).error();
    BenchFleet& bench = *started;
    client::RestClient rest(executor, bench.fleet->endpoint());
    client::SingleKeys api(rest, bench.trust);
    progress.begin("keys");
    std::vector<client::OwnedKey> keys;
    for (unsigned i = 0; i < options.keys; ++i) {
        progress.part(i, options.keys);
        auto key = co_await api.generate(client::new_user_id(), bitcoin::SecretKey::generate());
        if (!key)
            co_return bench.explained(std::move(key).error());
        keys.push_back(std::move(*key));
    }
    progress.done(std::to_string(options.keys) + " generated in enclaves");
    const Signers signers{api, keys};
    auto plain = measure_plain_signature();
    if (!plain)
        co_return std::move(plain).error();

    if (options.warm_up > 0) {
        progress.begin("warm-up");
        const Job job = [signers](std::uint64_t i) { return one_signature(signers, i, SignatureType::SchnorrBip340); };
        auto warm = co_await closed_loop(job, options.warm_up, options.concurrency, progress);
        if (!warm)
            co_return bench.explained(std::move(warm).error());
        progress.done();
    }
    std::vector<Row> rows;
    Stages stages;
    for (const SignatureType type : {SignatureType::SchnorrBip340, SignatureType::Ecdsa}) {
        for (const std::string_view way : {"alone", "single", "batch"}) {
            progress.begin(std::string(bitcoin::text(type)) + " " + std::string(way));
            const bool staged = type == SignatureType::SchnorrBip340 && way == "single";
            Stages before_stages;
            if (staged) {
                auto now = co_await stages_of(rest);
                if (!now)
                    co_return bench.explained(std::move(now).error());
                before_stages = *now;
            }
            Job job = [signers, type](std::uint64_t i) { return one_signature(signers, i, type); };
            std::uint64_t count = options.signatures;
            unsigned concurrency = options.concurrency;
            if (way == "alone") {
                count = std::min(kAlone, count);
                concurrency = 1;
            } else if (way == "batch") {
                const unsigned size = options.batch;
                job = [signers, type, size](std::uint64_t i) { return one_batch(signers, i, type, size); };
                count = (count + size - 1) / size;
                concurrency = std::max(kBatches, concurrency / size);
            }
            const Cpu before = Cpu::now(bench.fleet.get());
            auto load = co_await closed_loop(std::move(job), count, concurrency, progress);
            const Cpu spent = Cpu::now(bench.fleet.get()) - before;
            if (!load)
                co_return bench.explained(std::move(load).error());
            const double plain_us = type == SignatureType::Ecdsa ? plain->ecdsa_us : plain->schnorr_us;
            rows.push_back({type, way, std::move(*load), spent, plain_us});
            if (staged) {
                auto now = co_await stages_of(rest);
                if (!now)
                    co_return bench.explained(std::move(now).error());
                for (std::size_t i = 0; i < stages.seconds.size(); ++i)
                    stages.seconds[i] = (now->seconds[i] - before_stages.seconds[i]) / rows.back().signatures();
            }
            progress.done(decimal(rows.back().signatures() / rows.back().seconds(), 0) + " signatures/s");
        }
    }
    Status stopped = bench.fleet->shut_down();
    if (!stopped)
        co_return std::move(stopped).error();
    co_return report(options, rows, stages, *plain);
}

} // namespace keymeld::bench
