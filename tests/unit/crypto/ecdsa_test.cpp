#include "core/crypto/ecdsa.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "core/crypto/digest.h"

namespace keymeld::crypto {
namespace {

EcdsaSignature signature_of(std::string_view hex) {
    return hex_decode_array<64>(hex).value();
}

// The widely published RFC 6979 value for key 1 and this message on secp256k1.
constexpr std::string_view kR = "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8";
constexpr std::string_view kS = "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5";
constexpr std::string_view kHighS =
    "dbbd3162d46e9f9bef7feb87c16dc13b4f6568a87f4e83f728e2443ba586675c";

struct Ecdsa : testing::Test {
    SecretKey key = SecretKey::parse(hex_decode(std::string(63, '0') + "1").value()).value();
    Hash256 hash = sha256(as_bytes("Satoshi Nakamoto"));
};

TEST_F(Ecdsa, SignsAsRfc6979) {
    EXPECT_EQ(hex_encode(ecdsa_sign(key, hash).value()), std::string(kR) + std::string(kS));
}

TEST_F(Ecdsa, VerifiesOnlyTheLowS) {
    EXPECT_TRUE(
        ecdsa_verify(signature_of(std::string(kR) + std::string(kS)), hash, key.public_key()));
    const auto high =
        ecdsa_verify(signature_of(std::string(kR) + std::string(kHighS)), hash, key.public_key());
    ASSERT_FALSE(high);
    EXPECT_EQ(high.error().code, Errc::InvalidSignature);
}

TEST_F(Ecdsa, RefusesOtherKeysHashesAndScalars) {
    const EcdsaSignature good = ecdsa_sign(key, hash).value();
    EXPECT_FALSE(ecdsa_verify(good, sha256(as_bytes("other")), key.public_key()));
    EXPECT_FALSE(ecdsa_verify(good, hash, SecretKey::generate().public_key()));
    const std::string zero(64, '0');
    const std::string order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for (const std::string& wrong :
         {zero + zero, std::string(kR) + zero, zero + std::string(kS), order + std::string(kS),
          std::string(kR) + order, std::string(128, 'f')})
        EXPECT_FALSE(ecdsa_verify(signature_of(wrong), hash, key.public_key())) << wrong;
}

} // namespace
} // namespace keymeld::crypto
