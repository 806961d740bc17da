#include "core/secure/secret.h"

#include <ostream>

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "core/secure/cleanse.h"
#include "core/secure/compare.h"

namespace keymeld::secure {
namespace {

// What must not compile with a secret.
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
concept Iterable = requires(const T& a) {
    a.begin();
};
template <class T>
concept Indexable = requires(const T& a) {
    a[0];
};
template <class T>
concept ExposedByTemporary = requires(T (*make)()) {
    make().expose();
};
template <class T>
constexpr bool kKeepsItsSecret =
    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> && !Comparable<T> &&
    !Printable<T> && !Loggable<T> && !Iterable<T> && !Indexable<T> && !ExposedByTemporary<T> &&
    !std::is_convertible_v<const T&, ByteView> && !std::is_convertible_v<const T&, std::string> &&
    !std::is_constructible_v<Bytes, const T&> && std::is_nothrow_move_constructible_v<T> &&
    std::is_nothrow_move_assignable_v<T>;
static_assert(kKeepsItsSecret<SecretBytes>);
static_assert(kKeepsItsSecret<SecretArray<32>>);
static_assert(!std::is_convertible_v<Bytes, SecretBytes> &&
                  !std::is_convertible_v<ByteView, SecretBytes>,
              "a secret is made from plain bytes only by name");

constexpr ByteArray<4> kBytes{1, 2, 3, 4};

TEST(SecretArray, StartsZeroAndCopiesWhatItIsGiven) {
    const SecretArray<4> zero;
    EXPECT_TRUE(ct_equal(zero.expose(), ByteArray<4>{}));
    const auto copy = SecretArray<4>::copy_of(kBytes);
    EXPECT_TRUE(ct_equal(copy.expose(), kBytes));
}

TEST(SecretArray, TakesOnlyItsOwnLength) {
    EXPECT_TRUE(SecretArray<4>::from_bytes(kBytes));
    for (const std::size_t wrong : {0u, 3u, 5u}) {
        const auto made = SecretArray<4>::from_bytes(Bytes(wrong));
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, Errc::InvalidArgument);
    }
}

TEST(SecretArray, MoveHandsTheMemoryOverAndLeavesNothing) {
    auto from = SecretArray<4>::copy_of(kBytes);
    const std::uint8_t* const where = from.expose().data();
    SecretArray<4> to = std::move(from);
    EXPECT_EQ(to.expose().data(), where);
    EXPECT_FALSE(from.holds_value());
    EXPECT_THROW(static_cast<void>(from.expose()), std::logic_error);
    EXPECT_THROW(static_cast<void>(from.clone()), std::logic_error);
    from = std::move(to);
    EXPECT_TRUE(ct_equal(from.expose(), kBytes));
    SecretArray<4>& same = from;
    from = std::move(same);
    EXPECT_TRUE(ct_equal(from.expose(), kBytes));
}

TEST(SecretArray, CloneIsIndependent) {
    auto original = SecretArray<4>::copy_of(kBytes);
    const auto copy = original.clone();
    original.expose_mut()[0] = 99;
    EXPECT_TRUE(ct_equal(copy.expose(), kBytes));
    original.wipe();
    EXPECT_FALSE(original.holds_value());
    EXPECT_TRUE(ct_equal(copy.expose(), kBytes));
}

TEST(SecretBytes, EmptyTakesNoMemory) {
    const std::size_t before = locked_pool::usage().live_blocks;
    const SecretBytes empty;
    const SecretBytes zero_length(0);
    const SecretBytes copy = SecretBytes::copy_of({});
    EXPECT_EQ(locked_pool::usage().live_blocks, before);
    EXPECT_TRUE(empty.empty() && zero_length.empty() && copy.clone().empty());
}

TEST(SecretBytes, MoveCloneAndWipe) {
    auto from = SecretBytes::copy_of(kBytes);
    SecretBytes to = std::move(from);
    EXPECT_TRUE(from.empty());
    EXPECT_TRUE(ct_equal(to.expose(), kBytes));
    const SecretBytes copy = to.clone();
    to.wipe();
    EXPECT_TRUE(to.empty());
    EXPECT_TRUE(ct_equal(copy.expose(), kBytes));
}

TEST(SecretBytes, GivesItsMemoryBack) {
    const auto before = locked_pool::usage();
    {
        const SecretBytes small(100);
        const SecretBytes large(100'000);
        EXPECT_EQ(locked_pool::usage().live_blocks, before.live_blocks + 2);
        EXPECT_EQ(locked_pool::usage().live_bytes, before.live_bytes + 100'100);
    }
    EXPECT_EQ(locked_pool::usage().live_blocks, before.live_blocks);
    EXPECT_EQ(locked_pool::usage().live_bytes, before.live_bytes);
}

TEST(ScopedCleanse, WipesOnEveryWayOut) {
    ByteArray<16> value;
    value.fill(0xaa);
    const auto throwing = [&] {
        const ScopedCleanse wipe(value);
        throw std::runtime_error("early");
    };
    EXPECT_THROW(throwing(), std::runtime_error);
    EXPECT_EQ(value, ByteArray<16>{});
}

} // namespace
} // namespace keymeld::secure
