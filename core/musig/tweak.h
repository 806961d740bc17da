// A tweak as BIP-327 applies it to an aggregate key.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"

namespace keymeld::musig {

enum class TweakMode : std::uint8_t {
    Plain, ///< Q + t*G
    XOnly, ///< lift_even(Q) + t*G
};

struct Tweak {
    ByteArray<32> bytes32{}; ///< scalar, big endian
    TweakMode mode = TweakMode::Plain;

    bool operator==(const Tweak&) const = default;
};

} // namespace keymeld::musig
