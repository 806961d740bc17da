// keymeld-enclave: one signer on one event loop.
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <google/protobuf/stubs/logging.h>

#include "core/base/log.h"
#include "core/protocol/signer_listener.h"
#include "core/protocol/stream_endpoint.h"
#include "core/secure/process.h"
#include "enclave/platform.h"
#include "enclave/signer/signer.h"

namespace keymeld::enclave {
namespace {

// Locked at the start, so that a limit that is too low shows at once; more is locked as keys come.
constexpr std::size_t kLockedAtStart = 512 * 1024;

Result<std::uint32_t> port_number(const std::string& text, std::uint32_t most) {
    std::uint64_t port = 0;
    if (text.empty() || text.size() > 10 ||
        text.find_first_not_of("0123456789") != std::string::npos ||
        (port = std::stoull(text)) > most)
        return fail(Errc::ConfigInvalid, "--listen: " + text + " is no port");
    return static_cast<std::uint32_t>(port);
}

Result<protocol::Endpoint> listen_endpoint(const std::string& text, bool allows_tcp) {
    const auto colon = text.find(':');
    const std::string kind = text.substr(0, colon);
    const std::string rest = colon == std::string::npos ? "" : text.substr(colon + 1);
    if (kind == "unix")
        return protocol::unix_endpoint(rest);
    if (kind == "vsock") {
        KEYMELD_TRY(const auto port, port_number(rest, 0xffffffffu));
        return protocol::vsock_endpoint(protocol::kAnyCid, port);
    }
    if (kind == "tcp" && allows_tcp) {
        const auto last = rest.rfind(':');
        if (last != std::string::npos) {
            std::string host = rest.substr(0, last);
            if (host.size() > 2 && host.front() == '[' && host.back() == ']')
                host = host.substr(1, host.size() - 2);
            KEYMELD_TRY(const auto port, port_number(rest.substr(last + 1), 0xffffu));
            return protocol::tcp_endpoint(host, static_cast<std::uint16_t>(port));
        }
    }
    return fail(Errc::ConfigInvalid, "--listen " + text + ": expected " +
                                         (allows_tcp ? "tcp:ADDRESS:PORT, " : "") +
                                         "vsock:PORT or unix:PATH");
}

struct Options {
    std::string listen = "vsock:5000";
    bool print_port = false;
    bool verbose = false;
};

void log_end(const Signer& signer, const protocol::SignerListener& listener) {
    const SignerCounters counters = signer.counters();
    log::info("signer", "stopped",
              {{"requests", counters.requests},
               {"signatures", counters.signatures},
               {"keygens", counters.keygens},
               {"streams", listener.counters().accepted}});
    for (const auto& [code, count] : counters.refused)
        log::info("signer", "refused", {{"code", code}, {"count", count}});
}

/// As much locked memory as we may have: how much is needed depends on how many sessions are used
/// at a time.
void raise_memory_lock_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_MEMLOCK, &limit);
    }
}

Status serve(const Options& options, PlatformBuilder& builder) {
    KEYMELD_TRY(const auto endpoint, listen_endpoint(options.listen, builder.allows_tcp()));
    raise_memory_lock_limit();
    KEYMELD_CHECK(secure::harden_process(kLockedAtStart));
    KEYMELD_TRY(Platform platform, builder.build());
    KEYMELD_TRY(EnclaveIdentity identity, platform.sealing->begin());
    const std::string sealing(platform.sealing->name());
    Signer signer({std::move(identity), std::move(platform.nsm), std::move(platform.verifier),
                   std::move(platform.sealing)});

    boost::asio::io_context loop(1);
    KEYMELD_TRY(const auto listener,
                protocol::SignerListener::create(
                    loop, endpoint,
                    [&](const StreamContext& stream, const wire::Request& request,
                        wire::Response& response) {
                        signer.handle(stream, request, Moment::now(), response);
                    }));
    const protocol::Endpoint bound = listener->local_endpoint();
    if (options.print_port) {
        std::printf("%u\n", protocol::port_of(bound));
        std::fflush(stdout);
    }
    log::info("signer", "started",
              {{"listen", protocol::describe(bound)},
               {"platform", builder.name()},
               {"sealing", sealing},
               {"public_key", signer.identity().public_key().hex()},
               {"key_epoch", signer.identity().epoch()}});

    boost::asio::signal_set signals(loop, SIGTERM, SIGINT);
    signals.async_wait([&](const boost::system::error_code& error, int) {
        if (!error) {
            listener->stop();
            loop.stop();
        }
    });
    loop.run();
    log_end(signer, *listener);
    return {};
}

int run(int argc, char** argv) {
    const auto builder = make_platform_builder();
    Options options;
    CLI::App app(
        "KeyMeld signer: holds keys, enforces every rule, signs. Started once per enclave.",
        "keymeld-enclave");
    app.set_version_flag("--version", std::string("keymeld-enclave ") + KEYMELD_SIGNER_VERSION);
    app.add_option("--listen", options.listen,
                   builder->allows_tcp()
                       ? "where the appliance connects: tcp:ADDRESS:PORT (port 0: any free one), "
                         "vsock:PORT or unix:PATH"
                       : "where the appliance connects: vsock:PORT or unix:PATH")
        ->capture_default_str();
    app.add_flag("--print-port", options.print_port,
                 "print the port listened on as one line on standard output");
    app.add_flag("--verbose", options.verbose, "log every refused request (codes only)");
    builder->add_options(app);
    CLI11_PARSE(app, argc, argv);

    // The library would write a line of its own for every ill-formed request.
    google::protobuf::SetLogHandler(nullptr);
    if (options.verbose)
        log::set_level(log::Level::Debug);
    const auto setup = builder->setup_only();
    const Status status = setup ? *setup : serve(options, *builder);
    if (status)
        return 0;
    std::cerr << "keymeld-enclave: " << status.error().detail << "\n";
    return 1;
}

} // namespace
} // namespace keymeld::enclave

int main(int argc, char** argv) {
    try {
        return keymeld::enclave::run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "keymeld-enclave: " << error.what() << "\n";
        return 1;
    }
}
