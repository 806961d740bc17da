#include "core/bitcoin/keys.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"

namespace keymeld::bitcoin {
namespace {

static_assert(!std::is_default_constructible_v<XOnlyPubKey>, "an x-only key is always a point");

TEST(XOnlyPubKey, DropsTheParity) {
    const SecretKey key = SecretKey::generate();
    const auto flipped = [&] {
        ByteArray<33> bytes = key.public_key().bytes();
        bytes[0] = static_cast<std::uint8_t>(bytes[0] ^ 1);
        return PlainPubKey::parse(bytes).value();
    }();
    const XOnlyPubKey x = XOnlyPubKey::from(key.public_key());
    EXPECT_EQ(x, XOnlyPubKey::from(flipped));
    EXPECT_EQ(x.hex(), key.public_key().hex().substr(2));
    EXPECT_EQ(XOnlyPubKey::parse(x.bytes()).value(), x);
    EXPECT_EQ(XOnlyPubKey::from_opaque(x.opaque()), x);
}

TEST(XOnlyPubKey, RefusesWhatIsNoPoint) {
    ByteArray<32> five{};
    five[31] = 5;
    ByteArray<32> ones;
    ones.fill(0xff);
    for (const ByteView wrong :
         {ByteView(five), ByteView(ones), ByteView(), ByteView(ones).first(31)}) {
        const auto key = XOnlyPubKey::parse(wrong);
        ASSERT_FALSE(key);
        EXPECT_EQ(key.error().code, Errc::InvalidPoint);
    }
}

TEST(GroupOrder, IsTheBound) {
    const auto scalar = [](std::string_view hex) { return hex_decode_array<32>(hex).value(); };
    EXPECT_TRUE(is_below_group_order(ByteArray<32>{}));
    EXPECT_TRUE(is_below_group_order(
        scalar("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140")));
    EXPECT_FALSE(is_below_group_order(
        scalar("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")));
    EXPECT_FALSE(is_below_group_order(
        scalar("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff")));
}

} // namespace
} // namespace keymeld::bitcoin
