#include "appliance/serve.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include <malloc.h>
#include <sys/resource.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/api/api.h"
#include "appliance/http/server.h"
#include "appliance/load_parts.h"
#include "appliance/metrics/metrics.h"
#include "appliance/token_file.h"
#include "core/base/log.h"
#include "core/plugin/storage.h"
#include "core/plugin/transport.h"
#include "core/plugin/tweak.h"
#include "core/secure/process.h"

namespace keymeld::appliance {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using std::chrono::seconds;
constexpr auto kValues = asio::as_tuple(asio::use_awaitable);

/// How long requests may go on after a signal before long polls are ended, and before everything is.
constexpr seconds kQuietTime{2};
constexpr seconds kStopTime{8};

/// Every connection is a descriptor: takes as many as the system allows.
std::uint32_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    constexpr rlim_t kEnough = 65536;
    limit.rlim_cur = std::min(limit.rlim_max, std::max(limit.rlim_cur, kEnough));
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<std::uint32_t>(std::min(limit.rlim_cur, kEnough));
}

http::ServerLimits server_limits(const config::Limits& limits, std::uint32_t descriptors) {
    http::ServerLimits out;
    out.max_body_bytes = limits.max_body_bytes;
    out.max_inflight_requests = limits.max_inflight_requests;
    out.rate_per_client = limits.rate_per_client;
    out.rate_burst = limits.rate_burst;
    out.rate_delay_max = limits.rate_delay_max;
    // The rest is for storage, links, log and what is being accepted.
    constexpr std::uint32_t kKept = 128;
    const std::uint32_t wanted = limits.max_inflight_requests + limits.event_streams_total;
    out.max_connections = std::min(wanted, descriptors > 2 * kKept ? descriptors - kKept : kKept);
    return out;
}

Result<api::Settings> api_settings(const config::Config& config, const std::string& version) {
    api::Settings out;
    out.version = version;
    out.decode.max_participants = config.limits.max_participants;
    out.decode.timeout_secs_max = config.limits.timeout_secs_max;
    out.decode.wait_max = config.limits.wait_max_secs;
    out.decode.approval_max_validity = config.limits.approval_max_validity;
    out.event_streams_per_client = config.limits.event_streams_per_client;
    out.event_streams_total = config.limits.event_streams_total;
    out.pending_keygens_per_client = config.limits.pending_keygen_sessions_per_client;
    out.cors_origins = config.server.cors_origins;
    out.operations_moved = config.server.ops_listen.has_value();
    if (config.server.keygen_token_file) {
        KEYMELD_TRY(out.keygen_token, read_token_file(*config.server.keygen_token_file));
    }
    return out;
}

Result<std::shared_ptr<http::TlsContext>> tls_context(const config::Server& server) {
    if (!server.tls)
        return std::shared_ptr<http::TlsContext>();
    return http::TlsContext::load(server.tls->certificate, server.tls->key,
                                  server.tls->client_ca.value_or(std::filesystem::path()));
}

/// Everything of one run; members are destroyed before the loop that they work on.
class Appliance {
  public:
    Appliance(asio::io_context& loop, const config::Config& config, const ServeOptions& options, engine::Parts parts,
              api::Settings settings, std::shared_ptr<http::TlsContext> tls, std::uint32_t descriptors)
        : m_loop(loop), m_config(config), m_options(options), m_tls(std::move(tls)),
          m_engine(loop, config, std::move(parts), &m_metrics),
          m_api(m_engine, m_metrics, std::move(settings), api::DocsFiles::load(api::default_docs_folder())),
          m_server(loop, m_api, server_limits(config.limits, descriptors)), m_signals(loop, SIGINT, SIGTERM) {
        m_metrics.set_stages([this] { return stages(); });
    }

    /// From start to stop. Never throws for what can go wrong at the start.
    asio::awaitable<Status> run() {
        auto started = co_await m_engine.start();
        if (!started)
            co_return std::move(started);
        auto listening = listen();
        if (!listening) {
            co_await m_engine.stop();
            co_return std::move(listening);
        }
        const auto [error, signal] = co_await m_signals.async_wait(kValues);
        log::info("serve", "stopping", {{"signal", error ? 0 : signal}});
        co_await stop();
        co_return Status();
    }

  private:
    metrics::Metrics::Stages stages() const {
        const auto cpu = [](clockid_t clock) {
            timespec time{};
            ::clock_gettime(clock, &time);
            return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
        };
        const auto in_seconds = [](std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e9; };
        metrics::Metrics::Stages out;
        double own_link = 0;
        for (const engine::EnclaveView& enclave : m_engine.enclaves()) {
            const auto commands = static_cast<double>(enclave.command_micros) / 1e6;
            out.crypto += commands;
            out.link += std::max(0.0, static_cast<double>(enclave.cpu_micros) / 1e6 - commands);
            own_link += in_seconds(enclave.link_time);
        }
        out.link += own_link;
        const double loop = cpu(CLOCK_THREAD_CPUTIME_ID);
        out.http = in_seconds(m_server.busy());
        out.engine = std::max(0.0, loop - out.http - own_link);
        out.storage = std::max(0.0, cpu(CLOCK_PROCESS_CPUTIME_ID) - loop);
        return out;
    }

    Status listen() {
        const config::Server& server = m_config.server;
        KEYMELD_TRY(const std::uint16_t port,
                    m_server.listen(server.listen.host, server.listen.port, http::Listener::Api, m_tls));
        if (server.ops_listen) {
            KEYMELD_TRY(const std::uint16_t ops_port, m_server.listen(server.ops_listen->host, server.ops_listen->port,
                                                                      http::Listener::Operations, nullptr));
            log::info("serve", "operations", {{"host", server.ops_listen->host}, {"port", ops_port}});
        }
        log::info("serve", "listening", {{"url", url_of(server, port)}, {"version", m_options.version}});
        return m_options.on_listening(port);
    }

    asio::awaitable<void> stop() {
        asio::co_spawn(m_loop, end_at_second_signal(), [](std::exception_ptr) {});
        m_server.stop();
        co_await wait_for_quiet(Clock::now() + kQuietTime);
        co_await m_engine.stop(); // ends long polls and streams
        const std::size_t cut = co_await m_server.drain(Clock::now() + kStopTime);
        if (cut > 0)
            log::warn("serve", "connections cut", {{"count", cut}});
        m_signals.cancel();
    }

    /// Answers under way get this long; whoever still waits then is a long poll or a stream.
    asio::awaitable<void> wait_for_quiet(SteadyTime until) {
        asio::steady_timer timer(m_loop);
        while (m_server.connections() > 0 && Clock::now() < until) {
            timer.expires_after(std::chrono::milliseconds(50));
            const auto [ignored] = co_await timer.async_wait(kValues);
            static_cast<void>(ignored);
        }
    }

    asio::awaitable<void> end_at_second_signal() {
        const auto [error, signal] = co_await m_signals.async_wait(kValues);
        if (!error) {
            log::warn("serve", "ended at once by a second signal", {{"signal", signal}});
            std::_Exit(EXIT_FAILURE);
        }
    }

    asio::io_context& m_loop;
    const config::Config& m_config;
    const ServeOptions& m_options;
    std::shared_ptr<http::TlsContext> m_tls;
    metrics::Metrics m_metrics;
    engine::Engine m_engine;
    api::Api m_api;
    http::Server m_server;
    asio::signal_set m_signals;
};

/// Memory goes back and forth between requests: giving it to the system and taking it again costs more than it saves.
void keep_freed_memory() {
#if defined(__GLIBC__)
    ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
    ::mallopt(M_TOP_PAD, 1 << 20);
    ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

} // namespace

std::string url_of(const config::Server& server, std::uint16_t port) {
    config::Listen listen = server.listen;
    listen.port = port;
    return (server.tls ? "https://" : "http://") + listen.text();
}

Status serve(const config::Config& config, const ServeOptions& options) {
    keep_freed_memory();
    log::set_level(config.log_level);
    std::signal(SIGPIPE, SIG_IGN);
    KEYMELD_CHECK(secure::harden_process());
    const std::uint32_t descriptors = raise_descriptor_limit();
    KEYMELD_TRY(auto settings, api_settings(config, options.version));
    KEYMELD_TRY(auto tls, tls_context(config.server));
    KEYMELD_TRY(auto parts, load_parts(config));

    asio::io_context loop(1);
    Status result;
    {
        Appliance appliance(loop, config, options, std::move(parts), std::move(settings), std::move(tls), descriptors);
        std::exception_ptr thrown;
        bool ended = false;
        asio::co_spawn(loop, appliance.run(), [&](std::exception_ptr exception, Status status) {
            thrown = exception;
            result = std::move(status);
            ended = true;
            loop.stop();
        });
        loop.run();
        // What is left after the stop is about to end by itself: a moment for the last callbacks.
        loop.restart();
        loop.run_for(std::chrono::milliseconds(200));
        if (thrown)
            std::rethrow_exception(thrown);
        if (!ended)
            return fail(Errc::Internal, "the event loop ended by itself");
    }
    return result;
}

} // namespace keymeld::appliance
