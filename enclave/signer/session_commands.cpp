#include "core/protocol/enclave.pb.h"
#include "enclave/signer/approvals.h"
#include "enclave/signer/commands.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

constexpr std::size_t kApproveSize =
    192; // what an approval adds to the ledger with the session it may accept, rounded up

constexpr int kMaxClosings = 1024;

Error no_such_session() {
    return fail(Errc::NotFound, "no such signing session");
}

Result<KeygenState*> completed_keygen(SignerCore& core, const std::string& field) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(field));
    KEYMELD_TRY(KeygenState* const keygen, core.store.find(id));
    if (keygen->phase() != Phase::Completed)
        return fail(Errc::WrongState, "keygen session is not completed");
    return keygen;
}

void put_user(const KeygenState& keygen, std::uint32_t signer_index, std::string& out) {
    out = wire_bytes(keygen.params().session.expected_participants[signer_index].bytes);
}

bool is_finished(KeygenState& keygen, const SigningId& signing) {
    const SigningAttempt* const attempt = keygen.attempt(signing);
    return attempt != nullptr && !attempt->final_signature.empty();
}

/// An approval that nobody needs any more: only its nonce is recorded.
Status approve_ended(SignerCore& core, KeygenState& keygen, Mark signing,
                     const wire::Approval& approval, wire::ApproveResult& result) {
    KEYMELD_TRY(Authenticated sender,
                verify_signing_header(core, keygen, approval.signing_header(),
                                      NonceUse::of(UseKind::Approve, signing)));
    if (keygen.ledger().ended(signing) == Ending::Rejected)
        return not_ended(keygen, signing);
    sender.nonce.record();
    put_user(keygen, sender.signer_index, *result.mutable_user_id());
    return {};
}

} // namespace

Status authenticate(SignerCore& core, const Call& call, const wire::Authenticate& request,
                    wire::AuthenticateResult& result) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    KEYMELD_TRY(KeygenState* const keygen, core.store.find(id));
    const NonceUse use = NonceUse::read(call.stream);
    const auto verified = [&]() -> Result<Authenticated> {
        switch (request.header_case()) {
        case wire::Authenticate::kSessionHeader:
            return verify_session_header(core, *keygen, request.session_header(),
                                         keygen->params().session.expected_participants, use);
        case wire::Authenticate::kSigningHeader:
            return verify_signing_header(core, *keygen, request.signing_header(), use);
        case wire::Authenticate::HEADER_NOT_SET:
            break;
        }
        return fail(Errc::AuthMissing, "authentication header is missing");
    }();
    if (!verified)
        return verified.error();
    put_user(*keygen, verified->signer_index, *result.mutable_user_id());
    result.set_signer_index(verified->signer_index);
    return {};
}

Status approve(SignerCore& core, const Call& call, const wire::Approve& request,
               wire::ApproveResult& result) {
    KEYMELD_TRY(const SigningId signing, signing_id_of(request.signing_id()));
    KEYMELD_TRY(KeygenState* const keygen, completed_keygen(core, request.keygen_id()));
    const Mark mark = core.marker.signing(keygen->id(), signing);
    if (keygen->ledger().ended(mark)) {
        KEYMELD_CHECK(approve_ended(core, *keygen, mark, request.approval(), result));
    } else {
        const OpenSigning* const open = keygen->ledger().open(signing);
        if (open == nullptr && !request.has_evidence())
            return no_such_session();
        EvidenceVerdict verdict{signing, mark, {}, std::nullopt};
        if (open != nullptr) {
            verdict.message = open->message;
        } else {
            KEYMELD_TRY(EvidenceVerdict judged,
                        judge_evidence(core, *keygen, signing, request.evidence()));
            verdict.message = judged.message;
            verdict.nonce.emplace(std::move(judged.nonce.value()));
        }
        KEYMELD_TRY(auto approval, verify_approval(core, *keygen, verdict, request.approval(),
                                                   call.now.unix_seconds()));
        if (!keygen->has_room(kApproveSize))
            return fail(Errc::QuotaExceeded,
                        "the session has as many signings as an enclave can remember");
        accept(*keygen, verdict);
        const bool counts = keygen->participants()[approval.fact.signer_index].policy !=
                                session::ApprovalPolicy::None &&
                            !is_finished(*keygen, signing);
        if (counts)
            record_approval(*keygen, signing, approval);
        else
            approval.nonce.record();
        result.set_counts(counts);
        put_user(*keygen, approval.fact.signer_index, *result.mutable_user_id());
    }
    if (keygen->needs_update(call.stream))
        put_sealed(keygen->take_update(call.stream), *result.mutable_sealed());
    return {};
}

Status reject(SignerCore& core, const Call& call, const wire::Reject& request,
              wire::RejectResult& result) {
    KEYMELD_TRY(const SigningId signing, signing_id_of(request.signing_id()));
    KEYMELD_TRY(KeygenState* const keygen, completed_keygen(core, request.keygen_id()));
    const Mark mark = core.marker.signing(keygen->id(), signing);
    KEYMELD_TRY(Authenticated sender, verify_signing_header(core, *keygen, request.signing_header(),
                                                            NonceUse::of(UseKind::Reject, mark)));
    if (keygen->participants()[sender.signer_index].policy == session::ApprovalPolicy::None)
        return fail(Errc::NotPermitted, "only a participant that requires approval may reject");
    const auto ending = keygen->ledger().ended(mark);
    if (ending && *ending != Ending::Rejected)
        return fail(Errc::WrongState, "signing session has ended");
    if (!ending) {
        if (keygen->ledger().open(signing) == nullptr)
            return no_such_session();
        if (keygen->attempt(signing) != nullptr)
            return fail(Errc::WrongState, "signing has begun");
        keygen->record(SigningEnded{signing, mark, Ending::Rejected});
    }
    sender.nonce.record();
    put_user(*keygen, sender.signer_index, *result.mutable_user_id());
    if (keygen->needs_update(call.stream))
        put_sealed(keygen->take_update(call.stream), *result.mutable_sealed());
    return {};
}

Status close_signing(SignerCore& core, const Call& call, const wire::CloseSigning& request,
                     wire::CloseSigningResult& result) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    if (request.signing_ids_size() < 1 || request.signing_ids_size() > kMaxClosings)
        return fail(Errc::InvalidArgument, "1 to 1024 sessions are closed at once");
    std::vector<SigningId> signings;
    for (const std::string& field : request.signing_ids()) {
        KEYMELD_TRY(const SigningId signing, signing_id_of(field));
        signings.push_back(signing);
    }
    KEYMELD_TRY(KeygenState* const keygen, core.store.find(id));
    for (const SigningId& signing : signings) {
        keygen->erase_attempt(signing);
        if (keygen->ledger().open(signing) != nullptr)
            keygen->record(SigningEnded{signing, core.marker.signing(id, signing), Ending::Closed});
    }
    if (keygen->needs_update(call.stream))
        put_sealed(keygen->take_update(call.stream), *result.mutable_sealed());
    return {};
}

} // namespace keymeld::enclave
