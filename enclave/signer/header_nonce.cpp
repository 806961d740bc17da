#include "enclave/signer/header_nonce.h"

#include <utility>

namespace keymeld::enclave {

HeaderNonce HeaderNonce::session(SignerCore& core, KeygenState& keygen, std::string_view nonce,
                                 NonceUse use) {
    return {core, keygen, core.marker.session_nonce(keygen.id(), nonce), use, false};
}

HeaderNonce HeaderNonce::signing(SignerCore& core, KeygenState& keygen, const UserId& user,
                                 const crypto::PlainPubKey& key, std::string_view nonce,
                                 NonceUse use) {
    return {core, keygen, core.marker.signing_nonce(user, key, nonce), use, true};
}

HeaderNonce::HeaderNonce(HeaderNonce&& other) noexcept
    : m_core(other.m_core), m_keygen(std::exchange(other.m_keygen, nullptr)), m_mark(other.m_mark),
      m_use(other.m_use), m_signing(other.m_signing), m_replayed(other.m_replayed) {}

HeaderNonce::~HeaderNonce() {
    // A replayed nonce keeps the use that is recorded.
    if (m_keygen == nullptr || m_replayed || recorded())
        return;
    if (m_signing)
        m_core->signing_reads.note(m_mark, m_use);
    else
        m_keygen->recent_nonces.note(m_mark, m_use);
}

Status HeaderNonce::check() const {
    const std::optional<NonceUse> none;
    for (const auto& known :
         {m_keygen->ledger().nonce(m_mark), m_signing ? m_core->signing_nonces.find(m_mark) : none,
          m_signing ? m_core->signing_reads.find(m_mark) : m_keygen->recent_nonces.find(m_mark)}) {
        if (known && judge_use(*known, m_use) == NonceVerdict::Replayed) {
            m_replayed = true;
            return fail(Errc::NonceReplayed, "the header's nonce was used before");
        }
    }
    return {};
}

bool HeaderNonce::recorded() const {
    const auto known = m_keygen->ledger().nonce(m_mark);
    return known && *known == m_use;
}

void HeaderNonce::record() {
    if (!recorded())
        m_keygen->record(NonceUsed{m_mark, m_use});
    if (m_signing)
        m_core->signing_nonces.note(m_mark, m_use);
}

} // namespace keymeld::enclave
