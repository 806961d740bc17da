#include <thread>
#include <unordered_set>

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "core/base/log.h"
#include "core/crypto/digest.h"
#include "core/crypto/ecdh.h"
#include "core/crypto/secret_key.h"
#include "core/secure/compare.h"

namespace keymeld::crypto {
namespace {

template <class T>
concept Comparable = requires(const T& a, const T& b) {
    a == b;
};
template <class T>
concept Printable = requires(std::ostream& out, const T& a) {
    out << a;
};
template <class T>
concept Loggable = requires(const T& a) {
    log::Field("key", a);
};
static_assert(!std::is_copy_constructible_v<SecretKey> && !std::is_copy_assignable_v<SecretKey> &&
              !std::is_default_constructible_v<SecretKey> && !Comparable<SecretKey> &&
              !Printable<SecretKey> && !Loggable<SecretKey> &&
              std::is_nothrow_move_constructible_v<SecretKey>);
static_assert(!std::is_default_constructible_v<PlainPubKey>, "a public key is always a point");

Bytes hex_bytes(std::string_view text) {
    return hex_decode(text).value();
}

// SEC 2: the base point.
constexpr std::string_view kX = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
constexpr std::string_view kY = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
constexpr std::string_view kOrder =
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
constexpr std::string_view kOrderLessOne =
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140";

std::string one() {
    return std::string(63, '0') + "1";
}

TEST(SecretKey, KnowsItsPublicKey) {
    EXPECT_EQ(SecretKey::parse(hex_bytes(one()))->public_key().hex(), "02" + std::string(kX));
    EXPECT_EQ(SecretKey::parse(hex_bytes(kOrderLessOne))->public_key().hex(), "03" + std::string(kX));
}

TEST(SecretKey, RefusesWhatIsNoScalar) {
    for (const std::string& wrong :
         {std::string(64, '0'), std::string(kOrder), std::string(64, 'f'), std::string(),
          std::string(62, '1'), std::string(66, '1')}) {
        const auto key = SecretKey::parse(hex_bytes(wrong));
        ASSERT_FALSE(key) << wrong;
        EXPECT_EQ(key.error().code, Errc::InvalidScalar);
    }
}

TEST(SecretKey, GeneratesDifferentKeysAndClonesTheSame) {
    const SecretKey a = SecretKey::generate();
    const SecretKey b = SecretKey::generate();
    EXPECT_FALSE(a.public_key() == b.public_key());
    const SecretKey copy = a.clone();
    EXPECT_TRUE(secure::ct_equal(a.expose(), copy.expose()));
    EXPECT_EQ(SecretKey::parse(a.expose())->public_key(), a.public_key());
}

TEST(PlainPubKey, ReadsBothFormsOfSec1) {
    const std::string compressed = "02" + std::string(kX);
    const auto from_short = PlainPubKey::parse(hex_bytes(compressed));
    const auto from_long = PlainPubKey::parse(hex_bytes("04" + std::string(kX) + std::string(kY)));
    ASSERT_TRUE(from_short && from_long);
    EXPECT_EQ(*from_short, *from_long);
    EXPECT_EQ(from_long->hex(), compressed);
    EXPECT_TRUE(from_short->has_even_y());
    EXPECT_EQ(hex_encode(from_short->x_coordinate()), kX);
    EXPECT_EQ(PlainPubKey::from_opaque(from_short->opaque()), *from_short);
}

TEST(PlainPubKey, RefusesEverythingElse) {
    const std::string x(kX);
    const std::string y(kY);
    const std::string off_curve = std::string(63, '0') + "5"; // x = 5 is on no point of the curve
    for (const std::string& wrong :
         {std::string(), std::string("02"), "00" + std::string(64, '0'), "06" + x + y, "07" + x + y,
          "05" + x, "04" + x, "02" + x + y, "04" + x + x, "02" + off_curve,
          "02" + std::string(64, 'f'), "02" + x + "00", x, "04" + x + y + "00"}) {
        const auto key = PlainPubKey::parse(hex_bytes(wrong));
        ASSERT_FALSE(key) << wrong;
        EXPECT_EQ(key.error().code, Errc::InvalidPoint);
    }
}

TEST(PlainPubKey, OrdersByItsBytesAndHashes) {
    const auto even = PlainPubKey::parse(hex_bytes("02" + std::string(kX))).value();
    const auto odd = PlainPubKey::parse(hex_bytes("03" + std::string(kX))).value();
    EXPECT_LT(even, odd);
    const std::unordered_set<PlainPubKey> set{even, odd, even};
    EXPECT_EQ(set.size(), 2u);
}

TEST(Ecdh, BothSidesAgreeAndOthersDoNot) {
    const SecretKey a = SecretKey::generate();
    const SecretKey b = SecretKey::generate();
    const auto ab = ecdh(a, b.public_key()).value();
    const auto ba = ecdh(b, a.public_key()).value();
    EXPECT_TRUE(secure::ct_equal(ab.expose(), ba.expose()));
    const auto aa = ecdh(a, a.public_key()).value();
    EXPECT_FALSE(secure::ct_equal(ab.expose(), aa.expose()));
}

TEST(Ecdh, IsTheHashOfTheCompressedPoint) {
    // 1 * G = G: the shared point is known.
    const SecretKey unit = SecretKey::parse(hex_bytes(one())).value();
    const auto shared = ecdh(unit, unit.public_key()).value();
    const Hash256 expected = sha256(unit.public_key().bytes());
    EXPECT_TRUE(secure::ct_equal(shared.expose(), expected));
}

TEST(Keys, WorkInSeveralThreadsAtOnce) {
    const SecretKey shared = SecretKey::generate();
    const auto work = [&] {
        for (int i = 0; i < 50; ++i) {
            const SecretKey mine = SecretKey::generate();
            const auto a = ecdh(mine, shared.public_key()).value();
            const auto b = ecdh(shared, mine.public_key()).value();
            ASSERT_TRUE(secure::ct_equal(a.expose(), b.expose()));
        }
    };
    std::thread other(work);
    work();
    other.join();
}

} // namespace
} // namespace keymeld::crypto
