// The part of a keygen session's state that grows: accepted signing sessions (the quota), used
// header nonces, approvals, rejections, and the versions and lives that peers have shown. Public
// facts only.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "enclave/signer/ledger_fact.h"
#include "enclave/signer/mark_map.h"

namespace keymeld::enclave {

/// A signing session that was accepted and has not ended.
struct OpenSigning {
    ByteArray<32> message{};
    Mark nonce = 0;                      ///< of the create-signing header
    std::vector<ApprovalFact> approvals; ///< by signer_index

    const ApprovalFact* approval_of(std::uint32_t signer_index) const;
};

class Ledger {
  public:
    /// `enclaves`: how many enclaves the session has.
    explicit Ledger(std::size_t enclaves)
        : m_peer_versions(enclaves, 0), m_peer_incarnations(enclaves) {}

    const OpenSigning* open(const SigningId& signing) const;
    std::optional<Ending> ended(Mark signing) const;
    std::optional<NonceUse> nonce(Mark nonce) const;
    /// Signing sessions ever accepted, ended ones included: what the quota bounds.
    std::uint64_t accepted() const { return m_open.size() + m_ended.size(); }
    std::uint64_t peer_version(std::uint16_t enclave) const { return m_peer_versions[enclave]; }
    const std::vector<std::uint64_t>& peer_versions() const { return m_peer_versions; }
    const Incarnation& peer_incarnation(std::uint16_t enclave) const {
        return m_peer_incarnations[enclave];
    }
    const std::vector<Incarnation>& peer_incarnations() const { return m_peer_incarnations; }

    /// Facts that hold; the decision whether they may is the caller's. Applying one twice changes
    /// nothing.
    void apply(const NonceUsed& fact);
    void apply(const SigningAccepted& fact);
    void apply(const Approved& fact);
    void apply(const SigningEnded& fact);
    void apply(const PeerSeen& fact);
    void apply(const PeerLife& fact);

    /// What a snapshot is compared with to decide when one is due, and what memory bounds count.
    std::size_t entries() const { return m_open.size() + m_ended.size() + m_nonces.size(); }
    std::size_t encoded_size() const;
    void encode(SecretWriter& out) const;
    /// Replaces the content. `with_lives`: whether the peers' incarnations are in it.
    void decode(SecretReader& in, bool with_lives);

    template <class F> void for_each_nonce(F&& f) const {
        m_nonces.for_each(
            [&](Mark nonce, std::uint64_t use) { f(nonce, NonceUse::from_word(use)); });
    }

  private:
    std::unordered_map<SigningId, OpenSigning> m_open;
    std::size_t m_open_approvals = 0;
    MarkMap m_ended;  // signing mark -> Ending
    MarkMap m_nonces; // nonce mark -> NonceUse
    std::vector<std::uint64_t> m_peer_versions;
    std::vector<Incarnation> m_peer_incarnations;
};

} // namespace keymeld::enclave
