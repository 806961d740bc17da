// Bound approval: a participant's BIP-340 signature over session, message and expiry
// (rest-v1.md 5.7).
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/uuid.h"
#include "core/bitcoin/schnorr.h"
#include "core/crypto/digest.h"

namespace keymeld::bitcoin {

/// What is approved. `expires_at` is in seconds since the Unix epoch.
struct BoundApproval {
    KeygenId keygen;
    SigningId signing;
    UserId user;
    ByteArray<32> message_hash{};
    std::uint64_t expires_at = 0;

    /// TaggedHash("KeyMeld/approval/v1", keygen (16) || signing (16) || user (16) || message_hash
    /// (32) || expires_at (8, big endian)). [any-thread]
    crypto::Hash256 hash() const;
    /// The participant's signature, for clients. `key` is the key it registered.
    Result<SchnorrSignature> sign(const SecretKey& key) const;
    /// `Errc::AuthFailed` unless the signature verifies under the x-only form of the registered
    /// key. Does not look at the clock: the caller checks the expiry, at acceptance and again
    /// before it releases a nonce.
    Status verify(const SchnorrSignature& signature, const PlainPubKey& registered_key) const;
};

} // namespace keymeld::bitcoin
