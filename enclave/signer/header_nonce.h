// A header nonce between the proof of its header and the record of its use (rest-v1.md 3.1).
#pragma once

#include "enclave/signer/signer_core.h"

namespace keymeld::enclave {

/// Made once the HMAC or signature was found right. Whatever then happens to the request, the nonce
/// is used: if record() is not called it is remembered in memory as used for this.
class HeaderNonce {
  public:
    /// X-Session-HMAC of this keygen session.
    static HeaderNonce session(SignerCore& core, KeygenState& keygen, std::string_view nonce,
                               NonceUse use);
    /// X-Signing-HMAC of a registered participant.
    static HeaderNonce signing(SignerCore& core, KeygenState& keygen, const UserId& user,
                               const crypto::PlainPubKey& key, std::string_view nonce,
                               NonceUse use);
    ~HeaderNonce();
    HeaderNonce(HeaderNonce&& other) noexcept;
    HeaderNonce& operator=(HeaderNonce&&) = delete;
    HeaderNonce(const HeaderNonce&) = delete;
    HeaderNonce& operator=(const HeaderNonce&) = delete;

    /// `Errc::NonceReplayed` if it was used for anything else, here or, for a signing nonce, in any
    /// session of this enclave.
    Status check() const;
    /// True if it is a ledger fact that it was used for exactly this.
    bool recorded() const;
    /// Makes it a ledger fact. After check().
    void record();
    Mark mark() const { return m_mark; }

  private:
    HeaderNonce(SignerCore& core, KeygenState& keygen, Mark mark, NonceUse use, bool signing)
        : m_core(&core), m_keygen(&keygen), m_mark(mark), m_use(use), m_signing(signing) {}

    SignerCore* m_core;
    KeygenState* m_keygen;
    Mark m_mark;
    NonceUse m_use;
    bool m_signing;
    mutable bool m_replayed = false;
};

} // namespace keymeld::enclave
