#include "enclave/signer/escrow_vault.h"

#include <algorithm>

namespace keymeld::enclave {

void EscrowVault::keep(EnclaveIdentity identity, const StateVersions& versions) {
    const crypto::PlainPubKey owner = identity.public_key();
    if (const auto found = m_kept.find(owner); found != m_kept.end()) {
        found->second.renewed = ++m_renewals;
        found->second.versions.merge(versions);
        if (identity.incarnation() > found->second.identity.incarnation())
            found->second.identity = std::move(identity);
        return;
    }
    if (m_kept.size() >= m_capacity)
        m_kept.erase(
            std::min_element(m_kept.begin(), m_kept.end(), [](const auto& a, const auto& b) {
                return a.second.renewed < b.second.renewed;
            }));
    Marker marker(identity.mark_key());
    m_kept.emplace(owner, Kept{std::move(identity), std::move(marker), versions, ++m_renewals});
}

Status EscrowVault::keep_versions(const crypto::PlainPubKey& owner, const StateVersions& versions) {
    const auto found = m_kept.find(owner);
    if (found == m_kept.end())
        return fail(Errc::NotFound, "this enclave does not hold that enclave's key");
    found->second.versions.merge(versions);
    return {};
}

void EscrowVault::note_shown(const crypto::PlainPubKey& owner, const KeygenId& keygen,
                             std::uint64_t version) {
    const auto found = m_kept.find(owner);
    if (found != m_kept.end() && version <= StateVersions::kMaxVersion)
        found->second.versions.note(StateVersions::Kind::Keygen,
                                    found->second.marker.keygen(keygen), version, false);
}

const StateVersions* EscrowVault::versions(const crypto::PlainPubKey& owner) const {
    const auto found = m_kept.find(owner);
    return found == m_kept.end() ? nullptr : &found->second.versions;
}

Result<EnclaveIdentity> EscrowVault::next_life(const crypto::PlainPubKey& owner) {
    const auto found = m_kept.find(owner);
    if (found == m_kept.end())
        return fail(Errc::NotFound, "this enclave does not hold that enclave's key");
    EnclaveIdentity& kept = found->second.identity;
    kept = kept.reincarnated(kept.incarnation() + 1);
    return kept.reincarnated(kept.incarnation());
}

std::uint64_t EscrowVault::least_incarnation(const crypto::PlainPubKey& owner) const {
    const auto found = m_kept.find(owner);
    return found == m_kept.end() ? 0 : found->second.identity.incarnation();
}

std::vector<EscrowFacts> EscrowVault::list() const {
    std::vector<EscrowFacts> out;
    out.reserve(m_kept.size());
    for (const auto& [owner, kept] : m_kept)
        out.push_back({owner, kept.identity.epoch(), kept.identity.incarnation()});
    return out;
}

} // namespace keymeld::enclave
