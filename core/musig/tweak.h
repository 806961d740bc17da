// One tweak of an aggregate key (BIP-327, ApplyTweak).
#pragma once

#include "core/base/bytes.h"

namespace keymeld::musig {

enum class TweakMode { Plain, XOnly };

/// `bytes32` is the tweak scalar, big-endian, public. Must be below the group order (checked where it is applied).
struct Tweak {
    ByteArray<32> bytes32{};
    TweakMode mode = TweakMode::Plain;
    bool operator==(const Tweak&) const = default;
};

} // namespace keymeld::musig
