// Other enclaves' identities, kept in locked memory for the day that they are restarted.
#pragma once

#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "enclave/signer/enclave_identity.h"
#include "enclave/signer/state_versions.h"

namespace keymeld::enclave {

/// What is public of a kept identity.
struct EscrowFacts {
    crypto::PlainPubKey owner;
    std::uint64_t epoch = 0;
    std::uint64_t incarnation = 0;
};

/// At most `capacity`, one for each public key; beyond, the one longest not renewed goes. Not
/// sealed: it lives as long as this enclave's memory does, which is what the others are there for.
class EscrowVault {
  public:
    explicit EscrowVault(std::size_t capacity) : m_capacity(capacity) {}

    /// Keeps or renews. Neither the incarnation nor a version ever goes back: an old box says
    /// nothing new.
    void keep(EnclaveIdentity identity, const StateVersions& versions);
    /// `Errc::NotFound` if the owner's identity is not kept.
    Status keep_versions(const crypto::PlainPubKey& owner, const StateVersions& versions);
    /// The owner showed this version of a session itself; nothing for one that is not kept.
    void note_shown(const crypto::PlainPubKey& owner, const KeygenId& keygen,
                    std::uint64_t version);
    /// The identity for its owner's next life, counted from now on; `Errc::NotFound`.
    Result<EnclaveIdentity> next_life(const crypto::PlainPubKey& owner);
    /// Of an identity that is kept; null otherwise. Valid until the next change.
    const StateVersions* versions(const crypto::PlainPubKey& owner) const;
    /// The lowest incarnation of that enclave to be believed; 0 for one that is not kept.
    std::uint64_t least_incarnation(const crypto::PlainPubKey& owner) const;
    std::vector<EscrowFacts> list() const;

  private:
    struct Kept {
        EnclaveIdentity identity;
        Marker marker;
        StateVersions versions;
        std::uint64_t renewed = 0;
    };
    std::size_t m_capacity;
    std::uint64_t m_renewals = 0;
    std::unordered_map<crypto::PlainPubKey, Kept> m_kept;
};

} // namespace keymeld::enclave
