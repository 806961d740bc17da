#include "appliance/http/target.h"

#include <gtest/gtest.h>

namespace keymeld::http {
namespace {

TEST(HttpTarget, SplitsOriginAndAbsoluteForm) {
    EXPECT_EQ(split_target("/a/b?c=d?e")->path, "/a/b");
    EXPECT_EQ(split_target("/a/b?c=d?e")->query, "c=d?e");
    EXPECT_EQ(split_target("http://host:80/a?b")->path, "/a");
    EXPECT_EQ(split_target("http://host:80/a?b")->query, "b");
    EXPECT_EQ(split_target("https://host")->path, "/");
    EXPECT_EQ(split_target("http://host?x")->query, "x");
    for (const char* bad : {"", "*", "host:443", "a/b", "ftp://host/"})
        EXPECT_FALSE(split_target(bad).has_value()) << bad;
}

TEST(HttpTarget, PercentDecodes) {
    EXPECT_EQ(percent_decode("%7Ba%7d%3a"), "{a}:");
    for (const char* bad : {"%", "%4", "%4g", "%%41", "a%2"})
        EXPECT_FALSE(percent_decode(bad).has_value()) << bad;
}

TEST(HttpTarget, FindsQueryParameters) {
    EXPECT_EQ(query_parameter("wait=5", "wait"), "5");
    EXPECT_EQ(query_parameter("a=b&wait=5&wait=6", "wait"), "5");
    EXPECT_EQ(query_parameter("w%61it=%35", "wait"), "5");
    EXPECT_EQ(query_parameter("wait", "wait"), "");
    EXPECT_EQ(query_parameter("wait=%zz", "wait"), "%zz");
    EXPECT_EQ(query_parameter("", "wait"), std::nullopt);
    EXPECT_EQ(query_parameter("await=5&waits=6&&=", "wait"), std::nullopt);
}

} // namespace
} // namespace keymeld::http
