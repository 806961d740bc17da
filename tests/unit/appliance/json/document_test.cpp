#include "appliance/json/document.h"

#include <gtest/gtest.h>

namespace keymeld::json {
namespace {

constexpr const char* kId = "019a88a3-b765-70f3-8e8d-43075be1328d";

Document parsed(const std::string& text) {
    auto document = Document::parse(text);
    EXPECT_TRUE(document.has_value()) << text;
    return std::move(*document);
}

Errc code_of(const std::string& text) {
    const auto document = Document::parse(text);
    return document ? Errc::Internal : document.error().code;
}

/// Runs `get` on the object of `text` and returns the pointer of its error, "no error" if there is none.
template <class F> std::string pointer_of_error(const std::string& text, F get) {
    const auto document = Document::parse(text);
    if (!document)
        return "not JSON";
    const auto object = document->object();
    if (!object)
        return object.error().facts.at("pointer");
    const auto result = get(*object);
    if (result)
        return "no error";
    EXPECT_EQ(result.error().code, Errc::ValidationFailed);
    return result.error().facts.at("pointer");
}

TEST(JsonDocument, RefusesWhatIsNotJson) {
    for (const std::string text :
         {"", " ", "{", "}", "{}x", "{} {}", "{'a':1}", "{\"a\":1,}", "[1,]", "{\"a\"}", "nul", "\xef\xbb\xbf{}", "{\"a\":01}",
          "{\"a\":+1}", "{\"a\":.5}", "{\"a\":NaN}", "{\"a\":\"\t\"}", "{\"a\":1}//", "/*x*/{}"})
        EXPECT_EQ(code_of(text), Errc::MalformedJson) << text;
    EXPECT_EQ(code_of(std::string("{\"a\":\"\0\"}", 9)), Errc::MalformedJson);
}

TEST(JsonDocument, RefusesRepeatedNamesAtAnyDepth) {
    for (const std::string text : {"{\"a\":1,\"a\":1}", "{\"b\":[{\"a\":1,\"c\":2,\"a\":{}}]}", "{\"a\":{\"x\":{}},\"b\":1,\"a\":2}",
                                   "{\"a\":1,\"\\u0061\":2}"})
        EXPECT_EQ(code_of(text), Errc::MalformedJson) << text;
    EXPECT_TRUE(Document::parse("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}").has_value());
}

TEST(JsonDocument, RefusesRepeatedNamesInLargeObjects) {
    std::string text = "{";
    for (int i = 0; i < 200; ++i)
        text += "\"n" + std::to_string(i) + "\":" + std::to_string(i) + ",";
    EXPECT_TRUE(Document::parse(text + "\"z\":0}").has_value());
    EXPECT_EQ(code_of(text + "\"n7\":0}"), Errc::MalformedJson);
}

TEST(JsonDocument, RefusesInvalidUtf8) {
    for (const std::string bytes : {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xe2\x82"}) {
        EXPECT_EQ(code_of("{\"a\":\"" + bytes + "\"}"), Errc::MalformedJson);
        EXPECT_EQ(code_of("{\"" + bytes + "\":1}"), Errc::MalformedJson);
    }
    EXPECT_EQ(code_of("{\"a\":\"\\ud800\"}"), Errc::MalformedJson);
    EXPECT_TRUE(Document::parse("{\"a\":\"\\ud83d\\ude00\xe2\x82\xac\"}").has_value());
}

TEST(JsonDocument, BoundsDepthMembersAndElements) {
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    EXPECT_TRUE(Document::parse(nested(kMaxDepth)).has_value());
    EXPECT_EQ(code_of(nested(kMaxDepth + 1)), Errc::MalformedJson);
    EXPECT_EQ(code_of(nested(1'000'000)), Errc::MalformedJson);

    std::string members = "{";
    for (std::size_t i = 0; i < kMaxMembers; ++i)
        members += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
    EXPECT_TRUE(Document::parse(members + "}").has_value());
    EXPECT_EQ(code_of(members + ",\"x\":0}"), Errc::MalformedJson);

    std::string elements = "[0";
    for (std::size_t i = 1; i < kMaxElements; ++i)
        elements += ",0";
    EXPECT_TRUE(Document::parse(elements + "]").has_value());
    EXPECT_EQ(code_of(elements + ",0]"), Errc::MalformedJson);
}

TEST(JsonObject, TopLevelMustBeAnObject) {
    for (const std::string text : {"[]", "1", "\"a\"", "null", "true"}) {
        const auto object = parsed(text).object();
        ASSERT_FALSE(object.has_value());
        EXPECT_EQ(object.error().code, Errc::ValidationFailed);
        EXPECT_EQ(object.error().facts.at("pointer"), "");
    }
}

TEST(JsonObject, IntegersAreStrict) {
    const auto get = [](const Object& o) { return o.number("n", 1, 86400); };
    for (const char* bad : {"1.0", "1e3", "\"1\"", "-1", "0", "86401", "18446744073709551616", "1e400", "true", "null", "[]", "{}"})
        EXPECT_EQ(pointer_of_error("{\"n\":" + std::string(bad) + "}", get), "/n") << bad;
    EXPECT_EQ(pointer_of_error("{}", get), "/n");
    EXPECT_EQ(*parsed("{\"n\":86400}").object()->number("n", 1, 86400), 86400u);
    EXPECT_EQ(*parsed("{\"n\":18446744073709551615}").object()->number("n", 0, ~std::uint64_t{0}), ~std::uint64_t{0});
    EXPECT_EQ(*parsed("{\"n\":9223372036854775808}").object()->number("n", 0, ~std::uint64_t{0}), 1ull << 63);
}

TEST(JsonObject, OptionalMeansAbsentOrNull) {
    EXPECT_EQ(*parsed("{}").object()->optional_number("n", 0, 9), std::nullopt);
    EXPECT_EQ(*parsed("{\"n\":null}").object()->optional_number("n", 0, 9), std::nullopt);
    EXPECT_EQ(*parsed("{\"n\":9}").object()->optional_number("n", 0, 9), 9u);
    EXPECT_FALSE(parsed("{\"n\":10}").object()->optional_number("n", 0, 9).has_value());
    EXPECT_EQ(*parsed("{\"t\":null}").object()->optional_text("t", 9), std::nullopt);
    EXPECT_FALSE(parsed("{\"t\":1}").object()->optional_text("t", 9).has_value());
    // A default is not null.
    EXPECT_TRUE(*parsed("{}").object()->boolean("b", true));
    EXPECT_FALSE(parsed("{\"b\":null}").object()->boolean("b", true).has_value());
    EXPECT_FALSE(parsed("{\"b\":0}").object()->boolean("b", true).has_value());
}

TEST(JsonObject, UuidsInEveryForm) {
    for (const std::string form : {"019a88a3-b765-70f3-8e8d-43075be1328d", "019A88A3B76570F38E8D43075BE1328D",
                                   "{019a88a3-b765-70f3-8e8d-43075be1328d}", "urn:uuid:019a88a3-b765-70f3-8e8d-43075BE1328D"})
        EXPECT_EQ(parsed("{\"id\":\"" + form + "\"}").object()->uuid("id")->text(), kId);
    const auto get = [](const Object& o) { return o.uuid("id"); };
    for (const char* bad : {"\"\"", "\"x\"", "1", "null", "\"019a88a3-b765-70f3-8e8d-43075be1328\"", "\"{019a88a3b76570f38e8d43075be1328d}\""})
        EXPECT_EQ(pointer_of_error("{\"id\":" + std::string(bad) + "}", get), "/id") << bad;
}

TEST(JsonObject, DistinctUuidsNameTheElement) {
    const std::string a = "\"019a88a3-b765-70f3-8e8d-43075be1328d\"";
    const std::string same = "\"019A88A3B76570F38E8D43075BE1328D\"";
    const std::string b = "\"019a88a3-b765-70f3-8e8d-4311ecac8aa3\"";
    const auto get = [](const Object& o) { return o.distinct_uuids("u", 2, 3); };
    EXPECT_EQ(pointer_of_error("{\"u\":[" + a + "," + b + "]}", get), "no error");
    EXPECT_EQ(pointer_of_error("{\"u\":[" + a + "," + b + "," + same + "]}", get), "/u/2");
    EXPECT_EQ(pointer_of_error("{\"u\":[" + a + ",7]}", get), "/u/1");
    EXPECT_EQ(pointer_of_error("{\"u\":[" + a + "]}", get), "/u");
    EXPECT_EQ(pointer_of_error("{\"u\":[" + a + "," + b + ",1,1]}", get), "/u");
    EXPECT_EQ(pointer_of_error("{\"u\":{}}", get), "/u");
}

TEST(JsonObject, BytesInTheirForms) {
    const auto array = [](const Object& o) { return o.bytes("b", BytesForm::Array, {2, 4}); };
    const auto hex = [](const Object& o) { return o.bytes("b", BytesForm::Hex, {2, 4}); };
    const auto both = [](const Object& o) { return o.bytes("b", BytesForm::ArrayOrHex, {2, 4}); };
    EXPECT_EQ(*parsed("{\"b\":[0,255]}").object()->bytes("b", BytesForm::Array, {2}), (Bytes{0, 255}));
    EXPECT_EQ(*parsed("{\"b\":\"00Ff\"}").object()->bytes("b", BytesForm::Hex, {2}), (Bytes{0, 255}));
    EXPECT_EQ(pointer_of_error("{\"b\":[1,256]}", array), "/b/1");
    EXPECT_EQ(pointer_of_error("{\"b\":[-1,2]}", array), "/b/0");
    EXPECT_EQ(pointer_of_error("{\"b\":[1.0,2]}", array), "/b/0");
    EXPECT_EQ(pointer_of_error("{\"b\":[1,\"2\"]}", array), "/b/1");
    EXPECT_EQ(pointer_of_error("{\"b\":[1,2,3]}", array), "/b");
    EXPECT_EQ(pointer_of_error("{\"b\":\"0000\"}", array), "/b");
    EXPECT_EQ(pointer_of_error("{\"b\":[1,2]}", hex), "/b");
    for (const char* bad : {"\"000\"", "\"0g00\"", "\"\"", "\"000000\"", "\"0000000000\""})
        EXPECT_EQ(pointer_of_error("{\"b\":" + std::string(bad) + "}", hex), "/b") << bad;
    EXPECT_EQ(pointer_of_error("{\"b\":[1,2,3,4]}", both), "no error");
    EXPECT_EQ(pointer_of_error("{\"b\":\"01020304\"}", both), "no error");
    EXPECT_EQ(pointer_of_error("{\"b\":7}", both), "/b");
}

TEST(JsonObject, HexKeepsItsSpelling) {
    const auto document = parsed("{\"h\":\"00aB\"}");
    const auto hex = document.object()->hex("h", 1, 2);
    ASSERT_TRUE(hex.has_value());
    EXPECT_EQ(hex->text, "00aB");
    EXPECT_EQ(hex->bytes, (Bytes{0, 0xab}));
    EXPECT_FALSE(document.object()->hex("h", 3, 9).has_value());
    EXPECT_FALSE(document.object()->hex("h", 1, 1).has_value());
}

TEST(JsonObject, NestedPointersAreEscaped) {
    const auto document = parsed("{\"a/b\":{\"c~d\":{}},\"list\":[{\"n\":-1}]}");
    const auto outer = document.object()->object("a/b");
    ASSERT_TRUE(outer.has_value());
    EXPECT_EQ(outer->number("c~d", 0, 1).error().facts.at("pointer"), "/a~1b/c~0d");
    const auto list = document.object()->objects("list", 4);
    ASSERT_TRUE(list.has_value());
    EXPECT_EQ(list->front().number("n", 0, 1).error().facts.at("pointer"), "/list/0/n");
    EXPECT_FALSE(document.object()->objects("list", 0).has_value());
}

TEST(JsonObject, TextIsBounded) {
    EXPECT_TRUE(parsed("{\"t\":\"abc\"}").object()->text("t", 3).has_value());
    EXPECT_FALSE(parsed("{\"t\":\"abcd\"}").object()->text("t", 3).has_value());
}

} // namespace
} // namespace keymeld::json
