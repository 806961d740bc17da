#include "core/engine/record_views.h"

#include "core/engine/field_digest.h"

namespace keymeld::engine {
namespace {

std::optional<Failure> failure_of(const std::optional<plugin::FailureRecord>& record) {
    if (!record)
        return std::nullopt;
    return Failure{record->type, record->message};
}

} // namespace

KeygenView view_of(const KeygenInfo& keygen, std::uint32_t signer_index) {
    const plugin::KeygenRecord& record = keygen.record;
    KeygenView out;
    out.id = record.id;
    out.status = record.status;
    out.event_seq = record.event_seq;
    out.expected_participants = static_cast<std::uint32_t>(keygen.participants.size());
    out.registered_participants = keygen.registered();
    out.aggregate_public_key = record.aggregate_public_key;
    out.expires_at = session::is_terminal(record.status) ? 0 : record.expires_at;
    out.participants.reserve(keygen.participants.size());
    for (const plugin::ParticipantRecord& p : keygen.participants) {
        KeygenView::Participant& participant = out.participants.emplace_back();
        participant.user_id = p.user_id;
        participant.signer_index = p.signer_index;
        participant.enclave_id = p.enclave_id;
        participant.registered = p.registered;
        if (p.registered) {
            participant.public_key = p.public_key;
            participant.require_signing_approval = p.policy != session::ApprovalPolicy::None;
        }
    }
    out.signer_index = signer_index;
    out.enclave_key_epoch = keygen.participants.at(signer_index).enclave_key_epoch;
    out.tweak = record.tweak;
    out.key_order = record.key_order;
    out.untweaked_public_key = record.untweaked_public_key;
    out.aggregate_key_tag = record.aggregate_key_tag;
    out.failure = failure_of(record.failure);
    out.created_at = record.created_at;
    out.updated_at = record.updated_at;
    return out;
}

SigningView view_of(const plugin::SigningRecord& record, const KeygenInfo& keygen) {
    SigningView out;
    out.id = record.id;
    out.keygen_id = record.keygen_id;
    out.status = record.status;
    out.event_seq = record.event_seq;
    out.expected_participants = static_cast<std::uint32_t>(keygen.participants.size());
    out.participants_registered = keygen.registered();
    if (record.status == session::SigningStatus::Completed)
        out.final_signature = record.final_signature;
    out.expires_at = record.status == session::SigningStatus::Failed ? 0 : record.expires_at;
    out.failure = failure_of(record.failure);
    out.created_at = record.created_at;
    out.updated_at = record.updated_at;
    return out;
}

std::string failure_message(session::FailureType type, std::optional<Errc> code, std::optional<std::uint32_t> enclave) {
    std::string text;
    switch (type) {
    case session::FailureType::Expired:
        text = code ? "an approval expired before signing was finished" : "the session's time is over";
        break;
    case session::FailureType::Rejected: text = "a participant rejected the signing"; break;
    case session::FailureType::EnclaveUnavailable: text = "an enclave did not answer, and retries are used up"; break;
    case session::FailureType::EnclaveStateLost: text = "an enclave cannot restore its part of the key"; break;
    case session::FailureType::ProtocolError: text = "a contribution to the session does not verify"; break;
    case session::FailureType::Internal: text = "the session could not be finished"; break;
    }
    if (code && enclave)
        text += " (enclave " + std::to_string(*enclave) + ": " + std::string(errc_name(*code)) + ")";
    return text;
}

plugin::Hash32 digest_of(const CreateKeygen& request, std::uint32_t max_signing_sessions) {
    FieldDigest digest("keymeld-create-keygen-v1");
    digest.add(request.id.view()).add(request.coordinator_pubkey).add(request.coordinator_encrypted_private_key);
    digest.add(request.coordinator_enclave_id).add(request.expected_participants.size());
    for (const UserId& user : request.expected_participants)
        digest.add(user.view());
    digest.add(request.timeout_secs);
    // Hex in either case decodes to the same value.
    std::string secret = request.encrypted_session_secret_hex;
    for (char& c : secret)
        if (c >= 'A' && c <= 'F')
            c = static_cast<char>(c - 'A' + 'a');
    digest.add(as_bytes(secret)).add(max_signing_sessions);
    digest.add(static_cast<std::uint64_t>(request.tweak.type)).add(request.tweak.value32);
    digest.add(static_cast<std::uint64_t>(request.key_order)).add(request.ecies_aad ? 1u : 0u);
    return digest.finish();
}

plugin::Hash32 digest_of(const RegisterParticipant& request, session::ApprovalPolicy effective) {
    FieldDigest digest("keymeld-register-v1");
    digest.add(request.keygen_id.view()).add(request.user_id.view()).add(request.encrypted_private_key);
    digest.add(request.public_key).add(static_cast<std::uint64_t>(effective));
    return digest.finish();
}

plugin::Hash32 digest_of(const CreateSigning& request) {
    FieldDigest digest("keymeld-create-signing-v1");
    digest.add(request.id.view()).add(request.keygen_id.view()).add(request.message_hash);
    digest.add(request.encrypted_message ? 1u : 0u);
    if (request.encrypted_message)
        digest.add(as_bytes(*request.encrypted_message));
    digest.add(request.timeout_secs);
    return digest.finish();
}

session::ApprovalPolicy effective_policy(const RegisterParticipant& request) {
    if (request.approval_policy)
        return *request.approval_policy;
    return request.require_signing_approval ? session::ApprovalPolicy::Header : session::ApprovalPolicy::None;
}

} // namespace keymeld::engine
