#include "core/crypto/digest.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "core/crypto/tagged_hash.h"

namespace keymeld::crypto {
namespace {

// FIPS 180-4 examples.
TEST(Sha256, AgreesWithThePublishedExamples) {
    EXPECT_EQ(hex_encode(sha256(ByteView())),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(hex_encode(sha256(as_bytes("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(
        hex_encode(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha384, AgreesWithThePublishedExamples) {
    EXPECT_EQ(hex_encode(sha384(ByteView())), "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0c"
                                              "c7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b");
    EXPECT_EQ(hex_encode(sha384(as_bytes("abc"))),
              "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358ba"
              "eca134c825a7");
}

template <class Hasher, class OneShot> void check_incremental(OneShot one_shot) {
    Bytes message;
    Hasher hasher;
    for (std::size_t length = 0; length < 300; ++length) {
        const std::size_t split = length * 7 % (length + 1);
        const ByteView all(message);
        hasher.update(all.first(split)).update({}).update(all.subspan(split));
        const auto expected = one_shot({all});
        ASSERT_EQ(hasher.finish(), expected) << length; // and is ready for the next message
        ASSERT_EQ(one_shot({all.first(split), all.subspan(split)}), expected);
        message.push_back(static_cast<std::uint8_t>(length * 31));
    }
}

TEST(Digest, IncrementalEqualsOneShot) {
    check_incremental<Sha256>([](std::initializer_list<ByteView> parts) { return sha256(parts); });
    check_incremental<Sha384>([](std::initializer_list<ByteView> parts) { return sha384(parts); });
}

TEST(Digest, MoveKeepsTheState) {
    Sha256 first;
    first.update(as_bytes("ab"));
    Sha256 second = std::move(first);
    second.update(as_bytes("c"));
    EXPECT_EQ(second.finish(), sha256(as_bytes("abc")));
    Sha256 third;
    third.update(as_bytes("dropped"));
    third = std::move(second);
    third.update(as_bytes("abc"));
    EXPECT_EQ(third.finish(), sha256(as_bytes("abc")));
}

TEST(TaggedHash, IsTheDoubledTagHashBeforeTheData) {
    const Hash256 tag = sha256(as_bytes("Some/tag"));
    const Hash256 expected = sha256({tag, tag, as_bytes("data")});
    const HashTag kept("Some/tag");
    EXPECT_EQ(kept.hash({as_bytes("da"), as_bytes("ta")}), expected);
    EXPECT_EQ(kept.hash({as_bytes("data")}), expected);
    EXPECT_EQ(tagged_hash("Some/tag", {as_bytes("data")}), expected);
    EXPECT_NE(tagged_hash("Some/tag2", {as_bytes("data")}), expected);
    EXPECT_EQ(sha256({kept.prefix(), as_bytes("data")}), expected);
}

} // namespace
} // namespace keymeld::crypto
