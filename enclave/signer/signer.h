// The signer: every command of enclave.proto, answered from what it has verified itself.
//
// handle() is a function of the request, the stream it came on, the time and the state in memory;
// it opens no file, socket or thread, so tests drive it as the listener does. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "core/attestation/verifier.h"
#include "core/protocol/signer_listener.h"
#include "enclave/nsm/nsm_client.h"
#include "enclave/signer/enclave_identity.h"
#include "enclave/signer/limits.h"
#include "enclave/signer/moment.h"
#include "enclave/signer/sealing.h"

namespace keymeld::enclave {

using protocol::StreamContext;

/// What the signer is made of. `verifier` decides which peers are believed.
struct SignerParts {
    EnclaveIdentity identity;
    std::unique_ptr<nsm::NsmClient> nsm;
    attestation::AttestationVerifier verifier;
    std::unique_ptr<SealingProvider> sealing = std::make_unique<NoSealing>(); ///< made `identity`
    Limits limits = {};
    SteadyTime started = std::chrono::steady_clock::now();
};

/// Numbers for the log: no ids, no keys.
struct SignerCounters {
    std::uint64_t requests = 0;
    std::map<Errc, std::uint64_t> refused;
    std::uint64_t signatures = 0; ///< final signatures that this enclave aggregated and verified
    std::size_t keygens = 0;
    std::size_t parked = 0;
    std::size_t attempts = 0;        ///< in memory
    std::size_t active_attempts = 0; ///< of these, with secret nonces
};

class Signer {
  public:
    /// With a fresh boot id.
    explicit Signer(SignerParts parts);
    ~Signer();
    Signer(const Signer&) = delete;
    Signer& operator=(const Signer&) = delete;

    /// Answers `request`: fills the result or the failure of `response` and leaves its id alone.
    /// Never throws for anything that a request contains; a defect of ours becomes Internal,
    /// exhausted secret memory Overloaded.
    void handle(const StreamContext& stream, const wire::Request& request, Moment now,
                wire::Response& response);

    /// Another one after a TakeOver, which leaves nothing of the life before.
    const EnclaveIdentity& identity() const;
    SignerCounters counters() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace keymeld::enclave
