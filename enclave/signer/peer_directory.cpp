#include "enclave/signer/peer_directory.h"

#include <algorithm>

#include "core/attestation/key_binding.h"
#include "core/base/hex.h"
#include "core/secure/compare.h"
#include "core/secure/random.h"

namespace keymeld::enclave {

PeerDirectory::PeerDirectory(const EnclaveIdentity& identity,
                             const attestation::AttestationVerifier& verifier, const Limits& limits)
    : m_identity(identity), m_verifier(verifier), m_limits(limits) {}

void PeerDirectory::forget_expired(SteadyTime now) {
    std::erase_if(m_outstanding, [&](const Outstanding& entry) { return entry.expires <= now; });
}

Result<ByteArray<32>> PeerDirectory::challenge(SteadyTime now) {
    forget_expired(now);
    if (m_outstanding.size() >= m_limits.max_challenges)
        return fail(Errc::Overloaded, "too many challenges are outstanding");
    m_outstanding.push_back({secure::random_array<32>(), now + m_limits.challenge_lifetime});
    return m_outstanding.back().nonce;
}

Result<IntroducedPeer> PeerDirectory::introduce(ByteView document, Moment now) {
    forget_expired(now.steady);
    KEYMELD_TRY(const auto claimed, attestation::AttestationDocument::parse_unverified(document));
    const auto found =
        std::find_if(m_outstanding.begin(), m_outstanding.end(), [&](const Outstanding& entry) {
            return claimed.nonce && secure::ct_equal(entry.nonce, *claimed.nonce);
        });
    if (found == m_outstanding.end())
        return attestation::refuse(attestation::AttestationCheck::Nonce,
                                   "the document carries no nonce of an outstanding challenge");
    attestation::Expectations expected;
    expected.nonce = to_bytes(found->nonce);
    expected.now_ms = now.unix_ms;
    m_outstanding.erase(found);

    KEYMELD_TRY(const auto verified, m_verifier.verify(document, expected));
    KEYMELD_TRY(const auto binding, attestation::key_binding(verified));
    auto key = crypto::PlainPubKey::parse(binding.public_key);
    if (!key)
        return attestation::refuse(attestation::AttestationCheck::PublicKey,
                                   "the attested key is no point of the curve");
    KEYMELD_TRY(Peer* const peer, channel_to(*key));
    peer->introduced = true;
    return IntroducedPeer{*key, binding.key_epoch};
}

Result<const crypto::PeerChannel*> PeerDirectory::introduced(const crypto::PlainPubKey& key) {
    const auto found = m_peers.find(key);
    if (found == m_peers.end() || !found->second.introduced)
        return fail(Errc::PeerUnknown, "peer enclave was not introduced")
            .with("peer_public_key", key.hex());
    found->second.last_used = ++m_uses;
    return &found->second.channel;
}

Result<const crypto::PeerChannel*> PeerDirectory::of_session(const crypto::PlainPubKey& key) {
    KEYMELD_TRY(const Peer* const peer, channel_to(key));
    return &peer->channel;
}

Result<PeerDirectory::Peer*> PeerDirectory::channel_to(const crypto::PlainPubKey& key) {
    auto found = m_peers.find(key);
    if (found == m_peers.end()) {
        KEYMELD_TRY(auto channel, crypto::PeerChannel::create(m_identity.key(), key));
        if (m_peers.size() >= m_limits.max_peers)
            m_peers.erase(
                std::min_element(m_peers.begin(), m_peers.end(), [](const auto& a, const auto& b) {
                    return a.second.last_used < b.second.last_used;
                }));
        found = m_peers.emplace(key, Peer{std::move(channel), false, 0}).first;
    }
    found->second.last_used = ++m_uses;
    return &found->second;
}

} // namespace keymeld::enclave
