#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/crypto/cbor.h"
#include "enclave/image/init/entropy.h"

namespace keymeld::init {
namespace {

Bytes answer(std::size_t size) {
    Bytes random(size);
    for (std::size_t i = 0; i < size; ++i)
        random[i] = static_cast<std::uint8_t>(i * 7);
    cbor::Writer out;
    out.map(1).text("GetRandom").map(1).text("random").bytes(random);
    return std::move(out).take();
}

// What our CBOR writer makes is what the module sends.
TEST(InitRandomAnswer, FindsTheRandomBytes) {
    for (const std::size_t size : {32u, 64u, 255u, 256u, 4096u}) {
        const Bytes cbor = answer(size);
        const auto random = random_in(cbor);
        ASSERT_EQ(random.size(), size);
        EXPECT_EQ(random.data() + size, cbor.data() + cbor.size());
        EXPECT_EQ(random[31], 31 * 7);
    }
}

TEST(InitRandomAnswer, TakesNothingFromAnyOtherAnswer) {
    EXPECT_TRUE(random_in({}).empty());
    EXPECT_TRUE(random_in(answer(0)).empty());
    EXPECT_TRUE(random_in(answer(23)).empty());
    EXPECT_TRUE(random_in(answer(31)).empty());
    cbor::Writer error;
    error.map(1).text("Error").text("InvalidOperation-and-more-to-be-long-enough-for-an-answer");
    EXPECT_TRUE(random_in(error.view()).empty());
    cbor::Writer null;
    null.map(1).text("GetRandom").map(1).text("random").null();
    EXPECT_TRUE(random_in(null.view()).empty());
}

TEST(InitRandomAnswer, TakesNothingFromABrokenAnswer) {
    for (const std::size_t size : {32u, 256u}) {
        const Bytes good = answer(size);
        for (std::size_t cut = 0; cut < good.size(); ++cut)
            EXPECT_TRUE(random_in(ByteView(good).first(cut)).empty()) << cut;
        Bytes longer = good;
        longer.push_back(0);
        EXPECT_TRUE(random_in(longer).empty());
        // Every byte in front of the random ones counts.
        for (std::size_t at = 0; at < good.size() - size; ++at) {
            Bytes bad = good;
            bad[at] ^= 1;
            EXPECT_TRUE(random_in(bad).empty()) << at;
        }
    }
}

} // namespace
} // namespace keymeld::init
