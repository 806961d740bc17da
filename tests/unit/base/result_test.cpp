#include "core/base/result.h"

#include <memory>

#include <gtest/gtest.h>

namespace keymeld {
namespace {

Result<std::unique_ptr<int>> make(bool works) {
    if (!works)
        return fail(Errc::NotFound, "nothing there");
    return std::make_unique<int>(41);
}

Result<int> plus_one(bool works) {
    KEYMELD_TRY(const std::unique_ptr<int> value, make(works));
    return *value + 1;
}

Status check(bool works) {
    KEYMELD_CHECK(make(works));
    return {};
}

TEST(Result, TryGivesTheValueOrHandsOnTheError) {
    EXPECT_EQ(plus_one(true).value(), 42);
    ASSERT_FALSE(plus_one(false));
    EXPECT_EQ(plus_one(false).error().code, Errc::NotFound);
    EXPECT_EQ(plus_one(false).error().detail, "nothing there");
}

TEST(Result, CheckGoesOnOrHandsOnTheError) {
    EXPECT_TRUE(check(true));
    EXPECT_EQ(check(false).error().code, Errc::NotFound);
}

} // namespace
} // namespace keymeld
