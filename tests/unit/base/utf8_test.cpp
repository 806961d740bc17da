#include "core/base/utf8.h"

#include <gtest/gtest.h>

namespace keymeld {
namespace {

TEST(Utf8, KnowsWellFormedTextAtItsLimits) {
    for (const std::string_view good : {"", "abc", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "Tr\xc3\xa9sor"})
        EXPECT_TRUE(is_utf8(good)) << good;
    for (const std::string_view bad : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80",
                                       "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xfe"})
        EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(Utf8, MeasuresTheFirstSequence) {
    EXPECT_EQ(utf8_sequence("a\xff"), 1u);
    EXPECT_EQ(utf8_sequence("\xc3\xa9x"), 2u);
    EXPECT_EQ(utf8_sequence("\xe2\x82\xacx"), 3u);
    EXPECT_EQ(utf8_sequence("\xf0\x9f\x94\x91x"), 4u);
    EXPECT_EQ(utf8_sequence("\xffx"), 0u);
}

TEST(Utf8, PutsAStrangersTextOnOneLine) {
    EXPECT_EQ(one_line("Tr\xc3\xa9sor \xf0\x9f\x94\x91"), "Tr\xc3\xa9sor \xf0\x9f\x94\x91");
    EXPECT_EQ(one_line("a\nb\tc\x7f\x1b[2J"), "a?b?c??[2J");
    EXPECT_EQ(one_line("\xc2\x9b" "31m\xc2\xa0"), "?31m\xc2\xa0");
    EXPECT_EQ(one_line("\xff\xc3"), "??");
    EXPECT_EQ(one_line(std::string_view("\0", 1)), "?");
}

} // namespace
} // namespace keymeld
