#include "enclave/signer/approvals.h"

#include <algorithm>

#include "core/bitcoin/bound_approval.h"
#include "core/crypto/auth_header.h"
#include "core/protocol/enclave.pb.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

Status verify_bound(const KeygenState& keygen, const EvidenceVerdict& verdict,
                    std::uint32_t signer_index, const wire::BoundApproval& bound,
                    std::uint64_t now_seconds) {
    auto message = bytes32_of(bound.message_hash());
    if (!message)
        return at(std::move(message).error(), "/message_hash");
    if (*message != verdict.message)
        return at(fail(Errc::MessageMismatch, "approval names another message than the session's"),
                  "/message_hash");
    bitcoin::BoundApproval approval;
    approval.keygen = keygen.id();
    approval.signing = verdict.signing;
    approval.user = keygen.params().session.expected_participants[signer_index];
    approval.message_hash = verdict.message;
    approval.expires_at = bound.expires_at();
    auto signature = bitcoin::SchnorrSignature::parse(as_bytes(bound.signature()));
    if (!signature)
        return at(fail(Errc::AuthFailed, "approval signature is not 64 bytes"), "/signature");
    if (auto verified =
            approval.verify(*signature, *keygen.participants()[signer_index].public_key);
        !verified)
        return at(std::move(verified).error(), "/signature");
    // kNever is how a ledger writes "does not expire", which no approval may claim.
    if (bound.expires_at() <= now_seconds || bound.expires_at() == ApprovalFact::kNever)
        return at(fail(Errc::ApprovalExpired, "approval has expired"), "/expires_at");
    return {};
}

} // namespace

Result<VerifiedApproval> verify_approval(SignerCore& core, KeygenState& keygen,
                                         const EvidenceVerdict& verdict,
                                         const wire::Approval& approval,
                                         std::uint64_t now_seconds) {
    KEYMELD_TRY(Authenticated sender,
                verify_signing_header(core, keygen, approval.signing_header(),
                                      NonceUse::of(UseKind::Approve, verdict.mark)));
    ApprovalFact fact{sender.signer_index, approval.has_bound(),
                      approval.has_bound() ? approval.bound().expires_at() : ApprovalFact::kNever};
    if (fact.bound) {
        KEYMELD_CHECK(
            verify_bound(keygen, verdict, sender.signer_index, approval.bound(), now_seconds));
    } else if (keygen.participants()[sender.signer_index].policy ==
               session::ApprovalPolicy::Bound) {
        return fail(Errc::BoundApprovalRequired, "the participant asked for bound approvals");
    }
    return VerifiedApproval{fact, std::move(sender.nonce)};
}

std::optional<ApprovalFact> known_approval(const SignerCore& core, const KeygenState& keygen,
                                           const EvidenceVerdict& verdict,
                                           const wire::Approval& approval) {
    const OpenSigning* const open = keygen.ledger().open(verdict.signing);
    if (open == nullptr || approval.signing_header().size() > kMaxHeader)
        return std::nullopt;
    const auto header = crypto::SigningHmacHeader::parse(approval.signing_header());
    if (!header)
        return std::nullopt;
    const auto index = keygen.params().signer_index(header->user_id);
    if (!index || !keygen.participants()[*index].public_key)
        return std::nullopt;
    const ApprovalFact* const fact = open->approval_of(*index);
    const ApprovalFact claimed{*index, approval.has_bound(),
                               approval.has_bound() ? approval.bound().expires_at()
                                                    : ApprovalFact::kNever};
    const Mark nonce = core.marker.signing_nonce(
        header->user_id, *keygen.participants()[*index].public_key, header->nonce);
    if (fact == nullptr || *fact != claimed ||
        keygen.ledger().nonce(nonce) != NonceUse::of(UseKind::Approve, verdict.mark))
        return std::nullopt;
    return claimed;
}

void record_approval(KeygenState& keygen, const SigningId& signing, VerifiedApproval& approval) {
    const OpenSigning* const open = keygen.ledger().open(signing);
    const ApprovalFact* const known =
        open == nullptr ? nullptr : open->approval_of(approval.fact.signer_index);
    if (known == nullptr || *known != approval.fact)
        keygen.record(Approved{signing, approval.fact});
    approval.nonce.record();
}

ApprovalState approval_state(const KeygenState& keygen, const OpenSigning& signing,
                             std::uint64_t now_seconds) {
    ApprovalState out;
    for (std::uint32_t i = 0; i < keygen.participants().size(); ++i) {
        const session::ApprovalPolicy policy = keygen.participants()[i].policy;
        if (policy == session::ApprovalPolicy::None)
            continue;
        const ApprovalFact* const approval = signing.approval_of(i);
        if (approval == nullptr || approval->expires_at <= now_seconds ||
            (policy == session::ApprovalPolicy::Bound && !approval->bound))
            out.awaiting.push_back(i);
        else
            out.expire_at = std::min(out.expire_at, approval->expires_at);
    }
    return out;
}

} // namespace keymeld::enclave
