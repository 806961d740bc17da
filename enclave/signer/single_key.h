// One single key at the enclave that holds it (rest-keys.md): the key, who may use it and for what,
// and which approvals were used. Nothing here judges whether a change may be made: that is the
// commands' work.
#pragma once

#include <memory>
#include <span>

#include "core/bitcoin/single_key.h"
#include "enclave/signer/approval_window.h"
#include "enclave/signer/enclave_identity.h"
#include "enclave/signer/keygen_state.h"
#include "enclave/signer/limits.h"
#include "enclave/signer/nonce_memory.h"
#include "enclave/signer/sealed_chain.h"

namespace keymeld::enclave {

/// What never changes. Public but for the key itself.
struct KeyFacts {
    UserId user;
    crypto::PlainPubKey auth_key;
    bitcoin::AllowedSignatures allowed;
    crypto::Hash256 origin{}; ///< digest of the command that made it
    Mark blob = 0;            ///< the ciphertext it came in; 0 if it came in none
};

class SingleKey {
  public:
    SingleKey(const EnclaveIdentity& identity, const KeyId& id, const KeyFacts& facts,
              crypto::SecretKey key, const Limits& limits);
    SingleKey(const SingleKey&) = delete;
    SingleKey& operator=(const SingleKey&) = delete;

    /// From a snapshot and the deltas after it. `Errc::SealBroken`.
    static Result<std::unique_ptr<SingleKey>> restore(const EnclaveIdentity& identity,
                                                      const KeyId& id,
                                                      std::span<const SealedView> updates,
                                                      const Limits& limits);

    const KeyId& id() const { return m_id; }
    const KeyFacts& facts() const { return m_facts; }
    const crypto::SecretKey& key() const { return m_key; }
    const ApprovalWindow& approvals() const { return m_approvals; }

    /// An approval is used up; durable with the next update.
    void record(const ApprovalUsed& fact, NonceUse use);
    /// Of approvals that are too old to be presented.
    void forget_before(std::uint64_t timestamp) { m_approvals.forget_before(timestamp); }

    std::uint64_t version() const { return m_chain.version(); }
    bool has_pending() const { return !m_pending.empty(); }
    /// The next update: a delta, or a snapshot if one is due, or if there is nothing new.
    SealedBlob take_update(std::uint64_t stream);

    /// Header nonces of reads, of creation, and of authentic requests that failed.
    RecentNonces recent_nonces;

  private:
    SingleKey(const KeyId& id, crypto::SecretKey key, const KeyFacts& facts, SealedChain chain,
              const Limits& limits);
    void encode(SecretWriter& out) const;

    KeyId m_id;
    KeyFacts m_facts;
    crypto::SecretKey m_key;
    ApprovalWindow m_approvals;
    const Limits& m_limits;

    SealedChain m_chain;
    SecretWriter m_pending;
    bool m_snapshot_due = true; // of a new key, and of one that was given back
    std::size_t m_approvals_at_snapshot = 0;
    std::uint64_t m_stream = 0;
};

} // namespace keymeld::enclave
