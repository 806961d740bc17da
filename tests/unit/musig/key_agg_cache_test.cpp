#include "core/musig/key_agg_cache.h"

#include <thread>

#include <gtest/gtest.h>

namespace keymeld::musig {
namespace {

std::vector<PlainPubKey> random_keys(std::size_t count) {
    std::vector<PlainPubKey> keys;
    for (std::size_t i = 0; i < count; ++i)
        keys.push_back(SecretKey::generate().public_key());
    return keys;
}

TEST(KeyAggCache, GivesTheSameAsMakingIt) {
    KeyAggCache cache;
    auto keys = random_keys(3);
    const Tweak plain{ByteArray<32>{1}, TweakMode::Plain};
    const Tweak x_only{ByteArray<32>{1}, TweakMode::XOnly};
    const std::vector<std::vector<Tweak>> tweak_lists{
        {}, {plain}, {x_only}, {plain, x_only}, {x_only, plain}};
    for (int round = 0; round < 2; ++round) {
        for (const auto& tweaks : tweak_lists)
            EXPECT_EQ(cache.get(keys, tweaks)->key(), KeyAggContext::create(keys, tweaks)->key());
    }
    EXPECT_EQ(cache.stats().misses, 5u);
    EXPECT_EQ(cache.stats().hits, 5u);
    EXPECT_EQ(cache.stats().entries, 5u);
    std::swap(keys[0], keys[1]);
    EXPECT_EQ(cache.get(keys, {})->key(), KeyAggContext::create(keys)->key());
    EXPECT_EQ(cache.stats().misses, 6u);
}

TEST(KeyAggCache, ForgetsTheLeastRecentlyUsed) {
    KeyAggCache cache(6);
    const auto a = random_keys(2);
    const auto b = random_keys(2);
    const auto c = random_keys(2);
    const auto d = random_keys(2);
    const auto seen = [&](const std::vector<PlainPubKey>& keys) {
        const auto before = cache.stats().hits;
        EXPECT_TRUE(cache.get(keys, {}));
        return cache.stats().hits != before;
    };
    EXPECT_FALSE(seen(a) || seen(b) || seen(c));
    EXPECT_TRUE(seen(a));
    EXPECT_FALSE(seen(d)); // pushes b out
    EXPECT_EQ(cache.stats().keys, 6u);
    EXPECT_TRUE(seen(a) && seen(c) && seen(d));
    EXPECT_FALSE(seen(b));
    EXPECT_EQ(cache.stats().entries, 3u);
}

TEST(KeyAggCache, ServesWhatIsTooLargeToKeep) {
    KeyAggCache cache(3);
    const auto large = random_keys(4);
    EXPECT_TRUE(cache.get(large, {}));
    EXPECT_TRUE(cache.get(large, {}));
    EXPECT_EQ(cache.stats().entries, 0u);
}

TEST(KeyAggCache, DoesNotRememberErrors) {
    KeyAggCache cache;
    EXPECT_EQ(cache.get({}, {}).error().code, Errc::InvalidArgument);
    EXPECT_EQ(cache.stats().entries, 0u);
}

TEST(KeyAggCache, CanBeSharedByThreads) {
    KeyAggCache cache(20);
    std::vector<std::vector<PlainPubKey>> lists;
    for (int i = 0; i < 15; ++i)
        lists.push_back(random_keys(2));
    const auto work = [&](std::size_t start) {
        for (std::size_t i = 0; i < 100; ++i)
            ASSERT_TRUE(cache.get(lists[(start + i) % lists.size()], {}));
    };
    std::thread other(work, 7);
    work(0);
    other.join();
    EXPECT_LE(cache.stats().keys, 20u);
}

} // namespace
} // namespace keymeld::musig
