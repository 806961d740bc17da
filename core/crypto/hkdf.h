// HKDF-SHA256 (RFC 5869).
#pragma once

#include "core/base/bytes.h"
#include "core/secure/secret.h"

namespace keymeld::crypto {

/// Derives out.size() bytes, 1..8160, from the secret `ikm`. An empty salt is RFC 5869's "not
/// provided" (32 zero bytes). `salt` and `info` are public. Throws std::length_error for another
/// output size. [any-thread]
void hkdf_sha256(ByteView salt, ByteView ikm, ByteView info, MutableByteView out);

/// A 32-byte key without salt: how every key of rest-v1.md section 5 is derived.
secure::SecretArray<32> hkdf_sha256_key(ByteView ikm, ByteView info);

} // namespace keymeld::crypto
