#include "appliance/api/encode.h"

#include <algorithm>

#include "appliance/json/writer.h"
#include "core/base/base64.h"
#include "core/base/hex.h"
#include "core/bitcoin/key_order.h"
#include "core/bitcoin/tweak_config.h"

namespace keymeld::api {
namespace {

using json::Writer;

template <std::size_t N> void optional_hex(Writer& w, std::string_view name, const std::optional<ByteArray<N>>& bytes) {
    w.key(name);
    if (bytes)
        w.hex(*bytes);
    else
        w.null();
}

void write_pcrs(Writer& w, std::string_view name, const std::map<std::string, std::string>& pcrs) {
    w.key(name).begin_object();
    for (const auto& [pcr, value] : pcrs)
        w.member(pcr, value);
    w.end_object();
}

void write_failure(Writer& w, const std::optional<engine::Failure>& failure) {
    w.key("failure");
    if (!failure) {
        w.null();
        return;
    }
    w.begin_object().member("type", session::text(failure->type)).member("message", failure->message).end_object();
}

void write_tweak(Writer& w, const bitcoin::TweakConfig& tweak) {
    w.key("tweak").begin_object().member("type", bitcoin::text(tweak.type));
    if (tweak.has_value())
        w.key(tweak.type == bitcoin::TweakType::TaprootWithMerkleRoot ? "merkle_root" : "tweak").byte_array(tweak.value32);
    w.end_object();
}

void write_users(Writer& w, std::string_view name, const std::vector<UserId>& users) {
    w.key(name).begin_array();
    for (const UserId& user : users)
        w.uuid(user);
    w.end_array();
}

std::string_view health_text(const engine::HealthView& view) {
    if (view.healthy_enclaves == 0)
        return "unhealthy";
    return view.healthy_enclaves == view.total_enclaves ? "healthy" : "degraded";
}

} // namespace

std::string encode_enclaves(const std::vector<engine::EnclaveView>& enclaves) {
    Writer w;
    std::uint32_t healthy = 0;
    w.begin_object().key("enclaves").begin_array();
    for (const auto& enclave : enclaves) {
        const bool usable = enclave.healthy && enclave.reached;
        healthy += usable ? 1u : 0u;
        w.begin_object().member("enclave_id", enclave.enclave_id).member("healthy", usable);
        w.member("public_key", enclave.reached ? hex_encode(enclave.public_key) : "unavailable");
        w.member("attestation_document", base64_encode(enclave.attestation_document));
        w.member("active_sessions", enclave.active_sessions).member("uptime_seconds", enclave.uptime_seconds);
        w.member("key_epoch", enclave.key_epoch).member("key_generation_time", enclave.key_generation_time);
        w.member("last_health_check", enclave.last_health_check).end_object();
    }
    w.end_array();
    w.member("total_enclaves", static_cast<std::uint64_t>(enclaves.size())).member("healthy_enclaves", healthy).end_object();
    return w.take();
}

std::string encode_public_key(const engine::EnclaveView& enclave, std::uint64_t now) {
    Writer w;
    w.begin_object().member("enclave_id", enclave.enclave_id).member("public_key", hex_encode(enclave.public_key));
    w.member("attestation_document", base64_encode(enclave.attestation_document));
    write_pcrs(w, "pcr_measurements", enclave.pcrs);
    w.member("timestamp", now).member("healthy", enclave.healthy).member("key_epoch", enclave.key_epoch).end_object();
    return w.take();
}

std::string encode_attestation(const engine::AttestationAnswer& answer) {
    Writer w;
    w.begin_object().member("enclave_id", answer.enclave_id);
    w.member("attestation_document", base64_encode(answer.attestation_document));
    w.member("public_key", hex_encode(answer.public_key)).member("key_epoch", answer.key_epoch);
    write_pcrs(w, "pcrs", answer.pcrs);
    w.member("timestamp", answer.timestamp).end_object();
    return w.take();
}

std::string encode(const engine::CreateKeygenAnswer& answer) {
    Writer w;
    w.begin_object().member("keygen_session_id", answer.id);
    w.member("coordinator_enclave_id", answer.coordinator_enclave_id);
    w.member("status", session::text(session::KeygenStatus::CollectingParticipants));
    w.member("expected_participants", answer.expected_participants).member("expires_at", answer.expires_at);
    w.key("enclave_epochs").begin_object().end_object();
    w.member("session_secret", answer.session_secret_echo).end_object();
    return w.take();
}

std::string encode(const KeygenId& id, const engine::SlotsAnswer& answer) {
    Writer w;
    w.begin_object().member("session_id", id).key("available_slots").begin_array();
    for (const auto& slot : answer.available) {
        w.begin_object().member("user_id", slot.user_id).member("enclave_id", slot.enclave_id);
        w.member("signer_index", slot.signer_index).member("claimed", false).end_object();
    }
    w.end_array();
    w.member("total_slots", answer.total).member("claimed_slots", answer.claimed).end_object();
    return w.take();
}

std::string encode(const engine::RegisterAnswer& answer) {
    Writer w;
    w.begin_object().member("keygen_session_id", answer.keygen_id).member("user_id", answer.user_id);
    w.member("status", session::text(session::KeygenStatus::CollectingParticipants));
    w.member("participants_registered", answer.participants_registered);
    w.member("expected_participants", answer.expected_participants).member("signer_index", answer.signer_index);
    w.member("assigned_enclave_id", answer.assigned_enclave_id);
    w.member("require_signing_approval", answer.require_signing_approval);
    w.member("enclave_key_epoch", answer.enclave_key_epoch).end_object();
    return w.take();
}

std::string encode(const engine::KeygenView& view) {
    Writer w;
    w.begin_object().member("keygen_session_id", view.id).member("status", session::text(view.status));
    w.member("expected_participants", view.expected_participants);
    w.member("registered_participants", view.registered_participants);
    w.key("aggregate_public_key");
    if (view.aggregate_public_key)
        w.byte_array(*view.aggregate_public_key);
    else
        w.null();
    w.member("expires_at", view.expires_at);
    w.key("participants").begin_array();
    for (const auto& participant : view.participants) {
        w.begin_object().member("user_id", participant.user_id).member("signer_index", participant.signer_index);
        optional_hex(w, "public_key", participant.public_key);
        w.member("enclave_id", participant.enclave_id);
        w.member("require_signing_approval", participant.require_signing_approval);
        w.member("registered", participant.registered).end_object();
    }
    w.end_array();
    w.member("signer_index", view.signer_index).member("enclave_key_epoch", view.enclave_key_epoch);
    write_tweak(w, view.tweak);
    w.member("key_order", bitcoin::text(view.key_order));
    optional_hex(w, "untweaked_public_key", view.untweaked_public_key);
    optional_hex(w, "aggregate_key_tag", view.aggregate_key_tag);
    write_failure(w, view.failure);
    w.member("created_at", view.created_at).member("updated_at", view.updated_at).end_object();
    return w.take();
}

std::string encode(const engine::CreateSigningAnswer& answer) {
    Writer w;
    w.begin_object().member("signing_session_id", answer.id).member("keygen_session_id", answer.keygen_id);
    w.member("status", session::text(session::SigningStatus::CollectingParticipants));
    w.member("participants_count", answer.participants_count).member("expires_at", answer.expires_at).end_object();
    return w.take();
}

std::string encode(const engine::SigningView& view) {
    Writer w;
    w.begin_object().member("signing_session_id", view.id).member("keygen_session_id", view.keygen_id);
    w.member("status", session::text(view.status));
    w.member("participants_registered", view.participants_registered);
    w.member("expected_participants", view.expected_participants);
    w.key("final_signature");
    if (view.final_signature)
        w.text(*view.final_signature);
    else
        w.null();
    w.member("expires_at", view.expires_at);
    write_users(w, "participants_requiring_approval", view.participants_requiring_approval);
    write_users(w, "approved_participants", view.approved_participants);
    write_failure(w, view.failure);
    w.member("created_at", view.created_at).member("updated_at", view.updated_at).end_object();
    return w.take();
}

std::string encode(const engine::HealthView& view, std::string_view version) {
    Writer w;
    w.begin_object().member("status", health_text(view)).member("version", version);
    w.member("active_sessions", view.active_sessions).member("healthy_enclaves", view.healthy_enclaves);
    w.member("total_enclaves", view.total_enclaves);
    w.key("database_stats").begin_object().member("total_sessions", view.total_sessions);
    w.member("active_sessions", view.stored_active_sessions).member("total_participants", view.total_participants);
    w.key("database_size_bytes");
    if (view.database_size_bytes)
        w.number(*view.database_size_bytes);
    else
        w.null();
    w.end_object().end_object();
    return w.take();
}

std::string encode_ready(const engine::ReadyView& view) {
    Writer w;
    w.begin_object().member("ready", true).member("checked_at", view.checked_at).end_object();
    return w.take();
}

std::string encode_not_ready(const engine::ReadyView& view) {
    Writer w;
    w.key("reasons").begin_array();
    for (const auto& reason : view.reasons) {
        w.begin_object().member("enclave_id", reason.enclave_id).member("type", reason.type);
        w.member("message", reason.message).end_object();
    }
    w.end_array();
    return w.take();
}

std::string encode_version(std::string_view version, bool attestation) {
    Writer w;
    w.begin_object().member("service", "KeyMeld Gateway").member("version", version).member("api_version", "v1");
    w.key("features").begin_object();
    for (const std::string_view feature : {"service_participation", "user_authentication", "enclave_isolation",
                                           "bound_approvals", "ecies_aad", "key_order", "long_poll", "events", "single_keys"})
        w.member(feature, true);
    w.member("attestation", attestation).end_object().end_object();
    return w.take();
}

std::string encode_event(std::uint64_t id, std::string_view data) {
    std::string out = "id: " + std::to_string(id) + "\nevent: status\ndata: ";
    return out.append(data).append("\n\n");
}

} // namespace keymeld::api
