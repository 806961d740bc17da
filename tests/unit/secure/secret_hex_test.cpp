#include "core/secure/secret_hex.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "core/secure/compare.h"
#include "core/secure/random.h"

namespace keymeld::secure {
namespace {

TEST(SecretHex, AgreesWithThePublicDecoderOnEveryPairOfCharacters) {
    for (int a = 0; a < 256; ++a) {
        for (int b = 0; b < 256; ++b) {
            const std::string text{static_cast<char>(a), static_cast<char>(b)};
            const auto expected = hex_decode(text);
            const auto decoded = secret_from_hex<1>(as_bytes(text));
            ASSERT_EQ(decoded.has_value(), expected.has_value()) << a << ' ' << b;
            if (expected) {
                ASSERT_EQ(decoded->expose()[0], (*expected)[0]) << text;
            }
        }
    }
}

TEST(SecretHex, TakesOnlyTheRightLength) {
    const std::string digits(64, 'a');
    EXPECT_TRUE(secret_from_hex<32>(as_bytes(digits)));
    for (const std::size_t length : {0u, 62u, 63u, 65u, 66u})
        EXPECT_FALSE(secret_from_hex<32>(as_bytes(std::string(length, 'a')))) << length;
}

TEST(SecretHex, LeavesNothingBehindWhenTheTextIsWrong) {
    ByteArray<4> out;
    out.fill(0xff);
    const auto status = secret_hex_decode_into(as_bytes("1122334x"), out);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::InvalidArgument);
    EXPECT_EQ(out, ByteArray<4>{});
}

TEST(SecretHex, WritesLowerCase) {
    Bytes all(256);
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<std::uint8_t>(i);
    const SecretBytes text = secret_to_hex(all);
    EXPECT_EQ(as_text(text.expose()), hex_encode(all));
    EXPECT_TRUE(secret_to_hex({}).empty());
}

} // namespace
} // namespace keymeld::secure
