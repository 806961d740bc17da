#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "pkcs11/musig_signing.h"

namespace keymeld::pkcs11 {
namespace {

client::StoredKey key_of(std::uint8_t id) {
    const auto point = hex_decode("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    client::StoredKey key{.public_key = *bitcoin::PlainPubKey::parse(*point)};
    key.id.bytes[0] = id;
    return key;
}

TEST(SigningIdOfRequest, IsTheSameForTheSameQuestionAndAnotherForAnyOther) {
    const ByteArray<32> message{1};
    const SigningId id = signing_id(key_of(1), message, 0);
    EXPECT_EQ(id, signing_id(key_of(1), message, 0));
    EXPECT_NE(id, signing_id(key_of(2), message, 0));
    EXPECT_NE(id, signing_id(key_of(1), ByteArray<32>{2}, 0));
    EXPECT_NE(id, signing_id(key_of(1), message, 1));
    client::StoredKey other_user = key_of(1);
    other_user.user_id.bytes[3] = 1;
    EXPECT_NE(id, signing_id(other_user, message, 0));
    EXPECT_EQ(id.bytes[6] >> 4, 8);
    EXPECT_EQ(id.bytes[8] >> 6, 2);
}

} // namespace
} // namespace keymeld::pkcs11
