#include <csignal>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/cli/command.h"
#include "appliance/cli/command_loop.h"
#include "appliance/cli/progress.h"
#include "appliance/fleet/child_process.h"
#include "core/config/config.h"

namespace keymeld::cli {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr auto kStartTime = 30s;
constexpr auto kStopGrace = 3s;

struct Options {
    fs::path config;
    bool quiet = false;
};

/// A simulated enclave as the configuration describes it.
struct Simulated {
    std::uint32_t id = 0;
    std::string listen; ///< tcp:HOST:PORT
    fs::path folder;    ///< of the simulator's root
};

Result<std::vector<Simulated>> read_enclaves(const config::Config& config) {
    std::vector<Simulated> out;
    for (const config::Enclave& enclave : config.enclaves) {
        if (!enclave.enabled)
            continue;
        const auto refuse = [&](std::string_view why) {
            return fail(Errc::ConfigInvalid, enclave.where + ": enclave " + std::to_string(enclave.id) + " " + std::string(why));
        };
        if (enclave.transport.plugin != "transport-tcp-sim")
            return refuse("is not simulated: its transport is " + enclave.transport.plugin);
        if (enclave.attestation.aws)
            return refuse("trusts the AWS root, which no simulator can satisfy");
        if (enclave.attestation.root_pem.filename() != "root.pem" ||
            enclave.attestation.pcrs != enclave.attestation.root_pem.parent_path() / "pcrs.json")
            return refuse("needs `trust: DIR/root.pem` and `pcrs: DIR/pcrs.json` of one folder: that is what the simulator writes");
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

using Child = std::shared_ptr<fleet::ChildProcess>;

/// Stops the enclaves when the command ends, however it ends.
struct Enclaves {
    std::vector<Child> children;
    ~Enclaves() {
        std::vector<fleet::ChildProcess*> all;
        for (const Child& child : children)
            all.push_back(child.get());
        fleet::stop_all(all, kStopGrace);
    }
};

asio::awaitable<void> wake_at_end(Child child, std::shared_ptr<asio::steady_timer> timer) {
    const Status ended = co_await child->ended(SteadyTime::max());
    if (ended)
        timer->cancel();
}

/// Starts them and stays until one of them ends, which is an error.
asio::awaitable<Status> run_all(const Options& options, Progress& progress) {
    const auto config = config::load_file(options.config);
    if (!config)
        co_return config.error();
    const auto wanted = read_enclaves(*config);
    if (!wanted)
        co_return wanted.error();
    const auto program = find_signer();
    if (!program)
        co_return program.error();
    const auto executor = co_await asio::this_coro::executor;
    const auto one_ended = std::make_shared<asio::steady_timer>(executor, SteadyTime::max());
    Enclaves enclaves;
    for (const Simulated& enclave : *wanted) {
        if (enclaves.children.empty() || enclave.folder != wanted->front().folder) {
            Status made = co_await initialise(*program, enclave.folder);
            if (!made)
                co_return made;
        }
        const std::string number = std::to_string(enclave.id);
        auto child = fleet::ChildProcess::start(
            {.name = "enclave " + number,
             .program = *program,
             .arguments = {"--listen", enclave.listen, "--print-port", "--sim-dir", enclave.folder.string(), "--sim-identity",
                           (enclave.folder / ("enclave-" + number + ".identity")).string()},
             .folder = {},
             .log = enclave.folder / ("enclave-" + number + ".log"),
             .pipe_output = true});
        if (!child)
            co_return std::move(child).error();
        enclaves.children.push_back(std::make_shared<fleet::ChildProcess>(std::move(*child)));
        auto line = co_await enclaves.children.back()->read_line(steady_clock::now() + kStartTime);
        if (!line)
            co_return std::move(line).error();
        progress.line("enclave " + number + ": " + enclave.listen + ", log in " +
                      (enclave.folder / ("enclave-" + number + ".log")).string());
    }
    progress.line("Simulated enclaves protect nothing: do not give them keys that matter. Ctrl-C stops them.\n"
                  "In another shell:  keymeld serve --config " + options.config.string());
    for (const Child& child : enclaves.children)
        asio::co_spawn(executor, wake_at_end(child, one_ended), asio::detached);
    boost::system::error_code woken;
    co_await one_ended->async_wait(asio::redirect_error(asio::use_awaitable, woken));
    for (const Child& child : enclaves.children)
        if (!child->running())
            co_return fail(Errc::Io, child->name() + " ended (" + child->status_text() + ")\n" + child->log_tail());
    co_return Status();
}

asio::awaitable<int> run(Options options) {
    Progress progress(co_await asio::this_coro::executor, options.quiet ? Progress::Style::Silent : Progress::Style::Shown);
    const Status ended = co_await run_all(options, progress);
    if (ended)
        co_return 0;
    co_await unless_interrupted();
    co_return report(ended.error());
}

} // namespace

Run prepare_enclave_simulate(CLI::App& app) {
    auto options = std::make_shared<Options>();
    add_config_option(app, options->config);
    app.add_flag("-q,--quiet", options->quiet, "Say nothing while all is well");
    app.footer("Starts the simulated enclaves that the configuration names, in the foreground, until Ctrl-C. Makes their attestation root at\n"
               "the first start; their keys are in files beside it and survive a restart.\n\n"
               "Example, in two shells:\n"
               "  keymeld enclave simulate --config config/sim.yaml\n"
               "  keymeld serve --config config/sim.yaml");
    return [options] {
        const int code = run_command([options] { return run(*options); });
        return code == 128 + SIGINT || code == 128 + SIGTERM ? 0 : code; // that is how it is meant to end
    };
}

} // namespace keymeld::cli
