// taproot_tweak_config: what a keygen session does to its aggregate key (rest-v1.md 5.5).
#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::bitcoin {

/// Values as in the gateway-enclave protocol.
enum class TweakType : std::uint8_t {
    None = 0,
    UnspendableTaproot = 1,
    TaprootWithMerkleRoot = 2,
    PlainTweak = 3,
    XOnlyTweak = 4,
};

struct TweakConfig {
    TweakType type = TweakType::None;
    ByteArray<32> value32{}; ///< merkle root or tweak; all zero for the types without a value

    bool operator==(const TweakConfig&) const = default;

    /// Whether the type carries 32 bytes.
    bool has_value() const;
    /// `Errc::InvalidScalar` for a plain or x-only tweak that is not below the group order,
    /// `Errc::InvalidArgument` for value bytes with a type that has none.
    Status validate() const;
    /// The form inside `<params>` (5.1): the type's name, with a value `<name>=<64 lower-case
    /// hex>`.
    std::string params_text() const;
};

/// `none`, `unspendable_taproot`, `taproot_with_merkle_root`, `plain_tweak`, `x_only_tweak`.
/// [any-thread]
std::string_view text(TweakType type);
/// The inverse; `Errc::InvalidArgument` for any other text.
Result<TweakType> parse_tweak_type(std::string_view text);

} // namespace keymeld::bitcoin
