#include "enclave/signer/nonce_memory.h"

#include <utility>

namespace keymeld::enclave {

NonceVerdict judge_use(NonceUse recorded, NonceUse wanted) {
    if (recorded.kind() == UseKind::Read && wanted.kind() == UseKind::Read)
        return wanted.stream() > recorded.stream() ? NonceVerdict::SameUse : NonceVerdict::Replayed;
    return recorded == wanted ? NonceVerdict::SameUse : NonceVerdict::Replayed;
}

std::optional<NonceUse> RecentNonces::find(Mark nonce) const {
    for (const Entry& entry : m_entries)
        if (entry.nonce == nonce)
            return NonceUse::from_word(entry.use);
    return std::nullopt;
}

void RecentNonces::note(Mark nonce, NonceUse use) {
    for (Entry& entry : m_entries) {
        if (entry.nonce == nonce) {
            entry.use = use.word();
            return;
        }
    }
    if (m_entries.size() < m_capacity) {
        m_entries.push_back({nonce, use.word()});
        return;
    }
    if (m_capacity == 0)
        return;
    m_entries[m_next] = {nonce, use.word()};
    m_next = (m_next + 1) % m_capacity;
}

std::optional<NonceUse> SigningNonces::find(Mark nonce) const {
    auto word = m_young.find(nonce);
    if (!word)
        word = m_old.find(nonce);
    if (!word)
        return std::nullopt;
    return NonceUse::from_word(*word);
}

void SigningNonces::note(Mark nonce, NonceUse use) {
    if (m_young.size() >= m_generation && !m_young.find(nonce)) {
        m_old = std::exchange(m_young, {});
    }
    m_young.set(nonce, use.word());
}

} // namespace keymeld::enclave
