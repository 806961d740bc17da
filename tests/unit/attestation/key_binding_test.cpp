#include "core/attestation/key_binding.h"

#include <limits>

#include <gtest/gtest.h>

#include "tests/unit/attestation/forge.h"

namespace keymeld::attestation::test {
namespace {

TEST(KeyBinding, WritesUserDataAsRestV1DefinesIt) {
    EXPECT_EQ(make_user_data(1), R"({"key_epoch":1,"protocol":"keymeld-v1"})");
    EXPECT_EQ(make_user_data(std::numeric_limits<std::uint64_t>::max()),
              R"({"key_epoch":18446744073709551615,"protocol":"keymeld-v1"})");
}

TEST(KeyBinding, ReadsUserDataOnlyInThatForm) {
    for (const std::uint64_t epoch :
         {std::uint64_t{1}, std::uint64_t{42}, std::numeric_limits<std::uint64_t>::max()}) {
        const auto read = parse_user_data(as_bytes(make_user_data(epoch)));
        ASSERT_TRUE(read);
        EXPECT_EQ(*read, epoch);
    }
    for (const char* text :
         {"", "{}", R"({"key_epoch":0,"protocol":"keymeld-v1"})",
          R"({"key_epoch":01,"protocol":"keymeld-v1"})",
          R"({"key_epoch":+1,"protocol":"keymeld-v1"})",
          R"({"key_epoch":-1,"protocol":"keymeld-v1"})",
          R"({"key_epoch":1.0,"protocol":"keymeld-v1"})",
          R"({"key_epoch":,"protocol":"keymeld-v1"})",
          R"({"key_epoch":18446744073709551616,"protocol":"keymeld-v1"})",
          R"({"key_epoch":"1","protocol":"keymeld-v1"})",
          R"({"key_epoch": 1,"protocol":"keymeld-v1"})",
          R"({"protocol":"keymeld-v1","key_epoch":1})",
          R"({"key_epoch":1,"protocol":"keymeld-v2"})",
          R"({"key_epoch":1,"protocol":"keymeld-v1"} )",
          R"({"key_epoch":1,"protocol":"keymeld-v1","more":1})", R"({"key_epoch":1)"}) {
        const auto read = parse_user_data(as_bytes(text));
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().code, Errc::InvalidArgument);
    }
}

class Binding : public testing::Test {
  protected:
    Result<KeyBinding> bind(std::optional<Bytes> key, std::optional<std::string> user_data) {
        AttestationDocument document = forge.document();
        document.public_key = std::move(key);
        document.user_data = std::nullopt;
        if (user_data)
            document.user_data = to_bytes(as_bytes(*user_data));
        Expectations expected;
        expected.now_ms = kNowMs;
        const auto verified = forge.verifier().verify(forge.sign(document), expected);
        EXPECT_TRUE(verified);
        return key_binding(*verified);
    }
    void refused(std::optional<Bytes> key, std::optional<std::string> user_data) {
        const auto bound = bind(std::move(key), std::move(user_data));
        ASSERT_FALSE(bound);
        EXPECT_EQ(failed_check(bound.error()), AttestationCheck::PublicKey);
    }
    const Forge forge = Forge::make();
};

TEST_F(Binding, GivesKeyAndEpochOfAVerifiedDocument) {
    for (const std::uint8_t parity : Bytes{2, 3}) {
        const auto bound = bind(Bytes(33, parity), make_user_data(7));
        ASSERT_TRUE(bound) << bound.error().detail;
        EXPECT_EQ(to_bytes(bound->public_key), Bytes(33, parity));
        EXPECT_EQ(bound->key_epoch, 7u);
    }
}

TEST_F(Binding, RefusesDocumentsOfOtherPrograms) {
    refused(std::nullopt, make_user_data(1));
    refused(Bytes(32, 2), make_user_data(1));
    refused(Bytes(34, 2), make_user_data(1));
    refused(Bytes(33, 4), make_user_data(1));
    refused(Bytes(33, 2), std::nullopt);
    refused(Bytes(33, 2), "");
    refused(Bytes(33, 2), "something else");
}

} // namespace
} // namespace keymeld::attestation::test
