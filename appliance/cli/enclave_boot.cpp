#include <csignal>

#include <CLI/CLI.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/cli/command.h"
#include "appliance/cli/command_loop.h"
#include "appliance/cli/progress.h"
#include "appliance/fleet/virtual_enclave.h"
#include "core/config/config.h"

namespace keymeld::cli {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds kStopGrace{3};
constexpr std::chrono::milliseconds kLook{200};

struct Options {
    fs::path config;
    fs::path qemu;
    unsigned memory_mib = 256;
    bool quiet = false;
};

/// An enclave as the configuration describes it.
struct Wanted {
    std::uint32_t id = 0;
    fs::path socket;
    fleet::MachineOptions machine;
};

Result<std::vector<Wanted>> read_enclaves(const config::Config& config, const Options& options) {
    std::vector<Wanted> out;
    for (const config::Enclave& enclave : config.enclaves) {
        if (!enclave.enabled)
            continue;
        const auto refuse = [&](std::string_view why) {
            return fail(Errc::ConfigInvalid, enclave.where + ": enclave " + std::to_string(enclave.id) + " " + std::string(why));
        };
        if (enclave.transport.plugin != "transport-vsock")
            return refuse("is not reached over vsock: its transport is " + enclave.transport.plugin);
        if (enclave.attestation.aws)
            return refuse("trusts the AWS root, which no virtual machine can satisfy");
        plugin::Options transport = enclave.transport.options;
        KEYMELD_TRY(const fs::path socket, transport.required_path("path"));
        KEYMELD_TRY(const std::uint64_t port, transport.required_number("port", 1, 65535));
        const fs::path image = enclave.attestation.pcrs.parent_path();
        if (socket.filename() != "v.sock" || port != fleet::VirtualEnclave::kSignerPort ||
            enclave.attestation.root_pem != image / "pki/root.pem" || enclave.attestation.pcrs != image / "pcrs.json")
            return refuse("needs `path: .../v.sock`, `port: 5000`, `trust: DIR/pki/root.pem` and `pcrs: DIR/pcrs.json` of the one folder "
                          "that scripts/build-image --test makes");
        out.push_back({enclave.id, socket, {image, options.qemu, options.memory_mib}});
    }
    return out;
}

using Machines = std::vector<std::unique_ptr<fleet::VirtualEnclave>>;

/// Stops the machines when the command ends, however it ends.
struct Running {
    Machines machines;
    ~Running() {
        std::vector<fleet::ChildProcess*> all;
        for (const auto& machine : machines)
            for (fleet::ChildProcess* child : machine->children())
                all.push_back(child);
        fleet::stop_all(all, kStopGrace);
    }
};

/// Boots them and stays until one of them ends, which is an error.
asio::awaitable<Status> run_all(const Options& options, Progress& progress) {
    const auto config = config::load_file(options.config);
    if (!config)
        co_return config.error();
    const auto wanted = read_enclaves(*config, options);
    if (!wanted)
        co_return wanted.error();
    Running running;
    for (const Wanted& enclave : *wanted) {
        const Status complete = enclave.machine.check();
        if (!complete)
            co_return complete;
        const fs::path folder = enclave.socket.parent_path();
        std::error_code error;
        fs::create_directories(folder, error);
        auto boot = fleet::BootFiles::extract(enclave.machine.eif(), folder);
        if (!boot)
            co_return std::move(boot).error();
        running.machines.push_back(std::make_unique<fleet::VirtualEnclave>(
            fleet::VirtualEnclave::Options{"enclave " + std::to_string(enclave.id), fleet::program_folder(), folder, folder / "console.log",
                                           enclave.machine, std::move(*boot)}));
        Status started = co_await running.machines.back()->start();
        if (!started)
            co_return started;
    }
    const SteadyTime deadline = steady_clock::now() + fleet::VirtualEnclave::kBootTime;
    for (std::size_t i = 0; i < running.machines.size(); ++i) {
        Status up = co_await running.machines[i]->wait_listening(deadline);
        if (!up)
            co_return up;
        progress.line("enclave " + std::to_string((*wanted)[i].id) + ": " + running.machines[i]->socket().string() + ", console in " +
                      (running.machines[i]->socket().parent_path() / "console.log").string());
    }
    progress.line("Images in virtual machines protect nothing: do not give them keys that matter. Each start gives them new keys. Ctrl-C stops "
                  "them.\nIn another shell:  keymeld serve --config " + options.config.string());
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (;;) {
        for (const auto& machine : running.machines)
            for (fleet::ChildProcess* child : machine->children())
                if (!child->running())
                    co_return fail(Errc::Io, child->name() + " ended (" + child->status_text() + ")\n" + child->log_tail());
        timer.expires_after(kLook);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

asio::awaitable<int> run(Options options) {
    const auto executor = co_await asio::this_coro::executor;
    Progress progress(executor, options.quiet ? Progress::Style::Silent : Progress::Style::Shown);
    const Status ended = co_await run_all(options, progress);
    if (ended)
        co_return 0;
    co_await unless_interrupted();
    co_return report(ended.error());
}

} // namespace

Run prepare_enclave_boot(CLI::App& app) {
    auto options = std::make_shared<Options>();
    add_config_option(app, options->config);
    app.add_option("--qemu", options->qemu, "QEMU and its vsock device (the folder that scripts/get-qemu makes)")->required()->type_name("DIR");
    app.add_option("--memory", options->memory_mib, "MiB of each machine")->check(CLI::Range(128, 4096))->capture_default_str();
    app.add_flag("-q,--quiet", options->quiet, "Say nothing while all is well");
    app.footer("Boots the enclave image that scripts/build-image --test makes in one virtual machine for each enclave of the configuration, in\n"
               "the foreground, until Ctrl-C.\n\n"
               "Example, in two shells:\n"
               "  scripts/get-qemu && scripts/build-image --test --out var/nitro-qemu\n"
               "  keymeld enclave boot --config config/nitro-qemu.yaml --qemu .cache/qemu\n"
               "  keymeld serve --config config/nitro-qemu.yaml");
    return [options] {
        const int code = run_command([options] { return run(*options); });
        return code == 128 + SIGINT || code == 128 + SIGTERM ? 0 : code; // that is how it is meant to end
    };
}

} // namespace keymeld::cli
