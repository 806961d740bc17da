#include "core/secure/random.h"

#include <set>

#include <gtest/gtest.h>

namespace keymeld::secure {
namespace {

TEST(Random, NeverRepeatsAndReachesEveryByte) {
    std::set<ByteArray<16>> seen;
    ByteArray<33> or_of_all{};
    for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(seen.insert(random_array<16>()).second);
        const auto bytes = random_array<33>();
        for (std::size_t at = 0; at < bytes.size(); ++at)
            or_of_all[at] = static_cast<std::uint8_t>(or_of_all[at] | bytes[at]);
    }
    for (const std::uint8_t byte : or_of_all)
        EXPECT_EQ(byte, 0xff);
}

TEST(Random, StirringKnownBytesDoesNotMakeItPredictable) {
    const Bytes known(48, 0x42);
    stir_random(known);
    const auto first = random_array<32>();
    stir_random(known);
    EXPECT_NE(first, random_array<32>());
}

} // namespace
} // namespace keymeld::secure
