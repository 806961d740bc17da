#include "core/secure/compare.h"

#include <gtest/gtest.h>

namespace keymeld::secure {
namespace {

TEST(CtEqual, SeesEverySingleBitAndTheLength) {
    Bytes a(40, 0x5a);
    EXPECT_TRUE(ct_equal(a, Bytes(a)));
    EXPECT_TRUE(ct_equal({}, {}));
    for (std::size_t bit = 0; bit < a.size() * 8; ++bit) {
        Bytes b = a;
        b[bit / 8] = static_cast<std::uint8_t>(b[bit / 8] ^ (1u << bit % 8));
        EXPECT_FALSE(ct_equal(a, b)) << bit;
    }
    EXPECT_FALSE(ct_equal(a, ByteView(a).first(39)));
    EXPECT_FALSE(ct_equal(a, {}));
}

} // namespace
} // namespace keymeld::secure
