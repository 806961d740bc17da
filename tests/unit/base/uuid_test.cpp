#include "core/base/uuid.h"

#include <unordered_set>

#include <gtest/gtest.h>

namespace keymeld {
namespace {

constexpr std::string_view kCanonical = "019a88a3-b765-70f3-8e8d-4311ecac8aa3";

TEST(Uuid, ReadsEveryFormOfTheSpecification) {
    const Uuid uuid = Uuid::parse(kCanonical).value();
    EXPECT_EQ(uuid.text(), kCanonical);
    for (const std::string_view form :
         {"019A88A3-B765-70F3-8E8D-4311ECAC8AA3", "019a88a3b76570f38e8d4311ecac8aa3",
          "019A88A3B76570F38E8D4311ECAC8AA3", "{019a88a3-b765-70f3-8e8d-4311ecac8aa3}",
          "urn:uuid:019a88a3-b765-70f3-8e8d-4311ecac8aa3",
          "URN:UUID:019A88A3-B765-70F3-8E8D-4311ECAC8AA3"}) {
        const auto parsed = Uuid::parse(form);
        ASSERT_TRUE(parsed) << form;
        EXPECT_EQ(*parsed, uuid) << form;
        EXPECT_FALSE(Uuid::parse_canonical(form)) << form;
    }
    EXPECT_EQ(Uuid::parse_canonical(kCanonical).value(), uuid);
}

TEST(Uuid, RefusesEverythingElse) {
    for (const std::string_view wrong :
         {"", "019a88a3-b765-70f3-8e8d-4311ecac8aa", "019a88a3-b765-70f3-8e8d-4311ecac8aa33",
          "019a88a3-b765-70f38e8d-4311ecac8aa3", "019a88a3-b76570f3-8e8d-4311-ecac8aa3",
          "019a88a3_b765_70f3_8e8d_4311ecac8aa3", "019a88a3-b765-70f3-8e8d-4311ecac8aag",
          "{019a88a3-b765-70f3-8e8d-4311ecac8aa3", "(019a88a3-b765-70f3-8e8d-4311ecac8aa3)",
          "{019a88a3b76570f38e8d4311ecac8aa3}", "urn:uuid:019a88a3b76570f38e8d4311ecac8aa3",
          "urn:uuid:{019a88a3-b765-70f3-8e8d-4311ecac8aa3}",
          " 019a88a3-b765-70f3-8e8d-4311ecac8aa3", "-019a88a3b76570f38e8d4311ecac8aa",
          "019a88a3-b765-70f3-8e8d-4311ecac8a-3"}) {
        const auto parsed = Uuid::parse(wrong);
        ASSERT_FALSE(parsed) << wrong;
        EXPECT_EQ(parsed.error().code, Errc::InvalidArgument);
    }
}

TEST(Uuid, TakesExactlySixteenBytes) {
    EXPECT_TRUE(Uuid::from_bytes(Bytes(16)));
    EXPECT_FALSE(Uuid::from_bytes(Bytes(15)));
    EXPECT_FALSE(Uuid::from_bytes(Bytes(17)));
}

TEST(Uuid, OrdersByRawBytes) {
    const Uuid low = Uuid::parse("00000000-0000-0000-0000-0000000000ff").value();
    const Uuid high = Uuid::parse("80000000-0000-0000-0000-000000000000").value();
    EXPECT_LT(low, high);
}

TEST(Uuid, Version7CarriesTimeVersionAndVariant) {
    ByteArray<10> random;
    random.fill(0xff);
    EXPECT_EQ(Uuid::make_v7(0x0192'3456'789a, random).text(),
              "01923456-789a-7fff-bfff-ffffffffffff");
    random.fill(0x00);
    EXPECT_EQ(Uuid::make_v7(0xffff'ffff'ffff, random).text(),
              "ffffffff-ffff-7000-8000-000000000000");
}

TEST(Uuid, HashSeparatesIdsThatDifferInOneByte) {
    std::unordered_set<std::size_t> hashes;
    for (std::size_t at = 0; at < 16; ++at) {
        for (int value = 1; value < 256; ++value) {
            Uuid uuid;
            uuid.bytes[at] = static_cast<std::uint8_t>(value);
            hashes.insert(std::hash<Uuid>{}(uuid));
        }
    }
    EXPECT_EQ(hashes.size(), 16u * 255u);
}

static_assert(!std::is_convertible_v<KeygenId, SigningId> && !std::is_convertible_v<Uuid, UserId>,
              "one kind of id must not pass for another");

} // namespace
} // namespace keymeld
