#include "appliance/api/key_decode.h"

#include <algorithm>
#include <limits>

#include "appliance/api/decode_fields.h"
#include "appliance/http/target.h"
#include "core/base/hex.h"
#include "core/crypto/auth_header.h"

namespace keymeld::api {
namespace {

constexpr std::size_t kKeyBlob = 93; // ECIES of 32 bytes
constexpr std::size_t kMaxLabel = 64;
/// Length, "session_data", nonce, 64 characters, tag.
constexpr std::string_view kContext = "session_data";
constexpr std::size_t kMessage = 1 + kContext.size() + 12 + 64 + 16;
constexpr std::size_t kMaxHeaderText = 512;

Result<ByteArray<33>> compressed_key(const json::Object& body, std::string_view name) {
    KEYMELD_CHECK(body.bytes(name, json::BytesForm::ArrayOrHex, {33}));
    return public_key(body, name);
}

Result<std::optional<std::string>> label(const json::Object& body) {
    KEYMELD_TRY(auto text, body.optional_text("label", kMaxLabel));
    const bool control = text && std::any_of(text->begin(), text->end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (text && (text->empty() || control))
        return body.invalid("label", "must be 1..64 bytes without control characters");
    return text;
}

Result<Bytes> blob_of_32(const json::Object& body, std::string_view name) {
    KEYMELD_TRY(auto blob, body.hex(name, kMinBlob, kMaxBlob));
    if (blob.bytes.size() != kKeyBlob)
        return body.invalid(name, "must be ECIES of 32 bytes: 186 hex characters");
    return std::move(blob.bytes);
}

Result<bitcoin::AllowedSignatures> allowed(const json::Object& body) {
    if (!body.has("allowed"))
        return bitcoin::AllowedSignatures{};
    const auto wrong = [&] { return body.invalid("allowed", "must be a list of ecdsa and schnorr_bip340, each at most once"); };
    KEYMELD_TRY(const auto names, body.texts("allowed", 2, kMaxWord));
    bitcoin::AllowedSignatures out{false, false};
    for (const std::string& name : names) {
        const auto type = bitcoin::parse_signature_type(name);
        if (!type || out.has(*type))
            return wrong();
        (*type == bitcoin::SignatureType::Ecdsa ? out.ecdsa : out.schnorr_bip340) = true;
    }
    if (out.none())
        return wrong();
    return out;
}

Result<std::string> message(const json::Object& body) {
    KEYMELD_TRY(auto given, body.hex("encrypted_message", 1, kMessage + 1));
    const ByteView bytes(given.bytes);
    if (bytes.size() != kMessage || bytes[0] != kContext.size() || as_text(bytes.subspan(1, kContext.size())) != kContext)
        return body.invalid("encrypted_message", "must be the binary form with context session_data and 64 characters of plaintext");
    return std::move(given.text);
}

Result<bitcoin::TweakConfig> taproot_tweak(const json::Object& body, bitcoin::SignatureType type) {
    KEYMELD_TRY(const auto tweak, tweak_config(body, "taproot_tweak"));
    const bool taproot =
        tweak.type == bitcoin::TweakType::UnspendableTaproot || tweak.type == bitcoin::TweakType::TaprootWithMerkleRoot;
    if (tweak.type != bitcoin::TweakType::None && !taproot)
        return body.invalid("taproot_tweak", "must be none, unspendable_taproot or taproot_with_merkle_root");
    if (taproot && type != bitcoin::SignatureType::SchnorrBip340)
        return body.invalid("taproot_tweak", "is for schnorr_bip340 only");
    return tweak;
}

Result<engine::SignSingle> sign_single(const json::Object& body) {
    engine::SignSingle out;
    KEYMELD_TRY(const Uuid user, body.uuid("user_id"));
    out.user_id = UserId(user);
    KEYMELD_TRY(const Uuid key, body.uuid("key_id"));
    out.key_id = KeyId(key);
    KEYMELD_TRY(out.encrypted_message, message(body));
    KEYMELD_TRY(const std::string type, body.text("signature_type", kMaxWord));
    const auto known = bitcoin::parse_signature_type(type);
    if (!known)
        return body.invalid("signature_type", "must be ecdsa or schnorr_bip340");
    out.type = *known;
    KEYMELD_TRY(out.encrypted_session_secret, blob_of_32(body, "encrypted_session_secret"));
    KEYMELD_TRY(const Bytes signature, body.bytes("approval_signature", json::BytesForm::ArrayOrHex, {64}));
    std::copy(signature.begin(), signature.end(), out.approval_signature.begin());
    KEYMELD_TRY(out.approval_timestamp, body.number("approval_timestamp", 0, std::numeric_limits<std::int64_t>::max()));
    KEYMELD_TRY(out.tweak, taproot_tweak(body, out.type));
    KEYMELD_TRY(const auto id, body.optional_text("signing_session_id", kMaxWord));
    if (id) {
        KEYMELD_TRY(const Uuid given, body.uuid("signing_session_id"));
        out.id = SigningId(given);
    }
    return out;
}

Result<engine::SignSingle> batch_item(const json::Object& item) {
    KEYMELD_TRY(auto out, sign_single(item));
    KEYMELD_TRY(const auto header, item.optional_text("user_signature", kMaxHeaderText));
    KEYMELD_CHECK(crypto::UserSignatureHeader::parse(header));
    out.user_header = *header;
    return out;
}

} // namespace

Result<UserId> decode_reserve_key(std::string_view text) {
    KEYMELD_TRY(const auto document, json::Document::parse(text));
    KEYMELD_TRY(const auto body, document.object());
    KEYMELD_TRY(const Uuid user, body.uuid("user_id"));
    return UserId(user);
}

Result<engine::ImportKey> decode_import_key(std::string_view text) {
    KEYMELD_TRY(const auto document, json::Document::parse(text));
    KEYMELD_TRY(const auto body, document.object());
    engine::ImportKey out;
    KEYMELD_TRY(const Uuid id, body.uuid("key_id"));
    out.id = KeyId(id);
    KEYMELD_TRY(const Uuid user, body.uuid("user_id"));
    out.user_id = UserId(user);
    KEYMELD_TRY(out.encrypted_private_key, blob_of_32(body, "encrypted_private_key"));
    KEYMELD_TRY(out.auth_pubkey, compressed_key(body, "auth_pubkey"));
    KEYMELD_TRY(const auto enclave, body.hex("enclave_public_key", 33, 33));
    std::copy(enclave.bytes.begin(), enclave.bytes.end(), out.enclave_public_key.begin());
    KEYMELD_TRY(out.ecies_aad, body.boolean("ecies_aad", false));
    KEYMELD_TRY(out.label, label(body));
    return out;
}

Result<engine::GenerateKey> decode_generate_key(std::string_view text) {
    KEYMELD_TRY(const auto document, json::Document::parse(text));
    KEYMELD_TRY(const auto body, document.object());
    engine::GenerateKey out;
    KEYMELD_TRY(const Uuid id, body.uuid("key_id"));
    out.id = KeyId(id);
    KEYMELD_TRY(const Uuid user, body.uuid("user_id"));
    out.user_id = UserId(user);
    KEYMELD_TRY(out.auth_pubkey, compressed_key(body, "auth_pubkey"));
    KEYMELD_TRY(out.label, label(body));
    KEYMELD_TRY(out.allowed, allowed(body));
    KEYMELD_TRY(const auto secret, body.optional_text("encrypted_session_secret", 2 * kMaxBlob));
    if (secret) {
        KEYMELD_TRY(out.encrypted_session_secret, blob_of_32(body, "encrypted_session_secret"));
    }
    return out;
}

Result<engine::KeepKey> decode_keep_key(std::string_view text) {
    KEYMELD_TRY(const auto document, json::Document::parse(text));
    KEYMELD_TRY(const auto body, document.object());
    engine::KeepKey out;
    KEYMELD_TRY(const Uuid id, body.uuid("key_id"));
    out.id = KeyId(id);
    KEYMELD_TRY(out.label, label(body));
    return out;
}

Result<engine::SignSingle> decode_sign_single(std::string_view text) {
    KEYMELD_TRY(const auto document, json::Document::parse(text));
    KEYMELD_TRY(const auto body, document.object());
    return sign_single(body);
}

Result<std::vector<Result<engine::SignSingle>>> decode_sign_batch(std::string_view text) {
    KEYMELD_TRY(const auto document, json::Document::parse(text));
    KEYMELD_TRY(const auto body, document.object());
    KEYMELD_TRY(const auto items, body.objects("items", kMaxBatch));
    if (items.empty())
        return body.invalid("items", "must have 1..100 elements");
    std::vector<Result<engine::SignSingle>> out;
    for (const json::Object& item : items)
        out.push_back(batch_item(item));
    return out;
}

Result<KeyId> decode_key_id(std::string_view query) {
    const auto text = http::query_parameter(query, "key_id");
    const auto id = text ? Uuid::parse(*text) : Result<Uuid>(fail(Errc::InvalidArgument, "absent"));
    if (!id)
        return bad_parameter("key_id", "must be a UUID");
    return KeyId(*id);
}

} // namespace keymeld::api
