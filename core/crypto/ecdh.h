// ECDH on secp256k1.
#pragma once

#include "core/base/result.h"
#include "core/crypto/secret_key.h"

namespace keymeld::crypto {

/// SHA-256 of the 33-byte compressed shared point (libsecp256k1's default, rest-v1.md 5.1).
/// Constant time in the key. `Errc::Internal` only on a defect. [any-thread]
Result<secure::SecretArray<32>> ecdh(const SecretKey& secret, const PlainPubKey& peer);

} // namespace keymeld::crypto
