#include "appliance/json/writer.h"

#include <gtest/gtest.h>

#include "appliance/json/document.h"

namespace keymeld::json {
namespace {

TEST(JsonWriter, KeepsOrderAndPutsCommas) {
    Writer w;
    w.begin_object().member("b", 1u).member("a", "x").key("list").begin_array().number(1u).null().boolean(false);
    w.begin_object().end_object().begin_array().end_array().end_array().member("last", true).end_object();
    EXPECT_EQ(w.view(), R"({"b":1,"a":"x","list":[1,null,false,{},[]],"last":true})");
}

TEST(JsonWriter, EscapesText) {
    Writer w;
    w.text(std::string_view("\"\\\n\r\t\b\x1f/\x7f\xe2\x82\xac\xf0\x9f\x98\x80\0", 17));
    EXPECT_EQ(w.view(), "\"\\\"\\\\\\n\\r\\t\\u0008\\u001f/\x7f\xe2\x82\xac\xf0\x9f\x98\x80\\u0000\"");
}

TEST(JsonWriter, InvalidUtf8BecomesReplacementCharacters) {
    for (const std::string bytes : {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "a\xff" "b"}) {
        Writer w;
        w.begin_object().member("t", bytes).end_object();
        const auto document = Document::parse(w.view());
        ASSERT_TRUE(document.has_value()) << w.view();
        EXPECT_NE(document->object()->text("t", 99)->find("\xef\xbf\xbd"), std::string::npos);
    }
}

TEST(JsonWriter, NumbersAndBytes) {
    Writer w;
    w.begin_array().number(~std::uint64_t{0}).number(std::int64_t{-5}).hex(Bytes{0, 0xab}).byte_array(Bytes{0, 255}).end_array();
    EXPECT_EQ(w.view(), R"([18446744073709551615,-5,"00ab",[0,255]])");
}

} // namespace
} // namespace keymeld::json
