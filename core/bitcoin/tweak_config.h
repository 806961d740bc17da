// How a keygen session's aggregate key is tweaked and its keys are ordered (rest-v1.md 5.4, 5.5).
#pragma once

#include "core/base/bytes.h"

namespace keymeld::bitcoin {

enum class TweakType { None, UnspendableTaproot, TaprootWithMerkleRoot, PlainTweak, XOnlyTweak };

/// `value` is the merkle root (TaprootWithMerkleRoot) or the tweak scalar, big-endian (PlainTweak, XOnlyTweak); zero otherwise. Public.
struct TweakConfig {
    TweakType type = TweakType::None;
    ByteArray<32> value{};
    bool operator==(const TweakConfig&) const = default;
};

enum class KeyOrder { UserId, Bip327Sorted };

} // namespace keymeld::bitcoin
