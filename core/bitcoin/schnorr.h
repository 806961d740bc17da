// BIP-340 Schnorr signatures.
#pragma once

#include <string>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/bitcoin/keys.h"

namespace keymeld::bitcoin {

/// R.x || s, 64 bytes; not necessarily one that verifies.
struct SchnorrSignature {
    ByteArray<64> bytes{};

    bool operator==(const SchnorrSignature&) const = default;
    /// `Errc::InvalidSignature` for any other length than 64.
    static Result<SchnorrSignature> parse(ByteView bytes);
    std::string hex() const;
};

/// Signs a message of any length (32 bytes for everything on chain) with fresh auxiliary
/// randomness. [any-thread]
Result<SchnorrSignature> schnorr_sign(const SecretKey& key, ByteView message);
/// As above with given auxiliary bytes, which need not be secret or random: for BIP-340's vectors
/// and reproducible signatures.
Result<SchnorrSignature> schnorr_sign(const SecretKey& key, ByteView message,
                                      const ByteArray<32>& aux_rand);

/// `Errc::InvalidSignature` unless it verifies (42 us). [any-thread]
Status schnorr_verify(const SchnorrSignature& signature, ByteView message, const XOnlyPubKey& key);

} // namespace keymeld::bitcoin
