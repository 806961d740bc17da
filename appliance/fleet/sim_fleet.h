// A whole KeyMeld on this machine: N simulated enclaves, or as many enclave images in virtual machines, and an appliance on an embedded
// SQLite, as child processes in a temporary folder.
//
// The demo, the benchmark and the end-to-end tests run on it. Everything that it started is gone when it is destroyed, and when its process
// dies in any other way the kernel kills the children. Neither protects anything from the machine's owner: keys that matter must never get here.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "appliance/client/http.h"
#include "appliance/fleet/child_process.h"
#include "appliance/fleet/virtual_enclave.h"

namespace keymeld::fleet {

/// CPU time of one process of a fleet.
struct ProcessUsage {
    std::string name; ///< "appliance", "enclave 0"
    pid_t pid = -1;
    std::chrono::nanoseconds cpu{0};
};

/// Thread rule: one thread, which must live as long as the fleet. The asynchronous functions run on the caller's executor.
class SimFleet {
  public:
    struct Options {
        std::uint32_t enclaves = 3;
        /// Folder of `keymeld` and `keymeld-enclave`; empty: that of the running program.
        std::filesystem::path programs = {};
        /// Keys of the configuration's `limits` mapping.
        std::map<std::string, std::string> limits = {};
        std::string log_level = "info";
        /// Set: enclaves are images in virtual machines, reached over hybrid vsock. They have no file for their key: it survives a start
        /// while another one runs.
        std::optional<MachineOptions> machines = {};
        /// With `machines`: a configuration to use in place of one made here, as config/nitro-qemu.yaml: enclave N at
        /// ../var/nitro-qemu/enclave-N/v.sock, trust ../var/nitro-qemu/pki/root.pem, pcrs ../var/nitro-qemu/pcrs.json, and
        /// `listen: 127.0.0.1:8080`, which is replaced; `limits` are added to those in it.
        std::filesystem::path config = {};
        /// Told what is being started, for a progress display.
        std::function<void(std::string_view)> progress = {};
    };

    /// Settings for `limits` that let one client do as much as the machine can.
    static std::map<std::string, std::string> lifted_limits();

    /// Ends when the appliance is ready: every enclave attested and a canary signature made on each. `Errc::Io` if a program is missing or ends
    /// early (the detail holds the end of its log), `Errc::NotReady` if it takes longer than a minute.
    static Async<Result<std::unique_ptr<SimFleet>>> start(Options options);

    /// Stops all processes and removes the folder. Blocks for at most the grace time of a few seconds.
    ~SimFleet();
    SimFleet(const SimFleet&) = delete;
    SimFleet& operator=(const SimFleet&) = delete;

    client::Endpoint endpoint() const;
    std::uint32_t enclave_count() const;
    const std::filesystem::path& folder() const;
    std::filesystem::path config_file() const;
    std::filesystem::path database() const;
    /// What a client gives as `--trust` and `--pcrs`.
    std::filesystem::path trust_root() const;
    std::filesystem::path pcrs() const;

    /// In the order appliance, enclave 0, 1, ...; a virtual machine's devices follow it.
    std::vector<ProcessUsage> usage();
    /// For a failure message: which processes have ended by themselves, and the end of their logs; empty if all run.
    std::string casualties();
    /// The end of every log.
    std::string logs();

    /// kill -9, reaped at once.
    void kill_appliance();
    void kill_enclave(std::uint32_t index);
    /// SIGTERM and waiting for the end; false if it had to be killed.
    bool stop_appliance();

    /// Start again after a kill, at the same address and with the same files. start_appliance() ends when it answers HTTP (it may not be ready
    /// yet), start_enclave() when it listens. `Errc::Io`, `Errc::DeadlineExceeded`.
    Async<Status> start_appliance();
    Async<Status> start_enclave(std::uint32_t index);
    /// GET /ready until it says yes. `Errc::NotReady` with the appliance's reasons.
    Async<Status> wait_ready(SteadyTime deadline);

    /// Stops everything and removes the folder now. `Errc::Io` if a process had to be killed or the folder is still there.
    Status shut_down();

  private:
    class Impl;
    explicit SimFleet(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace keymeld::fleet
