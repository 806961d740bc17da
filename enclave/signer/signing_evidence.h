// The create-signing request as evidence: whether this enclave accepts a signing session
// (rest-v1.md 3.4, 4.9).
#pragma once

#include <optional>

#include "enclave/signer/authentication.h"

namespace keymeld::wire {
class SigningEvidence;
}

namespace keymeld::enclave {

/// A signing session that is accepted already, or that may be.
struct EvidenceVerdict {
    SigningId signing;
    Mark mark = 0; ///< of the signing id
    ByteArray<32> message{};
    std::optional<HeaderNonce>
        nonce; ///< set: not accepted yet, and everything about it was found right
};

/// Judges the evidence against this enclave's own ledger: header, nonce, message, quota. Needs a
/// completed keygen session. `Errc::WrongState` (keygen not completed; signing session ended),
/// `Errc::DuplicateId` (same id, another message), `Errc::AuthFailed` and kin,
/// `Errc::NonceReplayed`, `Errc::QuotaExceeded`, `Errc::ValidationFailed` and
/// `Errc::MessageMismatch` (message_hash against encrypted_message).
Result<EvidenceVerdict> judge_evidence(SignerCore& core, KeygenState& keygen,
                                       const SigningId& signing,
                                       const wire::SigningEvidence& evidence);

/// Makes the session a ledger fact, if it is not one: from here on it counts.
void accept(KeygenState& keygen, EvidenceVerdict& verdict);

/// `Errc::WrongState` for a session that was rejected or closed.
Status not_ended(const KeygenState& keygen, Mark signing);

} // namespace keymeld::enclave
