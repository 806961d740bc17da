// Attributes of the module's objects: values on demand, and what callers send and receive in templates.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "pkcs11/key_ring.h"

namespace keymeld::pkcs11 {

/// An object that a caller made for its session: a public key to verify with, or data.
struct SessionObject {
    CK_OBJECT_CLASS object_class = 0;
    std::map<CK_ATTRIBUTE_TYPE, Bytes> attributes;
    std::optional<bitcoin::PlainPubKey> public_key;

    /// Checks a C_CreateObject template. The code says what is wrong: TEMPLATE_INCOMPLETE, TEMPLATE_INCONSISTENT, ATTRIBUTE_VALUE_INVALID,
    /// CURVE_NOT_SUPPORTED, and ACTION_PROHIBITED for a private or secret key: none is ever imported this way.
    static CK_RV from_template(std::span<const CK_ATTRIBUTE> given, SessionObject& out);
};

/// An object of either kind.
struct ObjectView {
    KeyRing::Found found;
    const SessionObject* session = nullptr;

    CK_OBJECT_CLASS object_class() const { return session != nullptr ? session->object_class : found.object_class; }
    bool is_private() const { return session == nullptr && found.object_class == CKO_PRIVATE_KEY; }
};

/// The value of an attribute; nullopt: the object has no such attribute.
std::optional<Bytes> attribute(const ObjectView& object, CK_ATTRIBUTE_TYPE type);

/// Fills a C_GetAttributeValue template; goes on after a failure, as the standard asks for.
CK_RV read_attributes(const ObjectView& object, std::span<CK_ATTRIBUTE> wanted);

/// Whether every attribute of the template has that value. A raw EC point is as good as one in an OCTET STRING.
bool matches(const ObjectView& object, std::span<const CK_ATTRIBUTE> wanted);

/// OK, or ARGUMENTS_BAD / ATTRIBUTE_VALUE_INVALID for a template that cannot be read: null pointers, absurd lengths.
CK_RV check_template(const CK_ATTRIBUTE* attributes, CK_ULONG count);

/// The point of CKA_EC_POINT: 65 or 33 bytes, in an OCTET STRING or raw. `Errc::InvalidPoint`.
Result<bitcoin::PlainPubKey> parse_point(ByteView value);
/// Whether CKA_EC_PARAMS is the name of secp256k1.
bool is_secp256k1(ByteView params);

/// What one key may be used with.
bool allows(const Key& key, CK_MECHANISM_TYPE mechanism);

} // namespace keymeld::pkcs11
