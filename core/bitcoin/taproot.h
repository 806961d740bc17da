// Taproot outputs (BIP-341): script tree hashes, TapTweak, output key.
#pragma once

#include <optional>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/bitcoin/keys.h"
#include "core/crypto/digest.h"

namespace keymeld::bitcoin {

using InternalKey = XOnlyPubKey;
using OutputKey = XOnlyPubKey;
using MerkleRoot = ByteArray<32>;

/// TaggedHash("TapTweak", internal key || merkle root); without a root nothing is appended (BIP-341
/// "unspendable script path").
crypto::Hash256 tap_tweak_hash(const InternalKey& internal, const std::optional<MerkleRoot>& root);
/// As above from the bare 32 bytes of the x-coordinate.
crypto::Hash256 tap_tweak_hash(const ByteArray<32>& internal_x,
                               const std::optional<MerkleRoot>& root);

/// TaggedHash("TapLeaf", version || compact size of script || script).
crypto::Hash256 tap_leaf_hash(std::uint8_t leaf_version, ByteView script);
/// TaggedHash("TapBranch", smaller || larger).
crypto::Hash256 tap_branch_hash(const ByteArray<32>& a, const ByteArray<32>& b);

struct TaprootOutput {
    OutputKey key;
    bool odd_y; ///< parity bit of the control block
};
/// The output key of an internal key. `Errc::AggregateAtInfinity` if there is none (cannot be
/// brought about).
Result<TaprootOutput> taproot_output(const InternalKey& internal,
                                     const std::optional<MerkleRoot>& root);

/// The private key that signs for the output key of `key`'s x-only public key: key-path spends by a
/// single signer.
Result<SecretKey> taproot_output_secret(const SecretKey& key,
                                        const std::optional<MerkleRoot>& root);

} // namespace keymeld::bitcoin
