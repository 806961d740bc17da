#include "core/bitcoin/schnorr.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"

namespace keymeld::bitcoin {
namespace {

TEST(Schnorr, SignsMessagesOfAnyLength) {
    const SecretKey key = SecretKey::generate();
    const XOnlyPubKey x = XOnlyPubKey::from(key.public_key());
    for (const std::size_t length : {0u, 1u, 31u, 32u, 33u, 100u}) {
        Bytes message(length, 0x5a);
        const auto signature = schnorr_sign(key, message);
        ASSERT_TRUE(signature);
        EXPECT_TRUE(schnorr_verify(*signature, message, x));
        message.push_back(0);
        EXPECT_EQ(schnorr_verify(*signature, message, x).error().code, Errc::InvalidSignature);
    }
}

TEST(Schnorr, FreshAuxiliaryBytesGiveFreshSignatures) {
    const SecretKey key = SecretKey::generate();
    const ByteArray<32> message{};
    EXPECT_NE(schnorr_sign(key, message).value(), schnorr_sign(key, message).value());
    const ByteArray<32> aux{1};
    EXPECT_EQ(schnorr_sign(key, message, aux).value(), schnorr_sign(key, message, aux).value());
}

TEST(Schnorr, RefusesEveryChangedByte) {
    const SecretKey key = SecretKey::generate();
    const XOnlyPubKey x = XOnlyPubKey::from(key.public_key());
    const ByteArray<32> message{7};
    const SchnorrSignature good = schnorr_sign(key, message).value();
    for (std::size_t at = 0; at < good.bytes.size(); ++at) {
        SchnorrSignature bad = good;
        bad.bytes[at] = static_cast<std::uint8_t>(bad.bytes[at] ^ 1);
        ASSERT_FALSE(schnorr_verify(bad, message, x)) << at;
    }
    EXPECT_FALSE(
        schnorr_verify(good, message, XOnlyPubKey::from(SecretKey::generate().public_key())));
}

TEST(SchnorrSignature, HasSixtyFourBytes) {
    EXPECT_TRUE(SchnorrSignature::parse(Bytes(64)));
    for (const std::size_t wrong : {0u, 63u, 65u})
        EXPECT_EQ(SchnorrSignature::parse(Bytes(wrong)).error().code, Errc::InvalidSignature);
    EXPECT_EQ(SchnorrSignature::parse(Bytes(64, 0xab))->hex(), hex_encode(Bytes(64, 0xab)));
}

} // namespace
} // namespace keymeld::bitcoin
