#include "core/crypto/aead.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"

namespace keymeld::crypto {
namespace {

Bytes unhex(std::string_view text) {
    return hex_decode(text).value();
}
AeadKey key_of(std::string_view hex) {
    return AeadKey::from_bytes(unhex(hex)).value();
}
AeadNonce nonce_of(std::string_view hex) {
    return hex_decode_array<12>(hex).value();
}

struct GcmCase {
    std::string_view key, nonce, plaintext, aad, ciphertext, tag;
};

// AES-256 test cases 13 to 16 of the GCM specification (McGrew, Viega).
constexpr GcmCase kCases[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "00000000000000000000000000000000", "", "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b"
     "525b16aedf5aa0de657ba63"
     "7b391aafd255",
     "",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828"
     "838c5f61e6393ba7a0abcc9"
     "f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b"
     "525b16aedf5aa0de657ba63"
     "7b39",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828"
     "838c5f61e6393ba7a0abcc9"
     "f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

TEST(Aead, AgreesWithTheGcmSpecification) {
    for (const GcmCase& vector : kCases) {
        const AeadKey key = key_of(vector.key);
        const Bytes sealed =
            aes256gcm_seal(key, nonce_of(vector.nonce), unhex(vector.plaintext), unhex(vector.aad));
        EXPECT_EQ(hex_encode(sealed), std::string(vector.ciphertext) + std::string(vector.tag));
        const auto opened = aes256gcm_open(key, nonce_of(vector.nonce), sealed, unhex(vector.aad));
        ASSERT_TRUE(opened);
        EXPECT_EQ(hex_encode(opened->expose()), vector.plaintext);
    }
}

TEST(Aead, OpensNothingThatWasChangedAnywhere) {
    const GcmCase& vector = kCases[3];
    const AeadNonce nonce = nonce_of(vector.nonce);
    const Bytes aad = unhex(vector.aad);
    const Bytes sealed = unhex(std::string(vector.ciphertext) + std::string(vector.tag));
    const AeadKey key = key_of(vector.key);
    const auto refused = [&](const AeadKey& k, const AeadNonce& n, ByteView s, ByteView a) {
        const auto opened = aes256gcm_open(k, n, s, a);
        return !opened && opened.error().code == Errc::DecryptFailed;
    };
    ASSERT_TRUE(aes256gcm_open(key, nonce, sealed, aad));
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
        Bytes changed = sealed;
        changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1u << bit % 8));
        ASSERT_TRUE(refused(key, nonce, changed, aad)) << bit;
    }
    for (std::size_t length = 0; length < sealed.size(); ++length)
        ASSERT_TRUE(refused(key, nonce, ByteView(sealed).first(length), aad)) << length;
    EXPECT_TRUE(refused(key, nonce, sealed, {}));
    EXPECT_TRUE(refused(key, nonce, sealed, ByteView(aad).first(19)));
    EXPECT_TRUE(refused(key_of(kCases[0].key), nonce, sealed, aad));
    EXPECT_TRUE(refused(key, nonce_of(kCases[0].nonce), sealed, aad));
    EXPECT_TRUE(aes256gcm_open(key, nonce, sealed, aad))
        << "a refusal must not spoil the next call";
}

TEST(Aead, CarriesLargePlaintexts) {
    const AeadKey key;
    Bytes plaintext(3'000'000);
    for (std::size_t i = 0; i < plaintext.size(); ++i)
        plaintext[i] = static_cast<std::uint8_t>(i * 7 / 3);
    const auto opened = aes256gcm_open(key, {}, aes256gcm_seal(key, {}, plaintext));
    ASSERT_TRUE(opened);
    EXPECT_TRUE(std::ranges::equal(opened->expose(), plaintext));
}

} // namespace
} // namespace keymeld::crypto
