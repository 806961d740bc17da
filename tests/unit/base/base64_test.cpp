#include "core/base/base64.h"

#include <gtest/gtest.h>

namespace keymeld {
namespace {

// RFC 4648 section 10.
constexpr std::pair<std::string_view, std::string_view> kRfc4648[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

TEST(Base64, AgreesWithTheRfc) {
    for (const auto& [plain, encoded] : kRfc4648) {
        EXPECT_EQ(base64_encode(as_bytes(plain)), encoded);
        EXPECT_EQ(as_text(base64_decode(encoded).value()), plain);
    }
}

TEST(Base64, BringsEveryByteBack) {
    Bytes all(256);
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<std::uint8_t>(255 - i);
    EXPECT_EQ(base64_decode(base64_encode(all)).value(), all);
}

TEST(Base64, RefusesWhatIsNotCanonical) {
    for (const std::string_view wrong : {"Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==",
                                         "Zm9v\n", "Zm 9", "Zm-_", "=Zm9", "Zm9vY"}) {
        const auto decoded = base64_decode(wrong);
        ASSERT_FALSE(decoded) << wrong;
        EXPECT_EQ(decoded.error().code, Errc::InvalidArgument);
    }
}

} // namespace
} // namespace keymeld
