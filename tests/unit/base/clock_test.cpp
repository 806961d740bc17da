#include "core/base/clock.h"

#include <ctime>
#include <regex>

#include <gtest/gtest.h>

namespace keymeld {
namespace {

TEST(Clock, SecondsAndMillisecondsAgreeWithTheSystem) {
    const std::uint64_t before = static_cast<std::uint64_t>(std::time(nullptr));
    const std::uint64_t seconds = unix_seconds();
    const std::uint64_t millis = unix_millis();
    EXPECT_GE(seconds + 1, before);
    EXPECT_LE(seconds, millis / 1000);
    EXPECT_LE(millis / 1000 - seconds, 60u);
}

TEST(Clock, WritesRfc3339) {
    const std::string text = rfc3339_now();
    EXPECT_TRUE(std::regex_match(text, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)")))
        << text;
}

} // namespace
} // namespace keymeld
