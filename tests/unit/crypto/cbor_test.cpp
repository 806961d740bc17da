#include "core/crypto/cbor.h"

#include <limits>

#include <gtest/gtest.h>

#include "core/base/hex.h"

namespace keymeld::cbor {
namespace {

Bytes unhex(std::string_view hex) {
    return hex_decode(hex).value();
}

/// The value written again with the writer; fails the test for a kind it does not know.
void write(Writer& writer, const Value& value) {
    switch (value.kind()) {
    case Kind::Unsigned:
        writer.unsigned_integer(*value.as_unsigned());
        return;
    case Kind::Negative:
        writer.integer(*value.as_integer());
        return;
    case Kind::Bytes:
        writer.bytes(*value.as_bytes());
        return;
    case Kind::Text:
        writer.text(*value.as_text());
        return;
    case Kind::Boolean:
        writer.boolean(*value.as_boolean());
        return;
    case Kind::Null:
        writer.null();
        return;
    case Kind::Array:
        writer.array(value.as_array()->size());
        for (const Value& element : *value.as_array())
            write(writer, element);
        return;
    case Kind::Map:
        writer.map(value.as_map()->size());
        for (const auto& [key, content] : *value.as_map()) {
            write(writer, key);
            write(writer, content);
        }
        return;
    case Kind::Tag:
        writer.tag(kTagCoseSign1);
        write(writer, *value.as_tagged());
        return;
    }
}

bool refused(std::string_view hex, const Limits& limits = {}) {
    const Bytes input = unhex(hex);
    const auto value = decode(input, limits);
    return !value && value.error().code == Errc::InvalidArgument;
}

// RFC 8949 appendix A, those that the subset has. Decoding and writing again must give the same
// bytes.
TEST(Cbor, ReadsAndWritesTheExamplesOfRfc8949) {
    for (const char* hex : {"00",
                            "01",
                            "0a",
                            "17",
                            "1818",
                            "1819",
                            "1864",
                            "1903e8",
                            "1a000f4240",
                            "1b000000e8d4a51000",
                            "1bffffffffffffffff",
                            "20",
                            "29",
                            "3863",
                            "3903e7",
                            "f4",
                            "f5",
                            "f6",
                            "40",
                            "4401020304",
                            "60",
                            "6161",
                            "6449455446",
                            "62225c",
                            "62c3bc",
                            "63e6b0b4",
                            "64f0908591",
                            "80",
                            "83010203",
                            "8301820203820405",
                            "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
                            "a0",
                            "a201020304",
                            "a26161016162820203",
                            "826161a161626163",
                            "a56161614161626142616361436164614461656145"}) {
        const Bytes input = unhex(hex);
        const auto value = decode(input);
        ASSERT_TRUE(value) << hex << ": " << value.error().detail;
        Writer writer;
        write(writer, *value);
        EXPECT_EQ(hex_encode(writer.view()), hex);
    }
}

// RFC 8949 appendix A, those that it has not: floats, undefined, simple values, other tags,
// indefinite lengths.
TEST(Cbor, RefusesTheRestOfRfc8949) {
    for (const char* hex : {"f90000",
                            "f93c00",
                            "fb3ff199999999999a",
                            "fa47c35000",
                            "f97e00",
                            "f7",
                            "f0",
                            "f8ff",
                            "c074323031332d30332d32315432303a30343a30305a",
                            "c11a514b67b0",
                            "c249010000000000000000",
                            "d74401020304",
                            "d818456449455446",
                            "5f42010243030405ff",
                            "7f657374726561646d696e67ff",
                            "9fff",
                            "9f018202039f0405ffff",
                            "83018202039f0405ff",
                            "bf61610161629f0203ffff",
                            "bf6346756ef563416d7421ff",
                            "826161bf61626163ff"})
        EXPECT_TRUE(refused(hex)) << hex;
}

TEST(Cbor, GivesEachKindItsContent) {
    Writer writer;
    writer.map(8);
    writer.text("unsigned").unsigned_integer(18446744073709551615u);
    writer.text("negative").integer(-35);
    writer.text("bytes").bytes(unhex("00ff"));
    writer.text("text").text("zürich");
    writer.text("yes").boolean(true);
    writer.text("null").null();
    writer.integer(-7).text("by integer");
    writer.integer(7).tag(kTagCoseSign1).array(1).encoded(unhex("20"));
    const Bytes input = std::move(writer).take();
    const auto map = decode(input);
    ASSERT_TRUE(map) << map.error().detail;
    EXPECT_EQ(map->as_map()->size(), 8u);
    EXPECT_FALSE(map->indefinite());

    EXPECT_EQ(map->find("unsigned")->as_unsigned(), 18446744073709551615u);
    EXPECT_EQ(map->find("unsigned")->as_integer(), std::nullopt);
    EXPECT_EQ(map->find("negative")->as_integer(), -35);
    EXPECT_EQ(map->find("negative")->as_unsigned(), std::nullopt);
    EXPECT_EQ(hex_encode(*map->find("bytes")->as_bytes()), "00ff");
    EXPECT_EQ(map->find("bytes")->as_text(), std::nullopt);
    EXPECT_EQ(map->find("text")->as_text(), "zürich");
    EXPECT_EQ(map->find("text")->as_bytes(), std::nullopt);
    EXPECT_EQ(map->find("yes")->as_boolean(), true);
    EXPECT_FALSE(map->find("yes")->is_null());
    EXPECT_TRUE(map->find("null")->is_null());
    EXPECT_EQ(map->find("null")->as_boolean(), std::nullopt);
    EXPECT_EQ(map->find(-7)->as_text(), "by integer");
    const Value* inner = map->find(7)->as_tagged();
    ASSERT_NE(inner, nullptr);
    ASSERT_NE(inner->as_array(), nullptr);
    EXPECT_EQ(inner->as_array()->front().as_integer(), -1);
    EXPECT_EQ(map->find("absent"), nullptr);
    EXPECT_EQ(map->find(8), nullptr);
    EXPECT_EQ(inner->find("absent"), nullptr);
    EXPECT_EQ(map->as_array(), nullptr);
    EXPECT_EQ(map->as_tagged(), nullptr);
    EXPECT_EQ(inner->as_map(), nullptr);
}

TEST(Cbor, WritesIntegersInTheirShortestForm) {
    const std::pair<std::int64_t, const char*> cases[] = {
        {0, "00"},
        {23, "17"},
        {24, "1818"},
        {255, "18ff"},
        {256, "190100"},
        {65535, "19ffff"},
        {65536, "1a00010000"},
        {4294967295, "1affffffff"},
        {4294967296, "1b0000000100000000"},
        {-1, "20"},
        {-24, "37"},
        {-25, "3818"},
        {-256, "38ff"},
        {-257, "390100"},
        {std::numeric_limits<std::int64_t>::min(), "3b7fffffffffffffff"}};
    for (const auto& [number, hex] : cases) {
        Writer writer;
        writer.integer(number);
        EXPECT_EQ(hex_encode(writer.view()), hex);
        const auto value = decode(writer.view());
        ASSERT_TRUE(value);
        EXPECT_EQ(value->as_integer(), number);
    }
    // -2^64 is CBOR, but no int64.
    const Bytes lowest = unhex("3bffffffffffffffff");
    const auto value = decode(lowest);
    ASSERT_TRUE(value);
    EXPECT_EQ(value->kind(), Kind::Negative);
    EXPECT_EQ(value->as_integer(), std::nullopt);
}

TEST(Cbor, RefusesLongerFormsThanNeeded) {
    for (const char* hex :
         {"1800",   "1817",     "190017",     "1900ff",   "1a0000ffff", "1b00000000ffffffff",
          "3817",   "5801ff",   "580000",     "590001ff", "780161",     "9800",
          "980100", "b80100f6", "b90001f600", "d81280",   "1c",         "1d",
          "1e",     "1f",       "3f",         "5c",       "9d",         "bd",
          "df",     "fc"})
        EXPECT_TRUE(refused(hex)) << hex;
}

TEST(Cbor, ConsumesTheWholeInput) {
    EXPECT_TRUE(refused(""));
    EXPECT_TRUE(refused("0000"));
    EXPECT_TRUE(refused("a0f6"));
    EXPECT_TRUE(refused("80ff"));
    EXPECT_TRUE(refused("ff"));
    // Every true prefix of an item is no item.
    const Bytes input = unhex("d28443a1012aa04801020304050607085820" + std::string(64, '0'));
    ASSERT_TRUE(decode(input));
    for (std::size_t size = 0; size < input.size(); ++size)
        EXPECT_FALSE(decode(ByteView(input).first(size))) << size;
}

TEST(Cbor, RefusesDuplicateAndOddMapKeys) {
    EXPECT_TRUE(refused("a201020103"));     // 1 twice
    EXPECT_TRUE(refused("a2616101616102")); // "a" twice
    EXPECT_TRUE(refused("a2416101416102")); // h'61' twice
    EXPECT_TRUE(refused("a220002000"));     // -1 twice
    EXPECT_TRUE(refused("a18000"));         // array as key
    EXPECT_TRUE(refused("a1a000"));         // map as key
    EXPECT_TRUE(refused("a1f500"));         // boolean as key
    EXPECT_TRUE(refused("a1f600"));         // null as key
    EXPECT_TRUE(refused("a1d28000"));       // tag as key
    // Equal content of different kinds is no duplicate.
    EXPECT_FALSE(refused("a400002000616100416100"));
}

TEST(Cbor, RefusesTextThatIsNotUtf8) {
    for (const char* hex :
         {"61ff", "6180", "62c080", "62c1bf", "62c3", "63e08080", "63eda080", "63edbfbf",
          "64f0808080", "64f4908080", "64f5808080", "62e6b0", "63e6b041"})
        EXPECT_TRUE(refused(hex)) << hex;
    for (const char* hex :
         {"6161", "62c280", "63e0a080", "63ed9fbf", "63ee8080", "64f0908080", "64f48fbfbf"})
        EXPECT_FALSE(refused(hex)) << hex;
}

TEST(Cbor, AcceptsIndefiniteLengthOnlyForTheOutermostMap) {
    const Limits open = {.indefinite = Indefinite::OutermostMap};
    const Bytes input = unhex("bf616101616202ff");
    EXPECT_TRUE(refused("bf616101616202ff"));
    const auto map = decode(input, open);
    ASSERT_TRUE(map) << map.error().detail;
    EXPECT_TRUE(map->indefinite());
    EXPECT_EQ(map->as_map()->size(), 2u);
    EXPECT_EQ(map->find("b")->as_unsigned(), 2u);
    EXPECT_FALSE(refused("bfff", open));
    EXPECT_FALSE(refused("a0", open));

    EXPECT_TRUE(refused("bf", open));
    EXPECT_TRUE(refused("bf6161", open));
    EXPECT_TRUE(refused("bf6161ff", open));         // key without value
    EXPECT_TRUE(refused("bf616101", open));         // no break
    EXPECT_TRUE(refused("bf616101ffff", open));     // two breaks
    EXPECT_TRUE(refused("bf616101616101ff", open)); // duplicate key
    EXPECT_TRUE(refused("bf6161bfffff", open));     // inner indefinite map
    EXPECT_TRUE(refused("bf61619fffff", open));     // inner indefinite array
    EXPECT_TRUE(refused("bf61615f4100ffff", open)); // inner indefinite string
    EXPECT_TRUE(refused("81bfff", open));
    EXPECT_TRUE(refused("d2bfff", open));
    EXPECT_TRUE(refused("9fff", open));
}

TEST(Cbor, HoldsItsLimits) {
    EXPECT_FALSE(refused("8181818100", {.max_depth = 4}));
    EXPECT_TRUE(refused("818181818100", {.max_depth = 4}));
    EXPECT_TRUE(refused("81818181d200", {.max_depth = 4}));
    EXPECT_TRUE(refused("81818181a0", {.max_depth = 4}));
    EXPECT_FALSE(refused("83000000", {.max_items = 4}));
    EXPECT_TRUE(refused("8400000000", {.max_items = 4}));
    EXPECT_TRUE(refused("a200000100", {.max_items = 4}));
    EXPECT_TRUE(
        refused("bf0000010002000300ff", {.max_items = 8, .indefinite = Indefinite::OutermostMap}));
    EXPECT_FALSE(refused("4400000000", {.max_size = 5}));
    EXPECT_TRUE(refused("450000000000", {.max_size = 5}));
    // Ten thousand arrays inside each other must not reach the end of the stack.
    const Bytes deep(10000, 0x81);
    EXPECT_FALSE(decode(deep));
}

// A count or length that the input cannot hold must be refused before anything is reserved for it.
TEST(Cbor, RefusesCountsThatTheInputCannotHold) {
    const Limits wide = {.max_items = std::size_t{1} << 62};
    for (const char* hex :
         {"9bffffffffffffffff", "9b7fffffffffffffff00", "bbffffffffffffffff", "bb8000000000000000",
          "bb7fffffffffffffff0000", "5bffffffffffffffff", "7bffffffffffffffff",
          "5b7fffffffffffffff00", "9a00ffffff00", "ba00ffffff0000", "5affffffff00"})
        EXPECT_TRUE(refused(hex, wide)) << hex;
}

} // namespace
} // namespace keymeld::cbor
