#include "core/plugin/options.h"

#include <gtest/gtest.h>

namespace keymeld::plugin {
namespace {

Options make(std::map<std::string, std::string> values) {
    std::map<std::string, Options::Value> out;
    int line = 4;
    for (auto& [key, text] : values)
        out.emplace(key, Options::Value{text, "k.yaml:" + std::to_string(line++)});
    return Options(std::move(out), "k.yaml:3", "/etc/keymeld");
}

TEST(Options, GivesTextOnceAndFallbacks) {
    Options options = make({{"host", "h"}});
    EXPECT_EQ(options.text("name", "none").value(), "none");
    EXPECT_EQ(options.required_text("host").value(), "h");
    EXPECT_TRUE(options.finish());
    EXPECT_EQ(options.required_text("host").error().detail, "k.yaml:3: host is missing");
}

TEST(Options, RefusesWhatNobodyAskedFor) {
    Options options = make({{"prot", "1"}, {"host", "h"}});
    EXPECT_TRUE(options.text("host", ""));
    EXPECT_TRUE(options.number("port", 1, 1, 2));
    const auto done = options.finish();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::ConfigInvalid);
    EXPECT_EQ(done.error().detail, "k.yaml:5: unknown option 'prot'; known: host, port");
    EXPECT_EQ(make({{"x", "1"}}).finish().error().detail,
              "k.yaml:4: unknown option 'x'; known: none");
}

TEST(Options, ChecksNumbers) {
    EXPECT_EQ(make({}).number("n", 9, 1, 5).value(), 9u); // a default need not be in the range
    EXPECT_EQ(make({{"n", "5"}}).number("n", 9, 1, 5).value(), 5u);
    for (const char* bad :
         {"0", "6", "", "-1", "+1", " 1", "1 ", "1.0", "0x1", "99999999999999999999"})
        EXPECT_EQ(make({{"n", bad}}).number("n", 9, 1, 5).error().detail,
                  "k.yaml:4: n must be a whole number from 1 to 5")
            << bad;
    EXPECT_EQ(make({}).required_number("n", 1, 5).error().detail, "k.yaml:3: n is missing");
    EXPECT_EQ(make({{"n", "18446744073709551615"}}).required_number("n", 0, UINT64_MAX).value(),
              UINT64_MAX);
}

TEST(Options, ChecksFlags) {
    EXPECT_TRUE(make({}).flag("f", true).value());
    EXPECT_TRUE(make({{"f", "true"}}).flag("f", false).value());
    EXPECT_FALSE(make({{"f", "false"}}).flag("f", true).value());
    EXPECT_EQ(make({{"f", "yes"}}).flag("f", true).error().detail,
              "k.yaml:4: f must be true or false");
}

TEST(Options, MakesPathsAbsolute) {
    EXPECT_EQ(make({{"p", "a/b"}}).required_path("p").value(), "/etc/keymeld/a/b");
    EXPECT_EQ(make({{"p", "../var/x"}}).required_path("p").value(), "/etc/var/x");
    EXPECT_EQ(make({{"p", "/x"}}).required_path("p").value(), "/x");
    EXPECT_EQ(make({{"p", ""}}).required_path("p").error().detail, "k.yaml:4: p must be a path");
    EXPECT_FALSE(make({{"p", "a/"}}).required_path("p"));
    EXPECT_FALSE(Options({{"p", {"a", "x:1"}}}, "x:1").required_path("p")); // no base: not absolute
    EXPECT_EQ(make({}).required_path("p").error().detail, "k.yaml:3: p is missing");
}

} // namespace
} // namespace keymeld::plugin
