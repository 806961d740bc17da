#include "plugins/tweak-taproot/tweak_rules.h"

#include "core/bitcoin/taproot.h"

namespace keymeld::tweak_taproot {

Result<std::vector<musig::Tweak>> tweaks_for(const ByteArray<33>& aggregate33, const bitcoin::TweakConfig& config) {
    if (aggregate33[0] != 2 && aggregate33[0] != 3)
        return fail(Errc::InvalidArgument, "the aggregate key is not a compressed key");
    KEYMELD_CHECK(config.validate());
    ByteArray<32> x{};
    std::copy(aggregate33.begin() + 1, aggregate33.end(), x.begin());
    using musig::TweakMode;
    switch (config.type) {
    case bitcoin::TweakType::None:
        return std::vector<musig::Tweak>{};
    case bitcoin::TweakType::UnspendableTaproot:
        return std::vector<musig::Tweak>{{bitcoin::tap_tweak_hash(x, std::nullopt), TweakMode::XOnly}};
    case bitcoin::TweakType::TaprootWithMerkleRoot:
        return std::vector<musig::Tweak>{{bitcoin::tap_tweak_hash(x, config.value32), TweakMode::XOnly}};
    case bitcoin::TweakType::PlainTweak:
        return std::vector<musig::Tweak>{{config.value32, TweakMode::Plain}};
    case bitcoin::TweakType::XOnlyTweak:
        return std::vector<musig::Tweak>{{config.value32, TweakMode::XOnly}};
    }
    return fail(Errc::InvalidArgument, "unknown tweak type");
}

} // namespace keymeld::tweak_taproot
