#include "core/engine/wire_build.h"

namespace keymeld::engine {
namespace {

wire::TweakConfig::Type tweak_type(bitcoin::TweakType type) {
    switch (type) {
    case bitcoin::TweakType::None: return wire::TweakConfig::NONE;
    case bitcoin::TweakType::UnspendableTaproot: return wire::TweakConfig::UNSPENDABLE_TAPROOT;
    case bitcoin::TweakType::TaprootWithMerkleRoot: return wire::TweakConfig::TAPROOT_WITH_MERKLE_ROOT;
    case bitcoin::TweakType::PlainTweak: return wire::TweakConfig::PLAIN_TWEAK;
    case bitcoin::TweakType::XOnlyTweak: return wire::TweakConfig::X_ONLY_TWEAK;
    }
    return wire::TweakConfig::NONE;
}

} // namespace

wire::ApprovalPolicy wire_policy(session::ApprovalPolicy policy) {
    switch (policy) {
    case session::ApprovalPolicy::None: return wire::POLICY_NONE;
    case session::ApprovalPolicy::Header: return wire::POLICY_HEADER;
    case session::ApprovalPolicy::Bound: return wire::POLICY_BOUND;
    }
    return wire::POLICY_BOUND;
}

void fill_params(const plugin::KeygenRecord& record, const std::vector<plugin::ParticipantRecord>& participants,
                 wire::KeygenParams& out) {
    for (const plugin::ParticipantRecord& participant : participants) {
        out.add_expected_participants(wire_bytes(participant.user_id));
        out.add_slot_enclaves(wire_bytes(participant.enclave_public_key));
    }
    out.mutable_tweak()->set_type(tweak_type(record.tweak.type));
    if (record.tweak.has_value())
        out.mutable_tweak()->set_value(wire_bytes(record.tweak.value32));
    out.set_key_order(record.key_order == bitcoin::KeyOrder::UserId ? wire::USER_ID : wire::BIP327_SORTED);
    out.set_max_signing_sessions(record.max_signing_sessions);
    out.set_ecies_aad(record.ecies_aad);
}

void fill_registration(const plugin::ParticipantRecord& participant, wire::Registration& out) {
    out.set_user_id(wire_bytes(participant.user_id));
    out.set_public_key(wire_bytes(participant.public_key));
    out.set_policy(wire_policy(participant.policy));
    out.set_tag(wire_bytes(participant.registration_tag));
}

void fill_approval(const plugin::ApprovalRecord& approval, wire::Approval& out) {
    out.set_signing_header(approval.signing_header);
    if (!approval.bound)
        return;
    out.mutable_bound()->set_message_hash(wire_bytes(approval.bound->message_hash));
    out.mutable_bound()->set_expires_at(approval.bound->expires_at);
    out.mutable_bound()->set_signature(wire_bytes(approval.bound->signature));
}

void fill_evidence(const plugin::SigningRecord& record, wire::SigningEvidence& out) {
    out.set_session_header(record.session_header);
    out.set_message_hash(wire_bytes(record.message_hash));
    if (record.encrypted_message)
        out.set_encrypted_message(*record.encrypted_message);
}

} // namespace keymeld::engine
