#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "pkcs11/config.h"

namespace keymeld::pkcs11 {
namespace {

std::string error_of(std::string_view text) {
    const auto config = Config::parse(text, "/etc/keymeld/pkcs11.yaml");
    return config ? "accepted" : config.error().detail;
}

TEST(Pkcs11Config, ReadsTheExampleThatUsersCopy) {
    const char* source = std::getenv("KEYMELD_SOURCE_DIR");
    ASSERT_NE(source, nullptr);
    std::ifstream file(std::string(source) + "/config/pkcs11.yaml");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const auto config = Config::parse(text, "/home/alice/pkcs11.yaml");
    ASSERT_TRUE(config) << config.error().detail;
    ASSERT_EQ(config->tokens.size(), 1u);
    EXPECT_EQ(config->tokens[0].credentials, "/home/alice/alice.credentials");
    EXPECT_EQ(config->tokens[0].sign_timeout, std::chrono::seconds(30));
    EXPECT_EQ(config->tokens[0].refresh, std::chrono::seconds(5));
    EXPECT_TRUE(config->tokens[0].generate_keys);
    EXPECT_FALSE(config->tokens[0].pin_file);
}

TEST(Pkcs11Config, ReadsEverySettingAndKeepsTheOrderOfTokens) {
    const auto config = Config::parse("log: info   # more\r\n"
                                      "tokens:\n"
                                      "- credentials: \"/var/a b # c\"\n"
                                      "  pin-file: 'x.pin'\n"
                                      "\n"
                                      "# between\n"
                                      "-\n"
                                      "  credentials: second\n"
                                      "  sign_timeout: 600s\n"
                                      "  refresh_secs: 0\n",
                                      "/e/p.yaml");
    ASSERT_TRUE(config) << config.error().detail;
    EXPECT_EQ(config->log, log::Level::Info);
    ASSERT_EQ(config->tokens.size(), 2u);
    EXPECT_EQ(config->tokens[0].credentials, "/var/a b # c");
    EXPECT_EQ(config->tokens[0].pin_file, "/e/x.pin");
    EXPECT_EQ(config->tokens[1].credentials, "/e/second");
    EXPECT_EQ(config->tokens[1].sign_timeout, std::chrono::seconds(600));
    EXPECT_EQ(config->tokens[1].refresh, std::chrono::seconds(0));
    EXPECT_FALSE(config->tokens[1].generate_keys);
}

TEST(Pkcs11Config, NamesFileLineAndKeyOfEveryMistake) {
    const auto starts = [](const std::string& text, const std::string& with) { return text.starts_with("/etc/keymeld/pkcs11.yaml:" + with); };
    EXPECT_PRED2(starts, error_of("log: loud\n"), "1: log: ");
    EXPECT_PRED2(starts, error_of("log: off\nlog: off\n"), "2: log: is there twice");
    EXPECT_PRED2(starts, error_of("colour: red\n"), "1: colour: ");
    EXPECT_PRED2(starts, error_of("tokens: []\n"), "1: tokens: ");
    EXPECT_PRED2(starts, error_of("tokens:\n  - credentials: a\n    credentials: b\n"), "3: credentials: is there twice");
    EXPECT_PRED2(starts, error_of("tokens:\n  - credentials: a\n   pin-file: b\n"), "3: is indented");
    EXPECT_PRED2(starts, error_of("tokens:\n  - credentials: a\n    sign_timeout: 0\n"), "3: sign_timeout: ");
    EXPECT_PRED2(starts, error_of("tokens:\n  - credentials: a\n    generate_keys: yes\n"), "3: generate_keys: ");
    EXPECT_PRED2(starts, error_of("tokens:\n  - credentials: &anchor\n"), "2: credentials: ");
    EXPECT_PRED2(starts, error_of("tokens:\n  - credentials: \"a\n"), "2: credentials: ");
    EXPECT_PRED2(starts, error_of("tokens:\n\t- credentials: a\n"), "2: has a tab");
    EXPECT_PRED2(starts, error_of("  log: off\n"), "1: is indented");
    EXPECT_PRED2(starts, error_of("tokens:\n  - {credentials: a}\n"), "2: ");
    EXPECT_PRED2(starts, error_of("log off\n"), "1: is not of the form");
    EXPECT_NE(error_of("").find("at least one"), std::string::npos);
    EXPECT_NE(error_of("tokens:\n  - pin-file: a\n").find("needs `credentials`"), std::string::npos);
    std::string many = "tokens:\n";
    for (int i = 0; i < 65; ++i)
        many += "  - credentials: a\n";
    EXPECT_NE(error_of(many).find("at most 64"), std::string::npos);
}

} // namespace
} // namespace keymeld::pkcs11
