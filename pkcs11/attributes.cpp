#include "pkcs11/attributes.h"

#include <algorithm>
#include <cstring>

#include "pkcs11/certificate.h"

namespace keymeld::pkcs11 {
namespace {

constexpr ByteArray<7> kSecp256k1{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a};
constexpr CK_ULONG kMaxAttributes = 256;
constexpr CK_ULONG kMaxValue = 64 * 1024;

Bytes boolean(bool value) { return {static_cast<std::uint8_t>(value ? CK_TRUE : CK_FALSE)}; }
Bytes number(CK_ULONG value) {
    Bytes out(sizeof value);
    std::memcpy(out.data(), &value, sizeof value);
    return out;
}
Bytes bytes(ByteView value) { return to_bytes(value); }

Bytes octet_string(const ByteArray<65>& point) {
    Bytes out{0x04, 65};
    out.insert(out.end(), point.begin(), point.end());
    return out;
}

/// SubjectPublicKeyInfo of a secp256k1 key (RFC 5480).
Bytes public_key_info(const ByteArray<65>& point) {
    Bytes out{0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
    out.insert(out.end(), kSecp256k1.begin(), kSecp256k1.end());
    out.insert(out.end(), {0x03, 0x42, 0x00});
    out.insert(out.end(), point.begin(), point.end());
    return out;
}

Bytes mechanisms_of(const Key& key) {
    Bytes out;
    for (const CK_MECHANISM_TYPE mechanism : {CK_MECHANISM_TYPE{CKM_ECDSA}, CK_MECHANISM_TYPE{CKM_ECDSA_SHA256},
                                              CK_MECHANISM_TYPE{CKM_KEYMELD_SCHNORR_BIP340}}) {
        if (allows(key, mechanism)) {
            const Bytes one = number(mechanism);
            out.insert(out.end(), one.begin(), one.end());
        }
    }
    return out;
}

std::optional<Bytes> certificate_attribute(const Key& key, CK_ATTRIBUTE_TYPE type) {
    const auto fields = certificate_fields(key.stored.certificate);
    switch (type) {
    case CKA_CERTIFICATE_TYPE: return number(CKC_X_509);
    case CKA_TRUSTED: return boolean(false);
    case CKA_CERTIFICATE_CATEGORY: return number(0);
    case CKA_VALUE: return key.stored.certificate;
    case CKA_SUBJECT: return fields ? std::optional(bytes(fields->subject)) : std::nullopt;
    case CKA_ISSUER: return fields ? std::optional(bytes(fields->issuer)) : std::nullopt;
    case CKA_SERIAL_NUMBER: return fields ? std::optional(bytes(fields->serial_number)) : std::nullopt;
    default: return std::nullopt;
    }
}

/// What public and private keys have in common.
std::optional<Bytes> key_attribute(const Key& key, CK_ATTRIBUTE_TYPE type) {
    const client::StoredKey& stored = key.stored;
    const bool musig = stored.kind == client::KeyKind::MuSig2;
    switch (type) {
    case CKA_KEY_TYPE: return number(CKK_EC);
    case CKA_DERIVE: return boolean(false);
    case CKA_LOCAL: return boolean(stored.generated);
    case CKA_KEY_GEN_MECHANISM: return number(stored.generated ? CK_ULONG{CKM_EC_KEY_PAIR_GEN} : CK_UNAVAILABLE_INFORMATION);
    case CKA_ALLOWED_MECHANISMS: return mechanisms_of(key);
    case CKA_SUBJECT: return Bytes();
    case CKA_EC_PARAMS: return bytes(kSecp256k1);
    case CKA_PUBLIC_KEY_INFO: return public_key_info(key.point);
    case CKA_KEYMELD_KIND: return bytes(as_bytes(musig ? "musig2" : "single"));
    case CKA_KEYMELD_X_ONLY_KEY: return bytes(stored.public_key.x_coordinate());
    case CKA_KEYMELD_PARTICIPANTS: {
        if (!musig)
            return std::nullopt;
        Bytes out;
        for (const UserId& user : stored.params.expected_participants)
            out.insert(out.end(), user.bytes.begin(), user.bytes.end());
        return out;
    }
    case CKA_KEYMELD_KEYGEN_SESSION: return musig ? std::optional(bytes(stored.id.bytes)) : std::nullopt;
    default: return std::nullopt;
    }
}

std::optional<Bytes> public_attribute(const Key& key, CK_ATTRIBUTE_TYPE type) {
    switch (type) {
    case CKA_EC_POINT: return octet_string(key.point);
    case CKA_VERIFY: return boolean(true);
    case CKA_ENCRYPT:
    case CKA_VERIFY_RECOVER:
    case CKA_WRAP:
    case CKA_TRUSTED: return boolean(false);
    default: return key_attribute(key, type);
    }
}

std::optional<Bytes> private_attribute(const Key& key, CK_ATTRIBUTE_TYPE type) {
    switch (type) {
    case CKA_SIGN:
    case CKA_SENSITIVE:
    case CKA_ALWAYS_SENSITIVE:
    case CKA_NEVER_EXTRACTABLE: return boolean(true);
    case CKA_DECRYPT:
    case CKA_SIGN_RECOVER:
    case CKA_UNWRAP:
    case CKA_EXTRACTABLE:
    case CKA_WRAP_WITH_TRUSTED:
    case CKA_ALWAYS_AUTHENTICATE: return boolean(false);
    default: return key_attribute(key, type);
    }
}

std::optional<Bytes> session_attribute(const SessionObject& object, CK_ATTRIBUTE_TYPE type) {
    switch (type) {
    case CKA_TOKEN:
    case CKA_PRIVATE: return boolean(false);
    case CKA_CLASS: return number(object.object_class);
    default: break;
    }
    const auto at = object.attributes.find(type);
    if (at != object.attributes.end())
        return at->second;
    if (type == CKA_LABEL)
        return Bytes();
    return std::nullopt;
}

bool is_secret_value(const ObjectView& object, CK_ATTRIBUTE_TYPE type) {
    return object.is_private() && (type == CKA_VALUE || type == CKA_PRIVATE_EXPONENT);
}

ByteView value_of(const CK_ATTRIBUTE& attribute) {
    return {static_cast<const std::uint8_t*>(attribute.pValue), attribute.pValue == nullptr ? 0 : attribute.ulValueLen};
}

} // namespace

bool allows(const Key& key, CK_MECHANISM_TYPE mechanism) {
    switch (mechanism) {
    case CKM_ECDSA:
    case CKM_ECDSA_SHA256: return key.stored.ecdsa;
    case CKM_KEYMELD_SCHNORR_BIP340: return key.stored.schnorr;
    default: return false;
    }
}

bool is_secp256k1(ByteView params) { return std::equal(params.begin(), params.end(), kSecp256k1.begin(), kSecp256k1.end()); }

Result<bitcoin::PlainPubKey> parse_point(ByteView value) {
    if ((value.size() == 67 || value.size() == 35) && value[0] == 0x04 && value[1] == value.size() - 2)
        value = value.subspan(2);
    return bitcoin::PlainPubKey::parse(value);
}

std::optional<Bytes> attribute(const ObjectView& object, CK_ATTRIBUTE_TYPE type) {
    if (object.session != nullptr)
        return session_attribute(*object.session, type);
    const Key& key = *object.found.key;
    switch (type) {
    case CKA_CLASS: return number(object.found.object_class);
    case CKA_TOKEN: return boolean(true);
    case CKA_PRIVATE: return boolean(object.is_private());
    case CKA_MODIFIABLE:
    case CKA_COPYABLE:
    case CKA_DESTROYABLE: return boolean(false);
    case CKA_LABEL: return bytes(as_bytes(key.stored.label));
    case CKA_ID: return bytes(key.id);
    case CKA_START_DATE:
    case CKA_END_DATE: return Bytes();
    default: break;
    }
    switch (object.found.object_class) {
    case CKO_PUBLIC_KEY: return public_attribute(key, type);
    case CKO_PRIVATE_KEY: return private_attribute(key, type);
    default: return certificate_attribute(key, type);
    }
}

CK_RV check_template(const CK_ATTRIBUTE* attributes, CK_ULONG count) {
    if (count == 0)
        return CKR_OK;
    if (attributes == nullptr || count > kMaxAttributes)
        return CKR_ARGUMENTS_BAD;
    for (const CK_ATTRIBUTE& given : std::span(attributes, count))
        if ((given.pValue == nullptr && given.ulValueLen != 0) || given.ulValueLen > kMaxValue)
            return CKR_ATTRIBUTE_VALUE_INVALID;
    return CKR_OK;
}

CK_RV read_attributes(const ObjectView& object, std::span<CK_ATTRIBUTE> wanted) {
    CK_RV code = CKR_OK;
    for (CK_ATTRIBUTE& want : wanted) {
        const auto value = is_secret_value(object, want.type) ? std::nullopt : attribute(object, want.type);
        if (!value) {
            code = is_secret_value(object, want.type) ? CKR_ATTRIBUTE_SENSITIVE : CKR_ATTRIBUTE_TYPE_INVALID;
            want.ulValueLen = CK_UNAVAILABLE_INFORMATION;
        } else if (want.pValue == nullptr) {
            want.ulValueLen = value->size();
        } else if (want.ulValueLen < value->size()) {
            code = CKR_BUFFER_TOO_SMALL;
            want.ulValueLen = CK_UNAVAILABLE_INFORMATION;
        } else {
            if (!value->empty())
                std::memcpy(want.pValue, value->data(), value->size());
            want.ulValueLen = value->size();
        }
    }
    return code;
}

bool matches(const ObjectView& object, std::span<const CK_ATTRIBUTE> wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&object](const CK_ATTRIBUTE& want) {
        if (is_secret_value(object, want.type))
            return false;
        const auto value = attribute(object, want.type);
        const ByteView given = value_of(want);
        if (!value)
            return false;
        if (std::equal(given.begin(), given.end(), value->begin(), value->end()))
            return true;
        return want.type == CKA_EC_POINT && value->size() == 67 && std::equal(given.begin(), given.end(), value->begin() + 2, value->end());
    });
}

CK_RV SessionObject::from_template(std::span<const CK_ATTRIBUTE> given, SessionObject& out) {
    for (const CK_ATTRIBUTE& one : given)
        if (!out.attributes.emplace(one.type, to_bytes(value_of(one))).second)
            return CKR_TEMPLATE_INCONSISTENT;
    const auto number_of = [&out](CK_ATTRIBUTE_TYPE type) -> std::optional<CK_ULONG> {
        const auto at = out.attributes.find(type);
        if (at == out.attributes.end() || at->second.size() != sizeof(CK_ULONG))
            return std::nullopt;
        CK_ULONG value = 0;
        std::memcpy(&value, at->second.data(), sizeof value);
        return value;
    };
    const auto is_true = [&out](CK_ATTRIBUTE_TYPE type) {
        const auto at = out.attributes.find(type);
        return at != out.attributes.end() && at->second.size() == 1 && at->second[0] != CK_FALSE;
    };
    const auto object_class = number_of(CKA_CLASS);
    if (!object_class)
        return out.attributes.contains(CKA_CLASS) ? CKR_ATTRIBUTE_VALUE_INVALID : CKR_TEMPLATE_INCOMPLETE;
    out.object_class = *object_class;
    if (out.object_class == CKO_PRIVATE_KEY || out.object_class == CKO_SECRET_KEY)
        return CKR_ACTION_PROHIBITED;
    if (out.object_class != CKO_PUBLIC_KEY && out.object_class != CKO_DATA)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (is_true(CKA_TOKEN) || is_true(CKA_PRIVATE))
        return CKR_ACTION_PROHIBITED;
    if (out.object_class == CKO_DATA)
        return CKR_OK;
    const auto key_type = number_of(CKA_KEY_TYPE);
    const auto params = out.attributes.find(CKA_EC_PARAMS);
    const auto point = out.attributes.find(CKA_EC_POINT);
    if (!key_type || params == out.attributes.end() || point == out.attributes.end())
        return CKR_TEMPLATE_INCOMPLETE;
    if (*key_type != CKK_EC)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (!is_secp256k1(params->second))
        return CKR_CURVE_NOT_SUPPORTED;
    auto key = parse_point(point->second);
    if (!key)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    out.public_key = *key;
    out.attributes.emplace(CKA_VERIFY, boolean(true));
    return CKR_OK;
}

} // namespace keymeld::pkcs11
