#include "core/bitcoin/tweak_config.h"

#include "core/base/hex.h"
#include "core/bitcoin/keys.h"

namespace keymeld::bitcoin {

bool TweakConfig::has_value() const {
    switch (type) {
    case TweakType::None:
    case TweakType::UnspendableTaproot:
        return false;
    case TweakType::TaprootWithMerkleRoot:
    case TweakType::PlainTweak:
    case TweakType::XOnlyTweak:
        return true;
    }
    return false;
}

Status TweakConfig::validate() const {
    if (!has_value() && value32 != ByteArray<32>{})
        return fail(Errc::InvalidArgument, "this tweak type takes no value");
    const bool is_scalar = type == TweakType::PlainTweak || type == TweakType::XOnlyTweak;
    if (is_scalar && !is_below_group_order(value32))
        return fail(Errc::InvalidScalar, "tweak is not below the group order");
    return {};
}

std::string TweakConfig::params_text() const {
    std::string out(text(type));
    if (has_value())
        out.append(1, '=').append(hex_encode(value32));
    return out;
}

std::string_view text(TweakType type) {
    switch (type) {
    case TweakType::None:
        return "none";
    case TweakType::UnspendableTaproot:
        return "unspendable_taproot";
    case TweakType::TaprootWithMerkleRoot:
        return "taproot_with_merkle_root";
    case TweakType::PlainTweak:
        return "plain_tweak";
    case TweakType::XOnlyTweak:
        return "x_only_tweak";
    }
    return {};
}

Result<TweakType> parse_tweak_type(std::string_view name) {
    for (const TweakType type :
         {TweakType::None, TweakType::UnspendableTaproot, TweakType::TaprootWithMerkleRoot,
          TweakType::PlainTweak, TweakType::XOnlyTweak}) {
        if (name == text(type))
            return type;
    }
    return fail(Errc::InvalidArgument, "unknown tweak type");
}

} // namespace keymeld::bitcoin
