#include "core/base/log.h"

#include <gtest/gtest.h>

namespace keymeld {
namespace {

std::string logged(std::initializer_list<log::Field> fields) {
    testing::internal::CaptureStderr();
    log::info("test", "event", fields);
    return testing::internal::GetCapturedStderr();
}

TEST(Log, WritesCategoryEventAndFieldsOnOneLine) {
    const Uuid id = Uuid::parse("019a88a3-b765-70f3-8e8d-4311ecac8aa3").value();
    const std::string line =
        logged({{"count", 7}, {"on", true}, {"id", id}, {"code", Errc::AuthFailed}, {"s", "x"}});
    EXPECT_NE(line.find(" test event count=7 on=true id=019a88a3-b765-70f3-8e8d-4311ecac8aa3 "
                        "code=auth_failed s=x\n"),
              std::string::npos)
        << line;
}

TEST(Log, UntrustedTextCannotStartALineOrAField) {
    const std::string line =
        logged({{"name", "a\nWARN forged b=\"c\"\r\x1b[31m"}, {"empty", ""}, {"q", "a\\b"}});
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    EXPECT_EQ(line.find('\r'), std::string::npos);
    EXPECT_EQ(line.find("\x1b[31m"), std::string::npos);
    EXPECT_NE(line.find(R"(name="a\x0aWARN forged b=\"c\"\x0d\x1b[31m" empty="" q="a\\b")"),
              std::string::npos)
        << line;
}

TEST(Log, LevelsBelowTheSetOneAreSilent) {
    testing::internal::CaptureStderr();
    log::debug("test", "unseen");
    log::set_level(log::Level::Error);
    log::warn("test", "unseen");
    log::set_level(log::Level::Info);
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

template <class T>
concept Loggable = requires(const T& value) {
    log::Field("key", value);
};
static_assert(Loggable<std::string> && Loggable<int> && Loggable<UserId>);
static_assert(!Loggable<Bytes> && !Loggable<ByteView> && !Loggable<ByteArray<32>>,
              "raw bytes have no text form in a log");

} // namespace
} // namespace keymeld
