// Who sent a request: verification of X-Session-HMAC and X-Signing-HMAC inside the enclave
// (rest-v1.md section 3).
#pragma once

#include <span>
#include <string>

#include "enclave/signer/header_nonce.h"

namespace keymeld::enclave {

/// A participant that proved itself, with the nonce of the proof.
struct Authenticated {
    std::uint32_t signer_index = 0;
    HeaderNonce nonce;
};

/// X-Session-HMAC of any of `users` (every one is tried); the index is into `users`.
/// `Errc::AuthMissing`, `Errc::AuthMalformed`, `Errc::AuthFailed`, `Errc::NonceReplayed`.
Result<Authenticated> verify_session_header(SignerCore& core, KeygenState& keygen,
                                            const std::string& header,
                                            std::span<const UserId> users, NonceUse use);

/// X-Signing-HMAC. As above, and `Errc::NotAParticipant` if the user is not registered in the
/// session.
Result<Authenticated> verify_signing_header(SignerCore& core, KeygenState& keygen,
                                            const std::string& header, NonceUse use);

} // namespace keymeld::enclave
