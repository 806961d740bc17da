#include "core/base/hex.h"

#include <gtest/gtest.h>

namespace keymeld {
namespace {

TEST(Hex, EncodesEveryByteInLowerCase) {
    Bytes all(256);
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<std::uint8_t>(i);
    const std::string text = hex_encode(all);
    EXPECT_EQ(text.substr(0, 8), "00010203");
    EXPECT_EQ(text.substr(text.size() - 8), "fcfdfeff");
    EXPECT_EQ(hex_decode(text, HexCase::Lower).value(), all);
    EXPECT_EQ(hex_encode({}), "");
}

TEST(Hex, AcceptsUpperCaseOnlyWhereAllowed) {
    EXPECT_EQ(hex_decode("DeadBEEF").value(), (Bytes{0xde, 0xad, 0xbe, 0xef}));
    EXPECT_EQ(hex_decode("DeadBEEF", HexCase::Lower).error().code, Errc::InvalidArgument);
}

TEST(Hex, RefusesEveryCharacterThatIsNoDigit) {
    const std::string_view digits = "0123456789abcdefABCDEF";
    for (int c = 0; c < 256; ++c) {
        const char character = static_cast<char>(c);
        const bool digit = digits.find(character) != std::string_view::npos;
        EXPECT_EQ(hex_decode(std::string{'0', character}).has_value(), digit) << c;
        EXPECT_EQ(hex_decode(std::string{character, '0'}).has_value(), digit) << c;
    }
}

TEST(Hex, RefusesOtherLengths) {
    EXPECT_FALSE(hex_decode("abc"));
    EXPECT_FALSE(hex_decode("0x"));
    EXPECT_EQ(hex_decode_array<2>("00ff").value(), (ByteArray<2>{0x00, 0xff}));
    for (const std::string_view wrong : {"", "00", "00f", "00ff0", "00ff00"})
        EXPECT_FALSE(hex_decode_array<2>(wrong)) << wrong;
}

} // namespace
} // namespace keymeld
