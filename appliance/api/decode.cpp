#include "appliance/api/decode.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "appliance/api/decode_fields.h"
#include "appliance/http/target.h"
#include "appliance/json/document.h"
#include "core/base/hex.h"
#include "core/bitcoin/key_order.h"
#include "core/bitcoin/tweak_config.h"
#include "core/crypto/encrypted_data.h"
#include "core/crypto/public_key.h"

namespace keymeld::api {
namespace {

constexpr std::uint64_t kMaxU32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMaxU64 = std::numeric_limits<std::uint64_t>::max();

/// 4.9: empty is refused, 64 hex characters are the message in clear, everything else must look like hex-JSON. The enclave opens it.
Result<std::optional<std::string>> encrypted_message(const json::Object& body, std::string_view name) {
    KEYMELD_TRY(auto message, body.optional_text(name, crypto::kMaxEncryptedDataText));
    if (!message)
        return message;
    const auto decoded = hex_decode(*message);
    if (message->empty() || !decoded)
        return body.invalid(name, "must be hex, and not empty");
    if (decoded->size() == 32)
        return message;
    const auto wrong = [&] {
        return body.invalid(name, "must be 64 hex characters or hex-JSON EncryptedData with context message");
    };
    const auto document = json::Document::parse(as_text(*decoded));
    if (!document)
        return wrong();
    const auto data = document->object();
    if (!data || data->text("context", kMaxWord).value_or("") != "message" ||
        !data->bytes("nonce", json::BytesForm::Array, {12}) ||
        !data->bytes("ciphertext", json::BytesForm::Array, {48, 80}))
        return wrong();
    return message;
}

Result<std::uint64_t> timeout_secs(const json::Object& body, const DecodeLimits& limits) {
    return body.number("timeout_secs", 1, limits.timeout_secs_max);
}

/// Digits only: no sign, no space, no exponent.
std::optional<std::uint64_t> decimal(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

} // namespace

Result<engine::CreateKeygen> decode_create_keygen(std::string_view text, const DecodeLimits& limits) {
    KEYMELD_TRY(const auto document, json::Document::parse(text));
    KEYMELD_TRY(const auto body, document.object());
    engine::CreateKeygen out;
    KEYMELD_TRY(const Uuid id, body.uuid("keygen_session_id"));
    out.id = KeygenId(id);
    KEYMELD_TRY(out.coordinator_pubkey, public_key(body, "coordinator_pubkey"));
    KEYMELD_TRY(auto key_blob, body.hex("coordinator_encrypted_private_key", kMinBlob, kMaxBlob));
    out.coordinator_encrypted_private_key = std::move(key_blob.bytes);
    KEYMELD_TRY(const auto enclave, body.number("coordinator_enclave_id", 0, kMaxU32));
    out.coordinator_enclave_id = static_cast<std::uint32_t>(enclave);
    KEYMELD_TRY(const auto users, body.distinct_uuids("expected_participants", 2, limits.max_participants));
    out.expected_participants.reserve(users.size());
    for (const Uuid& user : users)
        out.expected_participants.emplace_back(user);
    KEYMELD_TRY(out.timeout_secs, timeout_secs(body, limits));
    KEYMELD_TRY(auto secret_blob, body.hex("encrypted_session_secret", kMinBlob, kMaxBlob));
    out.encrypted_session_secret_hex = std::move(secret_blob.text);
    KEYMELD_TRY(const auto quota, body.optional_number("max_signing_sessions", 0, kMaxU32));
    if (quota)
        out.max_signing_sessions = static_cast<std::uint32_t>(*quota);
    KEYMELD_TRY(out.tweak, tweak_config(body, "taproot_tweak_config"));
    if (body.has("key_order")) {
        KEYMELD_TRY(const std::string order, body.text("key_order", kMaxWord));
        const auto known = bitcoin::parse_key_order(order);
        if (!known)
            return body.invalid("key_order", "must be user_id or bip327_sorted");
        out.key_order = *known;
    }
    KEYMELD_TRY(out.ecies_aad, body.boolean("ecies_aad", false));
    return out;
}

Result<engine::RegisterParticipant> decode_register(std::string_view text, const KeygenId& path_id) {
    KEYMELD_TRY(const auto document, json::Document::parse(text));
    KEYMELD_TRY(const auto body, document.object());
    engine::RegisterParticipant out;
    KEYMELD_TRY(const Uuid id, body.uuid("keygen_session_id"));
    out.keygen_id = KeygenId(id);
    if (out.keygen_id != path_id)
        return body.invalid("keygen_session_id", "must be the id in the path");
    KEYMELD_TRY(const Uuid user, body.uuid("user_id"));
    out.user_id = UserId(user);
    KEYMELD_TRY(auto blob, body.hex("encrypted_private_key", kMinBlob, kMaxBlob));
    out.encrypted_private_key = std::move(blob.bytes);
    KEYMELD_TRY(out.public_key, public_key(body, "public_key"));
    KEYMELD_TRY(out.require_signing_approval, body.boolean("require_signing_approval", false));
    KEYMELD_TRY(const auto policy, body.optional_text("approval_policy", kMaxWord));
    if (policy) {
        const auto known = session::parse_approval_policy(*policy);
        if (!known)
            return body.invalid("approval_policy", "must be none, header or bound");
        if (out.require_signing_approval && *known == session::ApprovalPolicy::None)
            return body.invalid("approval_policy", "must not be none when require_signing_approval is true");
        out.approval_policy = *known;
    }
    return out;
}

Result<engine::CreateSigning> decode_create_signing(std::string_view text, const DecodeLimits& limits) {
    KEYMELD_TRY(const auto document, json::Document::parse(text));
    KEYMELD_TRY(const auto body, document.object());
    engine::CreateSigning out;
    KEYMELD_TRY(const Uuid id, body.uuid("signing_session_id"));
    out.id = SigningId(id);
    KEYMELD_TRY(const Uuid keygen, body.uuid("keygen_session_id"));
    out.keygen_id = KeygenId(keygen);
    KEYMELD_TRY(out.message_hash, bytes32(body, "message_hash", json::BytesForm::Array));
    KEYMELD_TRY(out.encrypted_message, encrypted_message(body, "encrypted_message"));
    KEYMELD_TRY(out.timeout_secs, timeout_secs(body, limits));
    return out;
}

Result<std::optional<engine::ApproveSigning::Bound>> decode_approval(std::string_view text, const DecodeLimits& limits,
                                                                     std::uint64_t now) {
    if (text.empty())
        return std::optional<engine::ApproveSigning::Bound>();
    KEYMELD_TRY(const auto document, json::Document::parse(text));
    KEYMELD_TRY(const auto body, document.object());
    engine::ApproveSigning::Bound out;
    KEYMELD_TRY(out.message_hash, bytes32(body, "message_hash", json::BytesForm::ArrayOrHex));
    KEYMELD_TRY(out.expires_at, body.number("expires_at", 0, kMaxU64));
    const auto validity = static_cast<std::uint64_t>(limits.approval_max_validity.count());
    if (out.expires_at > now && out.expires_at - now > validity)
        return body.invalid("expires_at", "must be at most " + std::to_string(validity) + " s from now");
    KEYMELD_TRY(const Bytes signature, body.bytes("signature", json::BytesForm::Hex, {64}));
    std::copy(signature.begin(), signature.end(), out.signature.begin());
    return std::optional(out);
}

Result<std::chrono::seconds> decode_wait(std::string_view query, const DecodeLimits& limits) {
    const auto text = http::query_parameter(query, "wait");
    if (!text)
        return std::chrono::seconds(0);
    const auto value = decimal(*text);
    const auto max = static_cast<std::uint64_t>(limits.wait_max.count());
    if (!value || *value > max)
        return bad_parameter("wait", "must be an integer of 0.." + std::to_string(max));
    return std::chrono::seconds(*value);
}

Result<Bytes> decode_attestation_nonce(std::string_view query) {
    const auto text = http::query_parameter(query, "nonce");
    if (!text)
        return Bytes();
    auto nonce = hex_decode(*text);
    if (!nonce || nonce->empty() || nonce->size() > 64)
        return bad_parameter("nonce", "must be hex of 1..64 bytes");
    return std::move(*nonce);
}

Result<std::uint32_t> decode_enclave_id(std::string_view text) {
    const auto value = decimal(text);
    if (!value || *value > kMaxU32)
        return bad_parameter("enclave_id", "must be an integer of 0..4294967295");
    return static_cast<std::uint32_t>(*value);
}

std::optional<std::uint64_t> decode_last_event_id(std::string_view text) { return decimal(text); }

} // namespace keymeld::api
