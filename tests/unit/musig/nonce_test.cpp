#include "core/musig/nonce.h"

#include <ostream>

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "core/musig/session_context.h"

namespace keymeld::musig {
namespace {

// A secret nonce that could be copied, kept, printed, written or rebuilt would be one that can be
// used twice.
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
template <class T>
concept HasBytes = requires(const T& a) {
    a.bytes();
}
|| requires(const T& a) {
    a.expose();
}
|| requires(const T& a) {
    a.opaque();
}
|| requires(const T& a) {
    a.clone();
}
|| requires(ByteView bytes) {
    T::parse(bytes);
};
static_assert(!std::is_copy_constructible_v<SecNonce> && !std::is_copy_assignable_v<SecNonce> &&
              !std::is_default_constructible_v<SecNonce> && !Comparable<SecNonce> &&
              !Printable<SecNonce> && !Loggable<SecNonce> && !HasBytes<SecNonce> &&
              std::is_nothrow_move_constructible_v<SecNonce>);
static_assert(!std::is_constructible_v<SecNonce, secure::SecretArray<132>, PlainPubKey>,
              "only nonce_gen makes secret nonces");
template <class N>
concept SignsWith = requires(N nonce, const SecretKey& key, const KeyAggContext& aggregate,
                             const SessionContext& session) {
    partial_sign(static_cast<N>(nonce), key, aggregate, session);
};
static_assert(SignsWith<SecNonce&&> && !SignsWith<SecNonce&> && !SignsWith<const SecNonce&>,
              "signing takes the nonce away");

TEST(NonceGen, NeverRepeats) {
    const SecretKey key = SecretKey::generate();
    const ByteArray<32> message{1};
    const std::vector<PlainPubKey> keys{key.public_key(), SecretKey::generate().public_key()};
    const auto aggregate = KeyAggContext::create(keys).value();
    const auto first = nonce_gen(key, &aggregate, &message).value();
    const auto second = nonce_gen(key, &aggregate, &message).value();
    EXPECT_FALSE(first.pub == second.pub);
    EXPECT_TRUE(first.secret.usable());
    EXPECT_EQ(first.secret.signer(), key.public_key());
    EXPECT_TRUE(nonce_gen(key));
}

TEST(SecNonce, IsUnusableOnceMovedFrom) {
    auto pair = nonce_gen(SecretKey::generate()).value();
    const SecNonce taken = std::move(pair.secret);
    EXPECT_TRUE(taken.usable());
    EXPECT_FALSE(pair.secret.usable());
}

TEST(PubNonce, IsReadBack) {
    const auto pub = nonce_gen(SecretKey::generate())->pub;
    EXPECT_EQ(PubNonce::parse(pub.bytes()).value(), pub);
    EXPECT_EQ(PubNonce::from_opaque(pub.opaque()), pub);
}

TEST(PubNonce, TheLongFormIsTheSameNonce) {
    for (int i = 0; i < 20; ++i) { // both parities, most likely
        const auto pub = nonce_gen(SecretKey::generate())->pub;
        const auto read = PubNonce::parse_points(pub.points()).value();
        EXPECT_EQ(read, pub);
        EXPECT_EQ(read.opaque(), PubNonce::parse(pub.bytes())->opaque());
        EXPECT_EQ(read.points(), pub.points());
    }
}

TEST(PubNonce, TheLongFormIsTwoPointsOfTheCurve) {
    const ByteArray<128> good = nonce_gen(SecretKey::generate())->pub.points();
    const auto refused = [](ByteView bytes) {
        const auto parsed = PubNonce::parse_points(bytes);
        return !parsed && parsed.error().code == Errc::InvalidPoint;
    };
    for (const std::size_t length : {0u, 64u, 66u, 127u})
        EXPECT_TRUE(refused(ByteView(good).first(length)));
    for (const std::size_t half : {0u, 64u}) {
        ByteArray<128> bad = good;
        bad[half + 63] ^= 2; // another y
        EXPECT_TRUE(refused(bad));
        bad = good;
        std::fill_n(bad.begin() + static_cast<std::ptrdiff_t>(half), 64, std::uint8_t{0});
        EXPECT_TRUE(refused(bad));
        bad = good;
        std::fill_n(bad.begin() + static_cast<std::ptrdiff_t>(half), 32, std::uint8_t{0xff});
        EXPECT_TRUE(refused(bad)) << "x is not below the field's order";
    }
}

TEST(PubNonce, RefusesWhatIsNotTwoPoints) {
    const ByteArray<66> good = nonce_gen(SecretKey::generate())->pub.bytes();
    const auto refused = [](ByteView bytes) {
        const auto parsed = PubNonce::parse(bytes);
        return !parsed && parsed.error().code == Errc::InvalidPoint;
    };
    for (const std::size_t length : {0u, 33u, 65u})
        EXPECT_TRUE(refused(ByteView(good).first(length)));
    for (const std::size_t half : {0u, 33u}) {
        ByteArray<66> bad = good;
        bad[half] = 4;
        EXPECT_TRUE(refused(bad));
        bad = good;
        std::fill_n(bad.begin() + static_cast<std::ptrdiff_t>(half), 33,
                    std::uint8_t{0}); // infinity: only in an aggregate
        EXPECT_TRUE(refused(bad));
        EXPECT_TRUE(AggNonce::parse(bad));
    }
    Bytes longer(good.begin(), good.end());
    longer.push_back(0);
    EXPECT_TRUE(refused(longer));
    EXPECT_EQ(AggNonce::parse(longer).error().code, Errc::InvalidPoint);
}

TEST(NonceAgg, DoesNotDependOnTheOrder) {
    std::vector<PubNonce> nonces;
    for (int i = 0; i < 4; ++i)
        nonces.push_back(nonce_gen(SecretKey::generate())->pub);
    const AggNonce sum = nonce_agg(nonces).value();
    std::swap(nonces[0], nonces[3]);
    EXPECT_EQ(nonce_agg(nonces).value(), sum);
    EXPECT_EQ(AggNonce::parse(sum.bytes()).value(), sum);
    nonces.pop_back();
    EXPECT_FALSE(nonce_agg(nonces).value() == sum);
    EXPECT_EQ(nonce_agg({}).error().code, Errc::InvalidArgument);
}

} // namespace
} // namespace keymeld::musig
