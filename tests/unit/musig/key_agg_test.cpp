#include "core/musig/key_agg.h"

#include <gtest/gtest.h>

namespace keymeld::musig {
namespace {

std::vector<PlainPubKey> some_keys(std::size_t count) {
    std::vector<PlainPubKey> keys;
    for (std::size_t i = 0; i < count; ++i)
        keys.push_back(SecretKey::generate().public_key());
    return keys;
}

TEST(KeyAgg, OrderIsPartOfTheKey) {
    auto keys = some_keys(3);
    key_sort(keys);
    EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
    const auto sorted = KeyAggContext::create(keys).value();
    std::swap(keys[0], keys[2]);
    EXPECT_FALSE(KeyAggContext::create(keys)->key() == sorted.key());
    EXPECT_EQ(sorted.signer_count(), 3u);
}

TEST(KeyAgg, KeepsTheKeyBeforeAndAfterTweaks) {
    const auto keys = some_keys(2);
    const auto plain = KeyAggContext::create(keys).value();
    EXPECT_EQ(plain.untweaked_key(), plain.key());
    const Tweak tweak{ByteArray<32>{0x12, 0x34}, TweakMode::Plain};
    const auto tweaked = KeyAggContext::create(keys, std::span(&tweak, 1)).value();
    EXPECT_EQ(tweaked.untweaked_key(), plain.key());
    EXPECT_FALSE(tweaked.key() == plain.key());
    EXPECT_EQ(tweaked.x_only(), XOnlyPubKey::from(tweaked.key()));
    EXPECT_EQ(tweaked.tweaks(), std::vector<Tweak>{tweak});
    const KeyAggContext copy = tweaked;
    EXPECT_EQ(copy.key(), tweaked.key());
}

TEST(KeyAgg, RefusesWhatItCannotAggregate) {
    const auto error = [](const Result<KeyAggContext>& made) {
        return made ? Errc{} : made.error().code;
    };
    EXPECT_EQ(error(KeyAggContext::create({})), Errc::InvalidArgument);
    const auto keys = some_keys(2);
    const std::vector<PlainPubKey> many(KeyAggContext::kMaxKeys + 1, keys[0]);
    EXPECT_EQ(error(KeyAggContext::create(many)), Errc::InvalidArgument);
    const std::vector<Tweak> many_tweaks(KeyAggContext::kMaxTweaks + 1);
    EXPECT_EQ(error(KeyAggContext::create(keys, many_tweaks)), Errc::InvalidArgument);
    Tweak too_large;
    too_large.bytes32.fill(0xff);
    for (const TweakMode mode : {TweakMode::Plain, TweakMode::XOnly}) {
        too_large.mode = mode;
        EXPECT_EQ(error(KeyAggContext::create(keys, std::span(&too_large, 1))),
                  Errc::InvalidScalar);
    }
}

} // namespace
} // namespace keymeld::musig
