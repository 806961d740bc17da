#include "appliance/doctor.h"

#include <cerrno>
#include <cstring>
#include <future>

#include <sys/resource.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "appliance/api/docs_files.h"
#include "appliance/enclave_probe.h"
#include "appliance/http/byte_stream.h"
#include "appliance/load_parts.h"
#include "appliance/token_file.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/plugin/loader.h"
#include "core/plugin/storage.h"
#include "core/plugin/transport.h"
#include "core/plugin/tweak.h"
#include "core/secure/locked_pool.h"

namespace keymeld::appliance {
namespace {

using Lines = std::vector<CheckLine>;

void ok(Lines& lines, std::string name, std::string detail) {
    lines.push_back({Finding::Ok, std::move(name), std::move(detail), {}});
}
void warn(Lines& lines, std::string name, std::string detail, std::string remedy) {
    lines.push_back({Finding::Warning, std::move(name), std::move(detail), std::move(remedy)});
}
void failed(Lines& lines, std::string name, std::string detail, std::string remedy) {
    lines.push_back({Finding::Failed, std::move(name), std::move(detail), std::move(remedy)});
}

void check_memory(Lines& lines) {
    // What serve locks at its start, and room for the secrets of some sessions.
    constexpr std::size_t kNeeded = 64 * 1024;
    if (auto locked = secure::locked_pool::reserve(kNeeded); !locked)
        return failed(lines, "locked memory", locked.error().detail,
                      "raise the limit: LimitMEMLOCK=infinity in the service, or `ulimit -l`");
    rlimit limit{};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    ok(lines, "locked memory",
       limit.rlim_cur == RLIM_INFINITY ? "no limit" : "limit " + std::to_string(limit.rlim_cur / 1024) + " KiB");
}

void check_descriptors(Lines& lines, const config::Limits& limits) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    const std::uint64_t wanted = std::uint64_t{limits.max_inflight_requests} + limits.event_streams_total + 128;
    const std::string detail = "limit " + std::to_string(limit.rlim_max);
    if (limit.rlim_max < wanted)
        warn(lines, "file descriptors", detail + ", the configured limits can use " + std::to_string(wanted),
             "raise it (LimitNOFILE= in the service), or lower max_inflight_requests and event_streams_total");
    else
        ok(lines, "file descriptors", detail);
}

void check_clock(Lines& lines) {
    // The build knows one moment that has certainly passed.
    constexpr std::uint64_t kPast = 1735689600; // 2025-01-01
    if (unix_seconds() < kPast)
        failed(lines, "clock", "it says " + rfc3339_now(), "set the clock: certificates and approvals are judged by it");
    else
        ok(lines, "clock", rfc3339_now());
}

void check_plugins(Lines& lines, const config::Config& config) {
    const std::string remedy = "see `keymeld plugins list`; plugins.directory is " + config.plugin_directory.string();
    const plugin::Loader loader(config.plugin_directory);
    std::vector<const config::PluginChoice*> choices{&config.storage, &config.tweak};
    for (const auto& enclave : config.enclaves)
        choices.push_back(&enclave.transport);
    std::vector<std::string> seen;
    for (const auto* choice : choices) {
        if (std::find(seen.begin(), seen.end(), choice->plugin) != seen.end())
            continue;
        seen.push_back(choice->plugin);
        const auto info = loader.inspect(choice->plugin, choice->sha256);
        if (info)
            ok(lines, "plugin " + choice->plugin, info->version + (choice->sha256 ? ", pinned" : ""));
        else
            failed(lines, "plugin " + choice->plugin, info.error().detail, remedy);
    }
    if (auto tweak = load_tweak(config); !tweak)
        failed(lines, "tweak", tweak.error().detail, remedy);
}

void check_database(Lines& lines, const config::Config& config) {
    auto storage = load_storage(config);
    if (!storage)
        return failed(lines, "database", storage.error().detail,
                      "check storage.path: the folder must exist and be writable, and the file must be KeyMeld's");
    std::promise<Result<plugin::StorageStats>> promise;
    auto answer = promise.get_future();
    (*storage)->stats([&](Result<plugin::StorageStats> stats) { promise.set_value(std::move(stats)); });
    if (answer.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
        storage->reset(); // waits for the callback, which uses the promise
        return failed(lines, "database", "no answer within 10 s", "another process may hold it locked");
    }
    const auto stats = answer.get();
    if (!stats)
        return failed(lines, "database", stats.error().detail, "restore the file from a backup, or move it away to start anew");
    ok(lines, "database",
       std::to_string(stats->total_sessions) + " sessions, " + std::to_string(stats->active_sessions) + " unfinished, " +
           std::to_string(stats->database_size_bytes.value_or(0) / 1024) + " KiB");
}

void check_enclaves(Lines& lines, const config::Config& config, std::chrono::milliseconds time) {
    for (const EnclaveProbe& probe : probe_enclaves(config, time)) {
        const std::string name = "enclave " + std::to_string(probe.enclave_id) + " (" + probe.transport + ")";
        if (!probe.enabled) {
            warn(lines, name, "disabled", "set enabled: true to use it");
        } else if (probe.transport_error) {
            failed(lines, name, probe.transport_error->detail, "mend its transport in the configuration");
        } else if (probe.attestation_error) {
            failed(lines, name, "not attested: " + probe.attestation_error->detail,
                   "its trust root and PCR list must be those of the image that runs (attestation: in the configuration)");
        } else if (probe.reach_error) {
            failed(lines, name, "not reached: " + probe.reach_error->detail,
                   "start its signer (keymeld-enclave), and check address and port");
        } else if (!probe.attested) {
            failed(lines, name, "not reached: no answer in time", "start its signer (keymeld-enclave), and check address and port");
        } else {
            ok(lines, name, "attested as " + probe.image + (probe.hardware ? "" : " (simulator)") + " in " +
                                std::to_string(probe.took.count()) + " ms, key epoch " + std::to_string(probe.key_epoch));
            constexpr std::int64_t kMaxOffsetMs = 10'000;
            if (probe.clock_offset_ms > kMaxOffsetMs || probe.clock_offset_ms < -kMaxOffsetMs)
                warn(lines, name + " clock", std::to_string(probe.clock_offset_ms) + " ms from this machine's",
                     "set both clocks: bound approvals expire by the enclave's");
        }
    }
}

void check_port(Lines& lines, const std::string& name, const config::Listen& listen) {
    boost::asio::io_context loop;
    boost::asio::ip::tcp::acceptor acceptor(loop);
    boost::system::error_code error;
    const boost::asio::ip::tcp::endpoint endpoint(boost::asio::ip::make_address(listen.host, error), listen.port);
    if (!error)
        acceptor.open(endpoint.protocol(), error);
    if (!error)
        acceptor.set_option(boost::asio::ip::tcp::acceptor::reuse_address(true), error);
    if (!error)
        acceptor.bind(endpoint, error);
    if (!error)
        acceptor.listen(1, error);
    if (error)
        failed(lines, name, listen.text() + ": " + error.message(),
               "stop the program that has the port (is the appliance running?), or set another one");
    else
        ok(lines, name, listen.text() + " is free");
}

void check_server(Lines& lines, const config::Server& server) {
    check_port(lines, "port", server.listen);
    if (server.ops_listen)
        check_port(lines, "operations port", *server.ops_listen);
    if (server.tls) {
        const auto tls = http::TlsContext::load(server.tls->certificate, server.tls->key,
                                                server.tls->client_ca.value_or(std::filesystem::path()));
        if (!tls)
            failed(lines, "tls", tls.error().detail, "give PEM files: the chain leaf first, and the leaf's key without passphrase");
        else
            ok(lines, "tls", server.tls->client_ca ? "certificate and key fit, clients need certificates" : "certificate and key fit");
        std::error_code ignored;
        const auto mode = std::filesystem::status(server.tls->key, ignored).permissions();
        if (!ignored && (mode & std::filesystem::perms::others_read) != std::filesystem::perms::none)
            warn(lines, "tls key", server.tls->key.string() + " can be read by everybody", "chmod 600 it");
    } else if (!server.listen.loopback()) {
        warn(lines, "tls", "plain HTTP on an address that is not loopback (allow_plain_http)",
             "set server.tls, unless a proxy in front does TLS");
    }
    if (server.keygen_token_file) {
        if (const auto token = read_token_file(*server.keygen_token_file); !token)
            failed(lines, "keygen token", token.error().detail, "write one with: openssl rand -hex 32");
        else
            ok(lines, "keygen token", "set");
    }
    if (!api::DocsFiles::load(api::default_docs_folder()).available())
        warn(lines, "documentation viewer", "not installed; /docs says how to get it",
             "install Node.js and npm (scripts/setup) and build again");
}

} // namespace

std::vector<CheckLine> examine(const config::Config& config, std::chrono::milliseconds enclave_time) {
    Lines lines;
    ok(lines, "configuration", config.file.string());
    check_memory(lines);
    check_descriptors(lines, config.limits);
    check_clock(lines);
    check_plugins(lines, config);
    check_database(lines, config);
    check_server(lines, config.server);
    check_enclaves(lines, config, enclave_time);
    return lines;
}

} // namespace keymeld::appliance
