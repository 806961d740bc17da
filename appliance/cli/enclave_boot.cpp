#include <CLI/CLI.hpp>

#include "appliance/cli/enclave_foreground.h"
#include "appliance/fleet/virtual_enclave.h"

namespace keymeld::cli {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using std::chrono::steady_clock;

namespace {

struct BootOptions {
    ForegroundOptions common;
    fs::path qemu;
    unsigned memory_mib = 256;
};

/// An enclave as the configuration describes it.
struct Wanted {
    std::uint32_t id = 0;
    fs::path socket;
    fleet::MachineOptions machine;
};

Result<std::vector<Wanted>> enclaves_to_boot(const config::Config& config, const BootOptions& options) {
    std::vector<Wanted> out;
    for (const config::Enclave& enclave : config.enclaves) {
        if (!enclave.enabled)
            continue;
        if (enclave.transport.plugin != "transport-vsock")
            return unfit(enclave, "is not reached over vsock: its transport is " + enclave.transport.plugin);
        if (enclave.attestation.aws)
            return unfit(enclave, "trusts the AWS root, which no virtual machine can satisfy");
        plugin::Options transport = enclave.transport.options;
        KEYMELD_TRY(const fs::path socket, transport.required_path("path"));
        KEYMELD_TRY(const std::uint64_t port, transport.required_number("port", 1, 65535));
        const fs::path image = enclave.attestation.pcrs.parent_path();
        if (socket.filename() != "v.sock" || port != fleet::VirtualEnclave::kSignerPort ||
            enclave.attestation.root_pem != image / "pki/root.pem" || enclave.attestation.pcrs != image / "pcrs.json")
            return unfit(enclave, "needs `path: .../v.sock`, `port: 5000`, `trust: DIR/pki/root.pem` and `pcrs: DIR/pcrs.json` of the one "
                                  "folder that scripts/build-image --test makes");
        out.push_back({enclave.id, socket, {image, options.qemu, options.memory_mib}});
    }
    return out;
}

/// Boots them and stays until one of them ends, which is an error.
asio::awaitable<Error> run_machines(const BootOptions& options, Progress& progress) {
    const auto config = config::load_file(options.common.config);
    if (!config)
        co_return config.error();
    const auto wanted = enclaves_to_boot(*config, options);
    if (!wanted)
        co_return wanted.error();
    std::vector<std::shared_ptr<fleet::VirtualEnclave>> machines;
    ForegroundProcesses processes;
    for (const Wanted& enclave : *wanted) {
        const Status complete = enclave.machine.check();
        if (!complete)
            co_return complete.error();
        const fs::path folder = enclave.socket.parent_path();
        std::error_code error;
        fs::create_directories(folder, error);
        auto boot = fleet::BootFiles::extract(enclave.machine.eif(), folder);
        if (!boot)
            co_return std::move(boot).error();
        machines.push_back(std::make_shared<fleet::VirtualEnclave>(
            fleet::VirtualEnclave::Options{"enclave " + std::to_string(enclave.id), fleet::program_folder(), folder, folder / "console.log",
                                           enclave.machine, std::move(*boot)}));
        Status started = co_await machines.back()->start();
        for (fleet::ChildProcess* child : machines.back()->children())
            processes.add({machines.back(), child}); // the machine lives as long as a process of it is waited for
        if (!started)
            co_return std::move(started).error();
    }
    const SteadyTime deadline = steady_clock::now() + fleet::VirtualEnclave::kBootTime;
    for (std::size_t i = 0; i < machines.size(); ++i) {
        Status up = co_await machines[i]->wait_listening(deadline);
        if (!up)
            co_return std::move(up).error();
        progress.line("enclave " + std::to_string((*wanted)[i].id) + ": " + machines[i]->socket().string() + ", console in " +
                      (machines[i]->socket().parent_path() / "console.log").string());
    }
    progress.line("Images in virtual machines protect nothing: do not give them keys that matter. Each start gives them new keys. Ctrl-C stops "
                  "them.\nIn another shell:  keymeld serve --config " + options.common.config.string());
    Error ended = co_await processes.one_ended();
    co_return ended;
}

} // namespace

Run prepare_enclave_boot(CLI::App& app) {
    auto options = std::make_shared<BootOptions>();
    add_foreground_options(app, options->common);
    app.add_option("--qemu", options->qemu, "QEMU and its vsock device (the folder that scripts/get-qemu makes)")->required()->type_name("DIR");
    app.add_option("--memory", options->memory_mib, "MiB of each machine")->check(CLI::Range(128, 4096))->capture_default_str();
    app.footer("Boots the enclave image that scripts/build-image --test makes in one virtual machine for each enclave of the configuration, in\n"
               "the foreground, until Ctrl-C.\n\n"
               "Example, in two shells:\n"
               "  scripts/get-qemu && scripts/build-image --test --out var/nitro-qemu\n"
               "  keymeld enclave boot --config config/nitro-qemu.yaml --qemu .cache/qemu\n"
               "  keymeld serve --config config/nitro-qemu.yaml");
    return [options] {
        return run_in_foreground(options->common.quiet, [&options](Progress& progress) { return run_machines(*options, progress); });
    };
}

} // namespace keymeld::cli
