// A Nitro security module in software, for the simulator and tests: same requests, same answers,
// documents signed under the simulator's root. It protects nothing: the host sees its keys. Library
// keymeld_nsm_sim only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "core/attestation/pcr.h"
#include "enclave/nsm/nsm_transport.h"
#include "enclave/nsm/sim_pki.h"

namespace keymeld::nsm {

class SoftwareNsm final : public NsmTransport {
  public:
    struct Options {
        /// The registers at start; others are zero. Registers 0 to 15 are locked.
        attestation::PcrSet pcrs = {};
        /// Milliseconds since the Unix epoch.
        std::function<std::uint64_t()> clock_ms = {};
    };

    /// Measures the running program (/proc/self/exe) into PCR0 to PCR2. `Errc::Io`,
    /// `Errc::Internal`. [startup]
    static Result<std::unique_ptr<SoftwareNsm>> create(SimPki pki);
    /// With registers and clock of the caller.
    static Result<std::unique_ptr<SoftwareNsm>> create(SimPki pki, Options options);

    ~SoftwareNsm() override;

    Result<Bytes> process(ByteView request) override;

  private:
    struct Impl;
    explicit SoftwareNsm(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace keymeld::nsm
