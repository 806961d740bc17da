#include "appliance/api/decode_fields.h"

#include <algorithm>

#include "core/crypto/public_key.h"

namespace keymeld::api {

Result<ByteArray<33>> public_key(const json::Object& body, std::string_view name) {
    KEYMELD_TRY(const Bytes sec1, body.bytes(name, json::BytesForm::Array, {33, 65}));
    const auto key = crypto::PlainPubKey::parse(sec1);
    if (!key)
        return body.invalid(name, "must be a valid SEC 1 point, compressed or uncompressed");
    return key->bytes();
}

Result<ByteArray<32>> bytes32(const json::Object& body, std::string_view name, json::BytesForm form) {
    KEYMELD_TRY(const Bytes bytes, body.bytes(name, form, {32}));
    ByteArray<32> out{};
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
}

Result<bitcoin::TweakConfig> tweak_config(const json::Object& body, std::string_view name) {
    bitcoin::TweakConfig config;
    if (!body.has(name))
        return config;
    KEYMELD_TRY(const auto tweak, body.object(name));
    KEYMELD_TRY(const std::string type, tweak.text("type", kMaxWord));
    const auto known = bitcoin::parse_tweak_type(type);
    if (!known)
        return tweak.invalid("type", "is not a known tweak type");
    config.type = *known;
    if (config.has_value()) {
        const bool root = config.type == bitcoin::TweakType::TaprootWithMerkleRoot;
        const std::string_view value = root ? "merkle_root" : "tweak";
        KEYMELD_TRY(config.value32, bytes32(tweak, value, json::BytesForm::Array));
        if (!config.validate())
            return tweak.invalid(value, "must be below the group order");
    }
    return config;
}

Error bad_parameter(std::string name, const std::string& rule) {
    return fail(Errc::ValidationFailed, name + " " + rule).with("parameter", name);
}

} // namespace keymeld::api
