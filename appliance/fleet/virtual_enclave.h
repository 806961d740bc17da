// One enclave image in a virtual machine of QEMU: no Nitro, but the same image, kernel, drivers and protocol. For the demo and tests.
//
// Three processes: keymeld-nsm-device (the security module, signing under a test PKI), vhost-device-vsock, and QEMU itself. The machine's
// owner sees all of its memory: keys that matter must never get here.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "appliance/fleet/child_process.h"

namespace keymeld::fleet {

/// What `scripts/build-image --test` makes, and the programs that run it.
struct MachineOptions {
    std::filesystem::path image; ///< folder with keymeld-enclave-test.eif, pcrs.json and pki/
    std::filesystem::path qemu;  ///< folder with qemu-system-x86_64 and vhost-device-vsock, as scripts/get-qemu makes it
    unsigned memory_mib = 256;   ///< of each machine

    std::filesystem::path eif() const { return image / "keymeld-enclave-test.eif"; }
    std::filesystem::path pcrs() const { return image / "pcrs.json"; }
    std::filesystem::path pki() const { return image / "pki"; }
    /// `Errc::Io` if a file or program is missing; the detail says which, and which script makes it.
    Status check() const;
};

/// Kernel, command line and initial ramdisk, as a boot loader wants them.
struct BootFiles {
    std::filesystem::path kernel;
    std::filesystem::path ramdisk; ///< all ramdisks of the image, one after the other
    std::string command_line;

    /// Cuts them out of an image into `folder`. `Errc::Io`, `Errc::InvalidArgument`; the detail names the image.
    static Result<BootFiles> extract(const std::filesystem::path& eif, const std::filesystem::path& folder);
};

/// Thread rule: that of ChildProcess; one executor.
class VirtualEnclave {
  public:
    static constexpr std::uint32_t kSignerPort = 5000;
    static constexpr std::chrono::seconds kBootTime{60}; ///< emulated, on a busy machine; an idle one needs three

    struct Options {
        std::string name;                   ///< "enclave 2"
        std::filesystem::path programs;     ///< folder of keymeld-nsm-device
        std::filesystem::path folder;       ///< its own: sockets; made if missing
        std::filesystem::path log;          ///< its console
        MachineOptions machine;
        BootFiles boot;
    };

    explicit VirtualEnclave(Options options);
    ~VirtualEnclave();
    VirtualEnclave(const VirtualEnclave&) = delete;
    VirtualEnclave& operator=(const VirtualEnclave&) = delete;

    /// The hybrid socket at which vhost-device-vsock takes connections to the enclave.
    std::filesystem::path socket() const { return m_options.folder / "v.sock"; }

    /// Starts the three processes; ends before the image is up. `Errc::Io`, `Errc::DeadlineExceeded`.
    Async<Status> start();
    /// Answers the image's heartbeat and asks for its signer until it answers. `Errc::Io` if a process ends, `Errc::DeadlineExceeded`;
    /// the detail holds the end of the console.
    Async<Status> wait_listening(SteadyTime deadline);

    /// kill -9, the machine first.
    void kill();
    /// QEMU, then the others; those that were started.
    std::vector<ChildProcess*> children();
    /// The machine itself; null before start().
    ChildProcess* machine() { return m_qemu ? &*m_qemu : nullptr; }

  private:
    class Heartbeat;
    Status start_devices();

    Options m_options;
    std::optional<ChildProcess> m_nsm;
    std::optional<ChildProcess> m_vsock;
    std::optional<ChildProcess> m_qemu;
    std::shared_ptr<Heartbeat> m_heartbeat;
};

} // namespace keymeld::fleet
