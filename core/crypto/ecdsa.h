// ECDSA on secp256k1 with compact, low-S signatures: the X-Signing-HMAC header (rest-v1.md 3.3).
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/secret_key.h"

namespace keymeld::crypto {

/// r || s, 32 bytes each, big endian.
using EcdsaSignature = ByteArray<64>;

/// RFC 6979 nonce, low S. [any-thread]
Result<EcdsaSignature> ecdsa_sign(const SecretKey& key, const ByteArray<32>& hash);

/// `Errc::InvalidSignature` unless it verifies and S is low. [any-thread]
Status ecdsa_verify(const EcdsaSignature& signature, const ByteArray<32>& hash,
                    const PlainPubKey& key);

} // namespace keymeld::crypto
