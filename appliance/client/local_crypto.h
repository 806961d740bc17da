// What a client computes by itself, without the appliance: hashes, verification, random bytes. For code that may use base and this library
// only (pkcs11).
#pragma once

#include <optional>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/bitcoin/keys.h"
#include "core/crypto/digest.h"

namespace keymeld::client {

using crypto::Sha256;

ByteArray<32> sha256(ByteView data);
/// SEC 1 uncompressed: 04 || x || y.
ByteArray<65> uncompressed(const bitcoin::PlainPubKey& key);
/// The key under which signatures for this internal key's Taproot output verify (BIP-341, key path). `Errc::InvalidPoint` for a root that gives none.
Result<bitcoin::PlainPubKey> taproot_output_key(const bitcoin::PlainPubKey& key, const std::optional<ByteArray<32>>& merkle_root);
/// Any valid r || s, also with a high S, which KeyMeld never makes. `Errc::InvalidSignature`.
Status verify_ecdsa(const bitcoin::PlainPubKey& key, const ByteArray<32>& hash, ByteView signature64);
/// BIP-340 under the key's x-coordinate. `Errc::InvalidSignature`.
Status verify_schnorr(const bitcoin::PlainPubKey& key, const ByteArray<32>& message, ByteView signature64);

} // namespace keymeld::client
