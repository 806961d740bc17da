#include "appliance/fleet/sim_fleet.h"

#include <unistd.h>

#include <fstream>
#include <iterator>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/client/rest.h"

namespace keymeld::fleet {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr auto kStartTime = 30s;  ///< for one process
constexpr auto kReadyTime = 60s;  ///< for the whole fleet
constexpr auto kStopGrace = 5s;
constexpr auto kRetryPause = 50ms;

Async<void> pause(std::chrono::milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

Status write_file(const fs::path& path, std::string_view text) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << text;
    out.close();
    if (!out)
        return fail(Errc::Io, "cannot write " + path.string());
    return {};
}

} // namespace

class SimFleet::Impl {
  public:
    Impl(Options options, TemporaryFolder folder, ReservedPort appliance_port)
        : m_options(std::move(options)), m_folder(std::move(folder)), m_appliance_port(std::move(appliance_port)) {
        if (m_options.programs.empty())
            m_options.programs = program_folder();
    }
    ~Impl() { stop_all(children(), kStopGrace); }

    fs::path file(std::string_view name) const { return m_folder.path() / name; }
    void tell(std::string_view what) const {
        if (m_options.progress)
            m_options.progress(what);
    }

    std::vector<ChildProcess*> children() {
        std::vector<ChildProcess*> out;
        if (m_appliance)
            out.push_back(&*m_appliance);
        for (auto& enclave : m_enclaves)
            if (enclave)
                out.push_back(&*enclave);
        for (auto& machine : m_machines)
            for (ChildProcess* child : machine->children())
                out.push_back(child);
        return out;
    }

    /// The processes that are enclaves.
    std::vector<ChildProcess*> enclaves() {
        std::vector<ChildProcess*> out;
        for (auto& enclave : m_enclaves)
            if (enclave)
                out.push_back(&*enclave);
        for (auto& machine : m_machines)
            if (machine->machine() != nullptr)
                out.push_back(machine->machine());
        return out;
    }

    bool virtual_machines() const { return m_options.machines.has_value(); }
    fs::path config_file() const { return virtual_machines() ? file("config/keymeld.yaml") : file("keymeld.yaml"); }
    fs::path database() const { return virtual_machines() ? file("var/keymeld.db") : file("keymeld.db"); }
    fs::path image_folder() const { return file("var/nitro-qemu"); }
    fs::path trust_root() const { return (virtual_machines() ? image_folder() : m_folder.path()) / "pki/root.pem"; }
    fs::path pcrs() const { return virtual_machines() ? image_folder() / "pcrs.json" : file("pki/pcrs.json"); }

    Async<Status> start_all() {
        for (const char* program : {"keymeld", virtual_machines() ? "keymeld-nsm-device" : "keymeld-enclave"}) {
            if (::access((m_options.programs / program).c_str(), X_OK) != 0)
                co_return fail(Errc::Io, "there is no program " + (m_options.programs / program).string());
        }
        if (virtual_machines()) {
            Status started = co_await start_machines();
            if (!started)
                co_return started;
        } else {
            Status started = co_await start_simulators();
            if (!started)
                co_return started;
        }
        Status written = virtual_machines() ? write_machine_config() : write_config();
        if (!written)
            co_return written;
        tell("starting the appliance");
        Status started = co_await start_appliance();
        if (!started)
            co_return started;
        tell("waiting for the canary signatures");
        co_return co_await wait_ready(steady_clock::now() + kReadyTime);
    }

    Async<Status> start_simulators() {
        tell("making the simulator's attestation root");
        Status made = co_await make_pki();
        if (!made)
            co_return made;
        for (std::uint32_t i = 0; i < m_options.enclaves; ++i) {
            auto port = ReservedPort::take();
            if (!port)
                co_return std::move(port).error();
            m_enclave_ports.push_back(std::move(*port));
            m_enclaves.emplace_back();
        }
        for (std::uint32_t i = 0; i < m_options.enclaves; ++i) {
            tell("starting enclave " + std::to_string(i));
            Status started = co_await start_enclave(i);
            if (!started)
                co_return started;
        }
        co_return Status();
    }

    /// All machines boot at the same time.
    Async<Status> start_machines() {
        tell("reading the enclave image");
        Status prepared = prepare_image();
        if (!prepared)
            co_return prepared;
        for (auto& machine : m_machines) {
            Status started = co_await machine->start();
            if (!started)
                co_return started;
        }
        const SteadyTime deadline = steady_clock::now() + VirtualEnclave::kBootTime;
        for (std::size_t i = 0; i < m_machines.size(); ++i) {
            tell("booting the enclave images, " + std::to_string(i) + " of " + std::to_string(m_machines.size()) + " up");
            Status up = co_await m_machines[i]->wait_listening(deadline);
            if (!up)
                co_return up;
        }
        co_return Status();
    }

    /// Copies of what clients and the appliance believe, and the parts of the image.
    Status prepare_image() {
        const MachineOptions& machine = *m_options.machines;
        KEYMELD_CHECK(machine.check());
        std::error_code error;
        fs::create_directories(image_folder() / "pki", error);
        fs::create_directories(config_file().parent_path(), error);
        for (const auto& [from, to] : {std::pair{machine.pcrs(), pcrs()}, std::pair{machine.pki() / "root.pem", trust_root()}}) {
            fs::copy_file(from, to, error);
            if (error)
                return fail(Errc::Io, "cannot copy " + from.string() + ": " + error.message());
        }
        KEYMELD_TRY(const BootFiles boot, BootFiles::extract(machine.eif(), image_folder()));
        for (std::uint32_t i = 0; i < m_options.enclaves; ++i) {
            const std::string name = "enclave-" + std::to_string(i);
            m_machines.push_back(std::make_unique<VirtualEnclave>(VirtualEnclave::Options{
                "enclave " + std::to_string(i), m_options.programs, image_folder() / name, file(name + ".log"), machine, boot}));
        }
        return {};
    }

    Async<Status> make_pki() {
        auto child = ChildProcess::start({.name = "keymeld-enclave --sim-init",
                                          .program = m_options.programs / "keymeld-enclave",
                                          .arguments = {"--sim-init", file("pki").string()},
                                          .folder = m_folder.path(),
                                          .log = file("sim-init.log")});
        if (!child)
            co_return std::move(child).error();
        Status ended = co_await child->ended(steady_clock::now() + kStartTime);
        if (!ended)
            co_return ended;
        if (!child->succeeded())
            co_return fail(Errc::Io, child->name() + " failed (" + child->status_text() + ")\n" + child->log_tail());
        co_return Status();
    }

    Async<Status> start_enclave(std::uint32_t index) {
        if (virtual_machines()) {
            Status started = co_await m_machines.at(index)->start();
            if (!started)
                co_return started;
            const SteadyTime deadline = steady_clock::now() + VirtualEnclave::kBootTime;
            co_return co_await m_machines[index]->wait_listening(deadline);
        }
        const std::string number = std::to_string(index);
        auto child = ChildProcess::start(
            {.name = "enclave " + number,
             .program = m_options.programs / "keymeld-enclave",
             .arguments = {"--listen", "tcp:127.0.0.1:" + std::to_string(m_enclave_ports[index].number()), "--print-port",
                           "--sim-dir", file("pki").string(), "--sim-identity", file("enclave-" + number + ".identity").string()},
             .folder = m_folder.path(),
             .log = file("enclave-" + number + ".log"),
             .pipe_output = true});
        if (!child)
            co_return std::move(child).error();
        m_enclaves[index] = std::move(*child);
        auto line = co_await m_enclaves[index]->read_line(steady_clock::now() + kStartTime);
        if (!line)
            co_return std::move(line).error();
        co_return Status();
    }

    /// All but the enclaves.
    std::string base_config() const {
        std::string yaml = "storage: { plugin: storage-sqlite, path: " + database().string() +
                           " }\ntweak: { plugin: tweak-taproot }\nserver: { listen: \"127.0.0.1:" +
                           std::to_string(m_appliance_port.number()) + "\" }\nlog: { level: " + m_options.log_level + " }\n";
        if (!m_options.limits.empty()) {
            yaml += "limits:\n";
            for (const auto& [name, value] : m_options.limits)
                yaml += "  " + name + ": " + value + "\n";
        }
        return yaml + "enclaves:\n";
    }

    Status write_machine_config() const {
        if (!m_options.config.empty())
            return write_given_config();
        std::string yaml = base_config();
        for (std::size_t i = 0; i < m_machines.size(); ++i)
            yaml += "  - { id: " + std::to_string(i) + ", transport: { plugin: transport-vsock, path: ../var/nitro-qemu/enclave-" +
                    std::to_string(i) + "/v.sock, port: " + std::to_string(VirtualEnclave::kSignerPort) +
                    " }, attestation: { trust: ../var/nitro-qemu/pki/root.pem, pcrs: ../var/nitro-qemu/pcrs.json } }\n";
        return write_file(config_file(), yaml);
    }

    Status write_given_config() const {
        std::ifstream in(m_options.config, std::ios::binary);
        std::string yaml{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
        const auto replace = [&](const std::string& text, const std::string& by) -> Status {
            const std::size_t at = yaml.find(text);
            if (at == std::string::npos)
                return fail(Errc::ConfigInvalid, m_options.config.string() + ": no '" + text + "' in it");
            yaml.replace(at, text.size(), by);
            return {};
        };
        KEYMELD_CHECK(replace("listen: 127.0.0.1:8080", "listen: 127.0.0.1:" + std::to_string(m_appliance_port.number())));
        std::string limits = "limits:\n";
        for (const auto& [name, value] : m_options.limits)
            limits += "  " + name + ": " + value + "\n";
        KEYMELD_CHECK(replace("limits:\n", limits));
        return write_file(config_file(), yaml);
    }

    Status write_config() const {
        std::string yaml = base_config();
        for (std::size_t i = 0; i < m_enclave_ports.size(); ++i)
            yaml += "  - { id: " + std::to_string(i) + ", transport: { plugin: transport-tcp-sim, host: 127.0.0.1, port: " +
                    std::to_string(m_enclave_ports[i].number()) +
                    " }, attestation: { trust: pki/root.pem, pcrs: pki/pcrs.json } }\n";
        return write_file(config_file(), yaml);
    }

    Async<Status> start_appliance() {
        auto child = ChildProcess::start({.name = "appliance",
                                          .program = m_options.programs / "keymeld",
                                          .arguments = {"serve", "--config", config_file().string()},
                                          .folder = m_folder.path(),
                                          .log = file("appliance.log")});
        if (!child)
            co_return std::move(child).error();
        m_appliance = std::move(*child);
        const SteadyTime deadline = steady_clock::now() + kStartTime;
        client::RestClient rest(co_await asio::this_coro::executor, endpoint());
        for (;;) {
            auto health = co_await rest.health();
            if (health)
                co_return Status();
            if (!m_appliance->running())
                co_return ended_error(*m_appliance);
            if (steady_clock::now() >= deadline)
                co_return fail(Errc::DeadlineExceeded, "the appliance does not answer\n" + m_appliance->log_tail());
            co_await pause(kRetryPause);
        }
    }

    Async<Status> wait_ready(SteadyTime deadline) {
        client::RestClient rest(co_await asio::this_coro::executor, endpoint());
        for (;;) {
            Status ready = co_await rest.ready();
            if (ready)
                co_return Status();
            for (ChildProcess* child : children())
                if (!child->running())
                    co_return ended_error(*child);
            if (steady_clock::now() >= deadline)
                co_return fail(Errc::NotReady, ready.error().detail + "\n" + m_appliance->log_tail());
            co_await pause(kRetryPause);
        }
    }

    client::Endpoint endpoint() const {
        client::Endpoint out;
        out.port = m_appliance_port.number();
        return out;
    }

    static Error ended_error(ChildProcess& child) {
        return fail(Errc::Io, child.name() + " ended (" + child.status_text() + ")\n" + child.log_tail());
    }

    Options m_options;
    TemporaryFolder m_folder; // goes last: the processes have files open in it
    ReservedPort m_appliance_port;
    std::vector<ReservedPort> m_enclave_ports;
    std::vector<std::optional<ChildProcess>> m_enclaves;
    std::vector<std::unique_ptr<VirtualEnclave>> m_machines;
    std::optional<ChildProcess> m_appliance;
};

SimFleet::SimFleet(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
SimFleet::~SimFleet() = default;

std::map<std::string, std::string> SimFleet::lifted_limits() {
    return {{"rate_per_client", "1000000"},
            {"rate_burst", "1000000"},
            {"max_inflight_requests", "1000000"},
            {"event_streams_per_client", "100000"},
            {"event_streams_total", "100000"},
            {"pending_keygen_sessions_per_client", "100000"},
            {"pending_keygen_sessions_total", "100000"}};
}

Async<Result<std::unique_ptr<SimFleet>>> SimFleet::start(Options options) {
    auto folder = TemporaryFolder::make("keymeld");
    if (!folder)
        co_return std::move(folder).error();
    auto port = ReservedPort::take();
    if (!port)
        co_return std::move(port).error();
    std::unique_ptr<SimFleet> fleet(
        new SimFleet(std::make_unique<Impl>(std::move(options), std::move(*folder), std::move(*port))));
    Status started = co_await fleet->m_impl->start_all();
    if (!started)
        co_return std::move(started).error();
    co_return fleet;
}

client::Endpoint SimFleet::endpoint() const { return m_impl->endpoint(); }
std::uint32_t SimFleet::enclave_count() const { return m_impl->m_options.enclaves; }
const fs::path& SimFleet::folder() const { return m_impl->m_folder.path(); }
fs::path SimFleet::config_file() const { return m_impl->config_file(); }
fs::path SimFleet::database() const { return m_impl->database(); }
fs::path SimFleet::trust_root() const { return m_impl->trust_root(); }
fs::path SimFleet::pcrs() const { return m_impl->pcrs(); }

std::vector<ProcessUsage> SimFleet::usage() {
    std::vector<ProcessUsage> out;
    for (ChildProcess* child : m_impl->children())
        out.push_back({child->name(), child->pid(), child->cpu_time()});
    return out;
}

std::string SimFleet::casualties() {
    std::string out;
    for (ChildProcess* child : m_impl->children())
        if (!child->running())
            out += child->name() + " ended (" + child->status_text() + ")\n" + child->log_tail() + "\n";
    return out;
}

std::string SimFleet::logs() {
    std::string out;
    for (ChildProcess* child : m_impl->children())
        out += child->log_tail() + "\n";
    return out;
}

void SimFleet::kill_appliance() { m_impl->m_appliance->kill(); }
void SimFleet::kill_enclave(std::uint32_t index) {
    if (m_impl->virtual_machines())
        m_impl->m_machines.at(index)->kill();
    else
        m_impl->m_enclaves.at(index)->kill();
}

bool SimFleet::stop_appliance() {
    m_impl->m_appliance->stop(kStopGrace);
    return m_impl->m_appliance->succeeded();
}

Async<Status> SimFleet::start_appliance() { return m_impl->start_appliance(); }
Async<Status> SimFleet::start_enclave(std::uint32_t index) { return m_impl->start_enclave(index); }
Async<Status> SimFleet::wait_ready(SteadyTime deadline) { return m_impl->wait_ready(deadline); }

Status SimFleet::shut_down() {
    std::string unclean;
    // The appliance first: it closes its sessions with enclaves that still answer.
    if (m_impl->m_appliance && m_impl->m_appliance->running() && !stop_appliance())
        unclean += " appliance (" + m_impl->m_appliance->status_text() + ")";
    // Then the enclaves: a machine's devices go when it is gone.
    stop_all(m_impl->enclaves(), kStopGrace);
    for (ChildProcess* enclave : m_impl->enclaves())
        if (!enclave->succeeded())
            unclean += " " + enclave->name() + " (" + enclave->status_text() + ")";
    stop_all(m_impl->children(), kStopGrace);
    KEYMELD_CHECK(m_impl->m_folder.remove());
    if (!unclean.empty())
        return fail(Errc::Io, "did not stop cleanly:" + unclean);
    return {};
}

} // namespace keymeld::fleet
