#include "core/crypto/hkdf.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"

namespace keymeld::crypto {
namespace {

Bytes counting(std::uint8_t first, std::size_t count) {
    Bytes out(count);
    for (std::size_t i = 0; i < count; ++i)
        out[i] = static_cast<std::uint8_t>(first + i);
    return out;
}

std::string derive(ByteView salt, ByteView ikm, ByteView info, std::size_t length) {
    Bytes out(length);
    hkdf_sha256(salt, ikm, info, out);
    return hex_encode(out);
}

TEST(Hkdf, AgreesWithRfc5869) {
    EXPECT_EQ(
        derive(counting(0x00, 13), Bytes(22, 0x0b), counting(0xf0, 10), 42),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    EXPECT_EQ(derive(counting(0x60, 80), counting(0x00, 80), counting(0xb0, 80), 82),
              "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb"
              "41c65e590e09da3275600c2f09b8"
              "367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
    EXPECT_EQ(
        derive({}, Bytes(22, 0x0b), {}, 42),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(Hkdf, AbsentSaltIsThirtyTwoZeroBytes) {
    EXPECT_EQ(derive({}, as_bytes("ikm"), as_bytes("info"), 32),
              derive(Bytes(32), as_bytes("ikm"), as_bytes("info"), 32));
}

TEST(Hkdf, KeyIsTheFirst32Bytes) {
    const auto key = hkdf_sha256_key(as_bytes("ikm"), as_bytes("info"));
    EXPECT_EQ(hex_encode(key.expose()),
              derive({}, as_bytes("ikm"), as_bytes("info"), 100).substr(0, 64));
}

TEST(Hkdf, RefusesImpossibleSizes) {
    Bytes out(255 * 32 + 1);
    EXPECT_THROW(hkdf_sha256({}, {}, {}, out), std::length_error);
    EXPECT_THROW(hkdf_sha256({}, {}, {}, {}), std::length_error);
    out.pop_back();
    EXPECT_NO_THROW(hkdf_sha256({}, {}, {}, out));
}

} // namespace
} // namespace keymeld::crypto
