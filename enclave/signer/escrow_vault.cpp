#include "enclave/signer/escrow_vault.h"

#include <algorithm>

namespace keymeld::enclave {

void EscrowVault::keep(EnclaveIdentity identity) {
    const crypto::PlainPubKey owner = identity.public_key();
    if (const auto found = m_kept.find(owner); found != m_kept.end()) {
        found->second.renewed = ++m_renewals;
        if (identity.incarnation() > found->second.identity.incarnation())
            found->second.identity = std::move(identity);
        return;
    }
    if (m_kept.size() >= m_capacity)
        m_kept.erase(
            std::min_element(m_kept.begin(), m_kept.end(), [](const auto& a, const auto& b) {
                return a.second.renewed < b.second.renewed;
            }));
    m_kept.emplace(owner, Kept{std::move(identity), ++m_renewals});
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
