// Approvals: what a participant signed, verified by this enclave (rest-v1.md 4.10, 5.7).
#pragma once

#include <optional>
#include <vector>

#include "enclave/signer/signing_evidence.h"

namespace keymeld::wire {
class Approval;
}

namespace keymeld::enclave {

/// One approval found right, not yet recorded.
struct VerifiedApproval {
    ApprovalFact fact;
    HeaderNonce nonce;
};

/// Verifies header and, where present or required, the bound part, under the key with which the
/// user registered and for this session and message. `Errc::AuthFailed` and kin,
/// `Errc::NotAParticipant`, `Errc::NonceReplayed`, `Errc::BoundApprovalRequired`,
/// `Errc::MessageMismatch`, `Errc::ApprovalExpired`.
Result<VerifiedApproval> verify_approval(SignerCore& core, KeygenState& keygen,
                                         const EvidenceVerdict& verdict,
                                         const wire::Approval& approval, std::uint64_t now_seconds);

/// The fact that this very approval gave when it was verified before, if that is what the ledger
/// holds: nothing to verify again but the time.
std::optional<ApprovalFact> known_approval(const SignerCore& core, const KeygenState& keygen,
                                           const EvidenceVerdict& verdict,
                                           const wire::Approval& approval);

/// Records it with its nonce; the session must have been accepted.
void record_approval(KeygenState& keygen, const SigningId& signing, VerifiedApproval& approval);

/// Whether everybody who must approve has, at this moment.
struct ApprovalState {
    std::vector<std::uint32_t> awaiting; ///< signer indexes
    /// When the first approval that counts lapses, seconds since the Unix epoch.
    std::uint64_t expire_at = ApprovalFact::kNever;
};
ApprovalState approval_state(const KeygenState& keygen, const OpenSigning& signing,
                             std::uint64_t now_seconds);

} // namespace keymeld::enclave
