#include "core/crypto/ecies.h"

#include <gtest/gtest.h>

#include "core/secure/compare.h"

namespace keymeld::crypto {
namespace {

struct Ecies : testing::Test {
    SecretKey key = SecretKey::generate();
    Bytes plaintext = to_bytes(as_bytes("a private key of thirty-two byte"));
    Bytes aad = to_bytes(as_bytes("what it is for"));
    Bytes blob = ecies_encrypt(key.public_key(), plaintext, aad).value();

    bool refused(ByteView b, ByteView a) const {
        const auto opened = ecies_open(key, b, a);
        return !opened && opened.error().code == Errc::DecryptFailed;
    }
};

TEST_F(Ecies, OpensWhatWasEncryptedToIt) {
    ASSERT_EQ(blob.size(), 93u);
    const auto opened = ecies_open(key, blob, aad);
    ASSERT_TRUE(opened);
    EXPECT_TRUE(secure::ct_equal(opened->expose(), plaintext));
}

TEST_F(Ecies, EveryBlobIsDifferent) {
    const Bytes again = ecies_encrypt(key.public_key(), plaintext, aad).value();
    EXPECT_FALSE(std::equal(blob.begin(), blob.begin() + 33, again.begin()));
    EXPECT_FALSE(std::equal(blob.begin() + 33, blob.begin() + 45, again.begin() + 33));
    EXPECT_NE(ecies_binding_id(blob).value(), ecies_binding_id(again).value());
}

TEST_F(Ecies, CarriesTheEmptyPlaintext) {
    const Bytes empty = ecies_encrypt(key.public_key(), {}).value();
    EXPECT_EQ(empty.size(), kEciesOverhead);
    EXPECT_TRUE(ecies_open(key, empty)->empty());
}

TEST_F(Ecies, RefusesEveryChangedByte) {
    for (std::size_t at = 0; at < blob.size(); ++at) {
        Bytes changed = blob;
        changed[at] = static_cast<std::uint8_t>(changed[at] ^ 0x01);
        ASSERT_TRUE(refused(changed, aad)) << at;
    }
}

TEST_F(Ecies, RefusesEveryOtherLength) {
    for (std::size_t length = 0; length < blob.size(); ++length)
        ASSERT_TRUE(refused(ByteView(blob).first(length), aad)) << length;
    Bytes longer = blob;
    longer.push_back(0);
    EXPECT_TRUE(refused(longer, aad));
}

TEST_F(Ecies, RefusesOtherKeyAndOtherAad) {
    EXPECT_FALSE(ecies_open(SecretKey::generate(), blob, aad));
    EXPECT_TRUE(refused(blob, {}));
    EXPECT_TRUE(refused(blob, as_bytes("what it is not for")));
}

TEST_F(Ecies, BindingIdIsOfTheFirst45BytesOnly) {
    const Hash256 id = ecies_binding_id(blob).value();
    EXPECT_EQ(id, sha256(ByteView(blob).first(45)));
    Bytes other_tail = blob;
    other_tail.back() = static_cast<std::uint8_t>(other_tail.back() ^ 1);
    EXPECT_EQ(ecies_binding_id(other_tail).value(), id);
    EXPECT_EQ(ecies_binding_id(ByteView(blob).first(60)).error().code, Errc::DecryptFailed);
    EXPECT_TRUE(ecies_binding_id(ByteView(blob).first(61)));
}

} // namespace
} // namespace keymeld::crypto
