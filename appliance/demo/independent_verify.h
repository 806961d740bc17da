// A second opinion on keys and signatures: BIP-327 key aggregation, taproot tweaks and BIP-340 verification on OpenSSL's curve arithmetic.
//
// Shares no line with the signer's path (libsecp256k1, core/crypto, core/bitcoin, core/musig): hashes, points and scalars are OpenSSL's. Slow and
// in variable time, so for public data only.
#pragma once

#include <span>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/bitcoin/tweak_config.h"

namespace keymeld::demo::independent {

/// BIP-340 "Verification", for a message of any length. `Errc::InvalidSignature` unless it verifies, for a key that is no point too. [any-thread]
Status verify_bip340(ByteView signature64, ByteView message, ByteView public_key_x32);

/// The tweak of rest-v1.md 5.5 applied to the point with this x-coordinate and even y. Errors as aggregate_key().
Result<ByteArray<33>> tweak_key(ByteView x32, const bitcoin::TweakConfig& tweak);

/// BIP-327 KeyAgg of compressed keys in aggregation order, then the tweak of rest-v1.md 5.5; 33 bytes with the real parity.
/// `Errc::InvalidPoint` for a key that is no point, `Errc::InvalidScalar` for a tweak not below the group order, `Errc::AggregateAtInfinity`,
/// `Errc::InvalidArgument` for no key.
Result<ByteArray<33>> aggregate_key(std::span<const ByteArray<33>> keys_in_order, const bitcoin::TweakConfig& tweak);

} // namespace keymeld::demo::independent
