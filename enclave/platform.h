// What a signer program stands on: security module, trust anchor, measurements of peers, and how
// its key survives. Each program links one implementation: simulator/sim_platform.cpp (software module, own
// root; protects nothing) or image/nitro_platform.cpp (the real module and the pinned AWS root;
// knows no other, and no option makes it).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/attestation/verifier.h"
#include "core/base/result.h"
#include "enclave/nsm/nsm_client.h"
#include "enclave/signer/sealing.h"

namespace CLI {
class App;
}

namespace keymeld::enclave {

struct Platform {
    std::unique_ptr<SealingProvider> sealing;
    std::unique_ptr<nsm::NsmClient> nsm;
    attestation::AttestationVerifier verifier;
};

class PlatformBuilder {
  public:
    virtual ~PlatformBuilder() = default;
    /// Declares the options that this program has.
    virtual void add_options(CLI::App& app) = 0;
    /// Work that ends the program when it is done; nullopt: start the signer.
    virtual std::optional<Status> setup_only() = 0;
    /// Stirs the module's randomness in before a key is made. Errors name what to do. [startup]
    virtual Result<Platform> build() = 0;
    /// Whether commands may come over TCP, or only over vsock and unix sockets.
    virtual bool allows_tcp() const = 0;
    /// One word for the log.
    virtual std::string name() const = 0;
};

/// The implementation that this program was linked with.
std::unique_ptr<PlatformBuilder> make_platform_builder();

/// Mixes bytes of the module into the generator. `Errc::AttestationUnavailable`.
Status stir_module_randomness(nsm::NsmClient& nsm);

} // namespace keymeld::enclave
