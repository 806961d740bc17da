#include "core/crypto/hmac.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"

namespace keymeld::crypto {
namespace {

struct Rfc4231 {
    Bytes key;
    Bytes data;
    std::string_view mac;
};

Bytes repeated(std::size_t count, std::uint8_t byte) {
    return Bytes(count, byte);
}
Bytes bytes_of(std::string_view text) {
    return to_bytes(as_bytes(text));
}

std::vector<Rfc4231> rfc4231() {
    Bytes counting(25);
    for (std::size_t i = 0; i < counting.size(); ++i)
        counting[i] = static_cast<std::uint8_t>(i + 1);
    return {
        {repeated(20, 0x0b), bytes_of("Hi There"),
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {bytes_of("Jefe"), bytes_of("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {repeated(20, 0xaa), repeated(50, 0xdd),
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {counting, repeated(50, 0xcd),
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {repeated(131, 0xaa), bytes_of("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {repeated(131, 0xaa),
         bytes_of("This is a test using a larger than block-size key and a larger than block-size "
                  "data. The key needs to "
                  "be hashed before being used by the HMAC algorithm."),
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
}

TEST(Hmac, AgreesWithRfc4231) {
    for (const Rfc4231& vector : rfc4231()) {
        EXPECT_EQ(hex_encode(hmac_sha256(vector.key, vector.data)), vector.mac);
        const ByteView data(vector.data);
        EXPECT_EQ(hex_encode(hmac_sha256(vector.key, {data.first(3), data.subspan(3)})),
                  vector.mac);
    }
}

TEST(HmacKey, GivesTheSameForMessageAfterMessage) {
    for (const Rfc4231& vector : rfc4231()) {
        HmacKey key(vector.key);
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(hex_encode(key.mac(vector.data)), vector.mac);
            EXPECT_NE(hex_encode(key.mac(bytes_of("something else"))), vector.mac);
        }
        HmacKey moved = std::move(key);
        EXPECT_EQ(hex_encode(moved.mac(vector.data)), vector.mac);
    }
}

TEST(Hmac, EmptyKeyIsAKeyOfItsOwn) {
    // The published value for an empty key and an empty message.
    constexpr std::string_view kEmpty =
        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    EXPECT_EQ(hex_encode(hmac_sha256({}, ByteView())), kEmpty);
    static_cast<void>(hmac_sha256(as_bytes("another"), as_bytes("message")));
    EXPECT_EQ(hex_encode(hmac_sha256({}, ByteView())), kEmpty)
        << "the key of the call before was used again";
    EXPECT_EQ(hex_encode(HmacKey(ByteView()).mac(ByteView())), kEmpty);
}

} // namespace
} // namespace keymeld::crypto
