#include <CLI/CLI.hpp>

#include "appliance/cli/enclave_foreground.h"

namespace keymeld::cli {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr auto kStartTime = 30s;

/// A simulated enclave as the configuration describes it.
struct Simulated {
    std::uint32_t id = 0;
    std::string listen; ///< tcp:HOST:PORT
    fs::path folder;    ///< of the simulator's root
};

Result<std::vector<Simulated>> simulated_enclaves(const config::Config& config) {
    std::vector<Simulated> out;
    for (const config::Enclave& enclave : config.enclaves) {
        if (!enclave.enabled)
            continue;
        if (enclave.transport.plugin != "transport-tcp-sim")
            return unfit(enclave, "is not simulated: its transport is " + enclave.transport.plugin);
        if (enclave.attestation.aws)
            return unfit(enclave, "trusts the AWS root, which no simulator can satisfy");
        if (enclave.attestation.root_pem.filename() != "root.pem" ||
            enclave.attestation.pcrs != enclave.attestation.root_pem.parent_path() / "pcrs.json")
            return unfit(enclave, "needs `trust: DIR/root.pem` and `pcrs: DIR/pcrs.json` of one folder: that is what the simulator writes");
        plugin::Options transport = enclave.transport.options;
        KEYMELD_TRY(const std::string host, transport.text("host", "127.0.0.1"));
        KEYMELD_TRY(const std::uint64_t port, transport.required_number("port", 1, 65535));
        const bool v6 = host.find(':') != std::string::npos;
        out.push_back({enclave.id, "tcp:" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port),
                       enclave.attestation.root_pem.parent_path()});
    }
    return out;
}

Result<fs::path> find_signer() {
    const fs::path program = fleet::program_folder() / "keymeld-enclave";
    std::error_code error;
    if (!fs::exists(program, error))
        return fail(Errc::Io, "there is no " + program.string());
    return program;
}

/// Makes the root if it is missing and writes this build's measurement.
asio::awaitable<Status> initialise(const fs::path& program, const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error)
        co_return fail(Errc::Io, "cannot make the folder " + folder.string() + ": " + error.message());
    auto child = fleet::ChildProcess::start({.name = "keymeld-enclave --sim-init",
                                             .program = program,
                                             .arguments = {"--sim-init", folder.string()},
                                             .folder = {},
                                             .log = folder / "init.log"});
    if (!child)
        co_return std::move(child).error();
    Status ended = co_await child->ended(steady_clock::now() + kStartTime);
    if (!ended)
        co_return ended;
    if (!child->succeeded())
        co_return fail(Errc::Io, child->name() + " failed (" + child->status_text() + ")\n" + child->log_tail());
    co_return Status();
}

/// Starts them and stays until one of them ends, which is an error.
asio::awaitable<Error> run_simulated(const ForegroundOptions& options, Progress& progress) {
    const auto config = config::load_file(options.config);
    if (!config)
        co_return config.error();
    const auto wanted = simulated_enclaves(*config);
    if (!wanted)
        co_return wanted.error();
    const auto program = find_signer();
    if (!program)
        co_return program.error();
    ForegroundProcesses enclaves;
    fs::path initialised;
    for (const Simulated& enclave : *wanted) {
        if (enclave.folder != initialised) {
            Status made = co_await initialise(*program, enclave.folder);
            if (!made)
                co_return std::move(made).error();
            initialised = enclave.folder;
        }
        const std::string number = std::to_string(enclave.id);
        auto started = fleet::ChildProcess::start(
            {.name = "enclave " + number,
             .program = *program,
             .arguments = {"--listen", enclave.listen, "--print-port", "--sim-dir", enclave.folder.string(), "--sim-identity",
                           (enclave.folder / ("enclave-" + number + ".identity")).string()},
             .folder = {},
             .log = enclave.folder / ("enclave-" + number + ".log"),
             .pipe_output = true});
        if (!started)
            co_return std::move(started).error();
        const auto child = std::make_shared<fleet::ChildProcess>(std::move(*started));
        enclaves.add(child);
        auto line = co_await child->read_line(steady_clock::now() + kStartTime);
        if (!line)
            co_return std::move(line).error();
        progress.line("enclave " + number + ": " + enclave.listen + ", log in " +
                      (enclave.folder / ("enclave-" + number + ".log")).string());
    }
    progress.line("Simulated enclaves protect nothing: do not give them keys that matter. Ctrl-C stops them.\n"
                  "In another shell:  keymeld serve --config " + options.config.string());
    Error ended = co_await enclaves.one_ended();
    co_return ended;
}

} // namespace

Run prepare_enclave_simulate(CLI::App& app) {
    auto options = std::make_shared<ForegroundOptions>();
    add_foreground_options(app, *options);
    app.footer("Starts the simulated enclaves that the configuration names, in the foreground, until Ctrl-C. Makes their attestation root at\n"
               "the first start; their keys are in files beside it and survive a restart.\n\n"
               "Example, in two shells:\n"
               "  keymeld enclave simulate --config config/sim.yaml\n"
               "  keymeld serve --config config/sim.yaml");
    return [options] {
        return run_in_foreground(options->quiet, [&options](Progress& progress) { return run_simulated(*options, progress); });
    };
}

} // namespace keymeld::cli
