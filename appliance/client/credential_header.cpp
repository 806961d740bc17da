#include "appliance/client/credential_header.h"

#include <algorithm>
#include <set>

#include "appliance/json/document.h"
#include "appliance/json/writer.h"
#include "core/base/hex.h"

namespace keymeld::client::credential_header {
namespace {

constexpr std::string_view kFormat = "keymeld-credentials-v1";

Result<bitcoin::SessionParams> parse_params(const json::Object& key) {
    bitcoin::SessionParams out;
    KEYMELD_TRY(const auto users, key.distinct_uuids("participants", 1, 1000));
    for (const Uuid& user : users)
        out.expected_participants.emplace_back(user);
    KEYMELD_TRY(const std::string tweak, key.text("tweak", 128));
    const auto equals = tweak.find('=');
    KEYMELD_TRY(out.tweak.type, bitcoin::parse_tweak_type(std::string_view(tweak).substr(0, equals)));
    if (out.tweak.has_value() != (equals != std::string::npos))
        return fail(Errc::ConfigInvalid, "a tweak has a value it should not have, or lacks one");
    if (equals != std::string::npos)
        KEYMELD_CHECK(hex_decode_into(std::string_view(tweak).substr(equals + 1), out.tweak.value32));
    KEYMELD_TRY(const std::string order, key.text("key_order", 32));
    KEYMELD_TRY(out.key_order, bitcoin::parse_key_order(order));
    KEYMELD_TRY(const auto sessions, key.number("max_signing_sessions", 0, UINT32_MAX));
    out.max_signing_sessions = static_cast<std::uint32_t>(sessions);
    return out;
}

Result<StoredKey> parse_key(const json::Object& key) {
    KEYMELD_TRY(const Bytes point, key.bytes("public_key", json::BytesForm::Hex, {33}));
    KEYMELD_TRY(const auto public_key, bitcoin::PlainPubKey::parse(point));
    StoredKey out{.public_key = public_key};
    KEYMELD_TRY(const std::string kind, key.text("kind", 16));
    if (kind != "musig2" && kind != "single")
        return fail(Errc::ConfigInvalid, "a key of an unknown kind");
    out.kind = kind == "musig2" ? KeyKind::MuSig2 : KeyKind::Single;
    KEYMELD_TRY(out.label, key.text("label", kMaxKeyLabel));
    KEYMELD_TRY(const Uuid user, key.uuid("user_id"));
    out.user_id = UserId(user);
    KEYMELD_TRY(out.id, key.uuid("id"));
    if (out.kind == KeyKind::MuSig2) {
        KEYMELD_TRY(out.params, parse_params(key));
        KEYMELD_TRY(out.approves, key.required_boolean("approves"));
        out.schnorr = true;
    } else {
        KEYMELD_TRY(const auto enclave, key.number("enclave_id", 0, UINT32_MAX));
        out.enclave_id = static_cast<std::uint32_t>(enclave);
        KEYMELD_TRY(out.generated, key.required_boolean("generated"));
        KEYMELD_TRY(out.ecdsa, key.required_boolean("ecdsa"));
        KEYMELD_TRY(out.schnorr, key.required_boolean("schnorr"));
    }
    if (key.has("certificate")) {
        KEYMELD_TRY(const auto certificate, key.hex("certificate", 1, 16 * 1024));
        out.certificate = certificate.bytes;
    }
    return out;
}

} // namespace

Result<Line> parse(std::string_view text) {
    const auto as_config_error = [](const Error& error) { return fail(Errc::ConfigInvalid, error.detail); };
    auto document = json::Document::parse(text);
    if (!document)
        return as_config_error(document.error());
    KEYMELD_TRY(const json::Object object, document->object());
    KEYMELD_TRY(const std::string format, object.text("format", 64));
    if (format != kFormat)
        return fail(Errc::ConfigInvalid, "its format is not " + std::string(kFormat));
    Line out;
    KEYMELD_TRY(out.header.label, object.text("label", kMaxTokenLabel));
    KEYMELD_TRY(out.header.url, object.text("url", 1024));
    if (object.has("tls_sha256")) {
        KEYMELD_TRY(const Bytes pin, object.bytes("tls_sha256", json::BytesForm::Hex, {32}));
        out.header.certificate_sha256.emplace();
        std::copy(pin.begin(), pin.end(), out.header.certificate_sha256->begin());
    }
    KEYMELD_TRY(out.header.trust, object.text("trust", 64 * 1024));
    KEYMELD_TRY(out.header.pcrs, object.text("pcrs", 256 * 1024));
    KEYMELD_TRY(const json::Object kdf, object.object("scrypt"));
    KEYMELD_TRY(const auto log_n, kdf.number("log_n", kMinKdfLogN, kMaxKdfLogN));
    out.log_n = static_cast<unsigned>(log_n);
    KEYMELD_TRY(const Bytes salt, kdf.bytes("salt", json::BytesForm::Hex, {16}));
    std::copy(salt.begin(), salt.end(), out.salt.begin());
    KEYMELD_TRY(const auto keys, object.objects("keys", kMaxStoredKeys));
    for (const json::Object& key : keys) {
        KEYMELD_TRY(StoredKey stored, parse_key(key));
        out.header.keys.push_back(std::move(stored));
    }
    KEYMELD_CHECK(check(out.header));
    return out;
}

std::string write(const Line& line) {
    const StoreHeader& header = line.header;
    json::Writer out;
    out.begin_object().member("format", kFormat).member("label", header.label).member("url", header.url);
    if (header.certificate_sha256)
        out.key("tls_sha256").hex(*header.certificate_sha256);
    out.member("trust", header.trust).member("pcrs", header.pcrs);
    out.key("scrypt").begin_object().member("log_n", line.log_n).key("salt").hex(line.salt).end_object();
    out.key("keys").begin_array();
    for (const StoredKey& key : header.keys) {
        out.begin_object()
            .member("kind", key.kind == KeyKind::MuSig2 ? "musig2" : "single")
            .member("label", key.label)
            .member("public_key", key.public_key.hex())
            .member("user_id", key.user_id)
            .member("id", key.id);
        if (key.kind == KeyKind::MuSig2) {
            out.key("participants").begin_array();
            for (const UserId& user : key.params.expected_participants)
                out.uuid(user);
            out.end_array()
                .member("tweak", key.params.tweak.params_text())
                .member("key_order", bitcoin::text(key.params.key_order))
                .member("max_signing_sessions", key.params.max_signing_sessions)
                .key("approves").boolean(key.approves);
        } else {
            out.member("enclave_id", key.enclave_id).key("generated").boolean(key.generated).key("ecdsa").boolean(key.ecdsa).key("schnorr").boolean(key.schnorr);
        }
        if (!key.certificate.empty())
            out.key("certificate").hex(key.certificate);
        out.end_object();
    }
    return out.end_array().end_object().take();
}

Status check(const StoreHeader& header) {
    const auto bad = [](std::string text) { return fail(Errc::InvalidArgument, std::move(text)); };
    if (!is_label(header.label, kMaxTokenLabel))
        return bad("a store's label has 1 to 32 bytes of UTF-8 without control characters");
    if (auto endpoint = header.endpoint(); !endpoint)
        return bad("url: " + endpoint.error().detail);
    if (auto trust = header.enclave_trust(); !trust)
        return bad("trust: " + trust.error().detail);
    if (header.keys.size() > kMaxStoredKeys)
        return bad("a store holds at most " + std::to_string(kMaxStoredKeys) + " keys");
    std::set<std::string_view> labels;
    std::set<ByteArray<33>> points;
    for (const StoredKey& key : header.keys) {
        if (!is_label(key.label, kMaxKeyLabel))
            return bad("a key's label has 1 to 64 bytes of UTF-8 without control characters");
        if (!labels.insert(key.label).second)
            return bad("there is a key with the label \"" + key.label + "\" already");
        if (!points.insert(key.public_key.bytes()).second)
            return bad("the key \"" + key.label + "\" is in the store already");
    }
    return {};
}

} // namespace keymeld::client::credential_header
