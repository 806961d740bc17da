// Other enclaves' identities, kept in locked memory for the day that they are restarted.
#pragma once

#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "enclave/signer/enclave_identity.h"

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

    /// Keeps or renews. The incarnation never goes back: an old box says nothing new.
    void keep(EnclaveIdentity identity);
    /// The identity for its owner's next life, counted from now on; `Errc::NotFound`.
    Result<EnclaveIdentity> next_life(const crypto::PlainPubKey& owner);
    /// The lowest incarnation of that enclave to be believed; 0 for one that is not kept.
    std::uint64_t least_incarnation(const crypto::PlainPubKey& owner) const;
    std::vector<EscrowFacts> list() const;

  private:
    struct Kept {
        EnclaveIdentity identity;
        std::uint64_t renewed = 0;
    };
    std::size_t m_capacity;
    std::uint64_t m_renewals = 0;
    std::unordered_map<crypto::PlainPubKey, Kept> m_kept;
};

} // namespace keymeld::enclave
