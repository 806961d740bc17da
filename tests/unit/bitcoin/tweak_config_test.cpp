#include "core/bitcoin/tweak_config.h"

#include <gtest/gtest.h>

namespace keymeld::bitcoin {
namespace {

constexpr TweakType kTweakTypes[] = {TweakType::None, TweakType::UnspendableTaproot,
                                TweakType::TaprootWithMerkleRoot, TweakType::PlainTweak,
                                TweakType::XOnlyTweak};

TEST(TweakType, TextsAreReadBack) {
    for (const TweakType type : kTweakTypes)
        EXPECT_EQ(parse_tweak_type(text(type)).value(), type);
    for (const std::string_view wrong : {"", "None", "taproot", "x_only_tweak "})
        EXPECT_EQ(parse_tweak_type(wrong).error().code, Errc::InvalidArgument);
}

TEST(TweakConfig, OnlyScalarsMustBeBelowTheOrder) {
    TweakConfig config;
    config.value32.fill(0xff);
    const auto error = [&](TweakType type) {
        config.type = type;
        const Status status = config.validate();
        return status ? Errc{} : status.error().code;
    };
    EXPECT_EQ(error(TweakType::None), Errc::InvalidArgument);
    EXPECT_EQ(error(TweakType::UnspendableTaproot), Errc::InvalidArgument);
    EXPECT_EQ(error(TweakType::TaprootWithMerkleRoot), Errc{});
    EXPECT_EQ(error(TweakType::PlainTweak), Errc::InvalidScalar);
    EXPECT_EQ(error(TweakType::XOnlyTweak), Errc::InvalidScalar);
    config.value32 = {};
    for (const TweakType type : kTweakTypes)
        EXPECT_EQ(error(type), Errc{});
}

TEST(TweakConfig, ParamsTextNamesTheValueWhereThereIsOne) {
    TweakConfig config;
    EXPECT_EQ(config.params_text(), "none");
    config.type = TweakType::PlainTweak;
    config.value32[31] = 0xab;
    EXPECT_EQ(config.params_text(), "plain_tweak=" + std::string(62, '0') + "ab");
}

} // namespace
} // namespace keymeld::bitcoin
