// One keygen session at one enclave: the core that never changes after completion, the ledger that
// grows, the attempts under way.
//
// Durable changes are recorded as facts; the next sealed update that goes out carries all facts
// recorded since the last one, so a change whose request failed late is never lost. Nothing here
// judges whether a change may be made: that is the commands' work.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/crypto/secret_key.h"
#include "core/musig/key_agg_cache.h"
#include "enclave/signer/enclave_identity.h"
#include "enclave/signer/keygen_params.h"
#include "enclave/signer/ledger.h"
#include "enclave/signer/limits.h"
#include "enclave/signer/nonce_memory.h"
#include "enclave/signer/roster.h"
#include "enclave/signer/sealed_chain.h"
#include "enclave/signer/signing_attempt.h"

namespace keymeld::enclave {

enum class Phase : std::uint8_t { Collecting = 1, Completed = 2, Failed = 3 };

struct Participant {
    std::optional<crypto::PlainPubKey>
        public_key; ///< of ours from registration on, of the others from completion on
    session::ApprovalPolicy policy = session::ApprovalPolicy::None;
    std::optional<crypto::SecretKey> private_key; ///< ours only
    Mark blob = 0;                                ///< the ciphertext it came in; 0 if not ours
};

/// What only the coordinator enclave has: what the session was opened with.
struct Opening {
    crypto::Hash256 request{}; ///< digest of the OpenKeygen command
    Mark key_blob = 0;
    Mark secret_blob = 0;
};

/// One update as the gateway gives it back.
struct SealedView {
    std::uint64_t version = 0;
    bool snapshot = false;
    ByteView blob;
};

class KeygenState {
  public:
    /// A new session. `params` must name this enclave.
    KeygenState(const EnclaveIdentity& identity, const KeygenId& id, KeygenParams params,
                secure::SecretArray<32> session_secret, RosterKey roster_key, const Limits& limits);
    ~KeygenState();
    KeygenState(const KeygenState&) = delete;
    KeygenState& operator=(const KeygenState&) = delete;

    /// From a snapshot and the deltas after it. `Errc::SealBroken`.
    static Result<std::unique_ptr<KeygenState>> restore(const EnclaveIdentity& identity,
                                                        const KeygenId& id,
                                                        std::span<const SealedView> updates,
                                                        const Limits& limits);
    /// From what park() gave.
    static Result<std::unique_ptr<KeygenState>> unpark(const EnclaveIdentity& identity,
                                                       const KeygenId& id, std::uint64_t version,
                                                       ByteView blob, const Limits& limits);

    const KeygenId& id() const { return m_id; }
    const KeygenParams& params() const { return m_params; }
    std::uint16_t own_enclave() const { return m_own_enclave; }
    bool is_coordinator() const { return m_own_enclave == 0; }
    /// True if no other enclave takes part.
    bool holds_all() const { return m_params.enclaves.size() == 1; }
    const secure::SecretArray<32>& session_secret() const { return m_session_secret; }
    const RosterKey& roster_key() const { return m_roster_key; }
    Phase phase() const { return m_phase; }
    const std::vector<Participant>& participants() const { return m_participants; }
    bool is_ours(std::uint32_t signer_index) const {
        return m_params.slots[signer_index] == m_own_enclave;
    }
    /// True once a participant of ours has registered.
    bool has_registrations() const;
    std::size_t private_keys() const;
    const Opening& opening() const { return m_opening; }
    const Ledger& ledger() const { return m_ledger; }

    // Durable changes.
    void set_opening(const Opening& opening);
    void register_participant(std::uint32_t signer_index, const crypto::PlainPubKey& public_key,
                              session::ApprovalPolicy policy, crypto::SecretKey private_key,
                              Mark blob);
    /// Takes the whole list, one per participant; the core is fixed from now on.
    void complete(std::span<const crypto::PlainPubKey> keys,
                  std::span<const session::ApprovalPolicy> policies);
    /// Erases the private keys.
    void mark_failed();
    template <class Fact> void record(const Fact& fact) {
        fact.encode(m_pending);
        m_ledger.apply(fact);
    }
    /// In memory at once; sealed with the next update, for round 2 has none.
    void note_peer(std::uint16_t enclave, const Standing& standing) {
        m_ledger.apply(PeerSeen{enclave, standing.ledger_version});
        m_ledger.apply(PeerLife{enclave, standing.incarnation});
    }
    /// True if `more` bytes of facts still fit into what can be given back in one Restore.
    bool has_room(std::size_t more) const;

    // Sealing.
    std::uint64_t version() const { return m_chain.version(); }
    /// True if the gateway of `stream` lacks something: facts since the last update, or an update
    /// that was answered on another stream.
    bool needs_update(std::uint64_t stream) const;
    bool has_pending() const { return !m_pending.empty(); }
    /// The next update: a delta, or a snapshot if one is due, or if there is nothing new.
    SealedBlob take_update(std::uint64_t stream);
    Bytes park() const;

    // Signing.
    struct Keys {
        musig::KeyAggContext aggregate;
        std::vector<std::uint32_t> order;    ///< signer_index at each position of the aggregation
        std::vector<std::uint32_t> position; ///< the inverse
    };
    /// For the keys of all participants, by signer_index. Errors as KeyAggContext::create() and of
    /// the tweak rules.
    Result<Keys> keys_for(musig::KeyAggCache& cache,
                          std::span<const crypto::PlainPubKey> by_signer_index) const;
    /// Of a completed session.
    Result<const Keys*> keys(musig::KeyAggCache& cache);
    SigningAttempt* attempt(const SigningId& signing);
    void set_attempt(std::unique_ptr<SigningAttempt> attempt);
    void erase_attempt(const SigningId& signing) { m_attempts.erase(signing); }
    void erase_attempts() { m_attempts.clear(); }
    bool has_active_attempts() const;

    /// Session nonces of reads and of authentic requests that failed.
    RecentNonces recent_nonces;

  private:
    KeygenState(const EnclaveIdentity& identity, const KeygenId& id, const Limits& limits);
    std::size_t core_size() const;
    void encode(SecretWriter& out) const;
    void note_sealed_peers();
    Status decode(ByteView snapshot, const crypto::PlainPubKey& own_key);
    Status apply_delta(ByteView facts);
    Status apply_registration(SecretReader& in);

    const Limits& m_limits;
    KeygenId m_id;
    KeygenParams m_params;
    std::uint16_t m_own_enclave = 0;
    secure::SecretArray<32> m_session_secret;
    RosterKey m_roster_key;
    Phase m_phase = Phase::Collecting;
    Opening m_opening;
    std::vector<Participant> m_participants;
    std::optional<Keys> m_keys;
    Ledger m_ledger{0};

    SealedChain m_chain;
    SecretWriter m_pending;
    bool m_snapshot_due = true; // of a new session, and of one that was given back
    std::size_t m_entries_at_snapshot = 0;
    std::uint64_t m_stream = 0;
    std::vector<std::uint64_t> m_sealed_peer_versions;
    std::vector<Incarnation> m_sealed_peer_lives;

    std::unordered_map<SigningId, std::unique_ptr<SigningAttempt>> m_attempts;
};

} // namespace keymeld::enclave
