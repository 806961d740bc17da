#include "core/attestation/pcr_policy.h"

#include <gtest/gtest.h>

#include "tests/unit/attestation/forge.h"

namespace keymeld::attestation::test {
namespace {

const std::string kOnes(96, '1');
const std::string kTwos(96, '2');
const std::string kZeros(96, '0');

std::string list(const std::string& entries) {
    return "{\"allowed\":[" + entries + "]}";
}
std::string entry(const std::string& members) {
    return "{\"name\":\"image\"," + members + "}";
}
std::string pcr(int number, const std::string& hex) {
    return "\"PCR" + std::to_string(number) + "\":\"" + hex + "\"";
}

void expect_invalid_policy(const std::string& json) {
    const auto policy = PcrPolicy::parse(json);
    ASSERT_FALSE(policy) << json;
    EXPECT_EQ(policy.error().code, Errc::ConfigInvalid) << json;
}

TEST(PcrPolicy, ReadsAList) {
    const auto policy = PcrPolicy::parse(
        " {\n \"allowed\" : [ " + entry(pcr(0, kOnes) + " ,\n" + pcr(8, std::string(96, 'A'))) +
        "\t, {\"PCR1\":\"" + kOnes + "\",\"name\":\"a \\\"b\\\" \\\\ \\/ ü\",\"PCR2\":\"" + kTwos +
        "\"} ]\r\n}\n");
    ASSERT_TRUE(policy) << policy.error().detail;
    ASSERT_EQ(policy->entries().size(), 2u);
    EXPECT_EQ(policy->entries()[0].name, "image");
    EXPECT_EQ(policy->entries()[0].required,
              (PcrSet{{PcrIndex::of<0>(), filled(0x11)}, {PcrIndex::of<8>(), filled(0xaa)}}));
    EXPECT_EQ(policy->entries()[1].name, "a \"b\" \\ / ü");
    EXPECT_EQ(policy->entries()[1].required,
              (PcrSet{{PcrIndex::of<1>(), filled(0x11)}, {PcrIndex::of<2>(), filled(0x22)}}));

    const auto again = PcrPolicy::parse(policy->to_json());
    ASSERT_TRUE(again) << again.error().detail << "\n" << policy->to_json();
    EXPECT_EQ(again->to_json(), policy->to_json());
    EXPECT_EQ(again->entries()[1].name, policy->entries()[1].name);
}

TEST(PcrPolicy, MatchesWholeEntriesOnly) {
    const auto policy =
        PcrPolicy::parse(list("{\"name\":\"one\"," + pcr(0, kOnes) + "," + pcr(8, kTwos) +
                              "},{\"name\":\"two\"," + pcr(1, kOnes) + "," + pcr(2, kTwos) + "}"))
            .value();
    const PcrIndex pcr0 = PcrIndex::of<0>();
    const PcrIndex pcr1 = PcrIndex::of<1>();
    const PcrIndex pcr2 = PcrIndex::of<2>();
    const PcrIndex pcr8 = PcrIndex::of<8>();
    const PcrValue one = filled(0x11);
    const PcrValue two = filled(0x22);
    const auto name = [&](const PcrSet& pcrs) {
        const auto* match = policy.match(pcrs);
        return match ? match->name : std::string("none");
    };
    EXPECT_EQ(name({{pcr0, one}, {pcr8, two}}), "one");
    EXPECT_EQ(name({{pcr0, one}, {pcr8, one}}), "none");
    EXPECT_EQ(name({{pcr0, one}}), "none");
    EXPECT_EQ(name({{pcr0, two}, {pcr1, one}, {pcr2, two}}), "two");
    EXPECT_EQ(name({{pcr0, two}, {pcr1, one}, {pcr2, one}}), "none");
    EXPECT_EQ(name({{pcr0, two}, {pcr1, one}}), "none");
    EXPECT_EQ(name({{pcr1, one}, {pcr2, two}}), "none");                    // no PCR0
    EXPECT_EQ(name({{pcr0, filled(0)}, {pcr1, one}, {pcr2, two}}), "none"); // debug mode
    EXPECT_EQ(name({}), "none");
}

TEST(PcrPolicy, RefusesListsThatAllowTooMuchOrNothing) {
    expect_invalid_policy(list(""));
    expect_invalid_policy(list(entry(pcr(1, kOnes))));
    expect_invalid_policy(list(entry(pcr(2, kOnes))));
    expect_invalid_policy(list(entry(pcr(8, kOnes))));
    expect_invalid_policy(list("{\"name\":\"image\"}"));
    expect_invalid_policy(list("{" + pcr(0, kOnes) + "}"));
    expect_invalid_policy(list("{\"name\":\"\"," + pcr(0, kOnes) + "}"));
    expect_invalid_policy(list("{\"name\":\"" + std::string(129, 'n') + "\"," + pcr(0, kOnes) + "}"));
    for (const int number : {0, 1, 2})
        expect_invalid_policy(list(entry(pcr(0, number == 0 ? kZeros : kOnes) + "," +
                                  pcr(1, number == 1 ? kZeros : kOnes) + "," +
                                  pcr(2, number == 2 ? kZeros : kOnes))));
    // Zero is what an unsigned image has in PCR8, and may be asked for.
    EXPECT_TRUE(PcrPolicy::parse(list(entry(pcr(0, kOnes) + "," + pcr(8, kZeros)))));
    EXPECT_FALSE(PcrPolicy::make({}));
    EXPECT_FALSE(
        PcrPolicy::make({{.name = "line\nbreak", .required = {{PcrIndex::of<0>(), filled(1)}}}}));
}

TEST(PcrPolicy, RefusesOtherJson) {
    const std::string good = entry(pcr(0, kOnes));
    ASSERT_TRUE(PcrPolicy::parse(list(good)));
    for (const std::string& json :
         std::vector<std::string>{"",
                                  "{}",
                                  "[]",
                                  "null",
                                  "{\"allowed\":null}",
                                  "{\"allowed\":{}}",
                                  "{\"Allowed\":[" + good + "]}",
                                  "{\"allowed\":[" + good + "],\"more\":[]}",
                                  "{\"allowed\":[" + good + "],\"allowed\":[" + good + "]}",
                                  list(good) + "x",
                                  list(good + ","),
                                  list("," + good),
                                  "{\"allowed\":[" + good,
                                  list(good).substr(1),
                                  list("{}"),
                                  list("{" + good + "}"),
                                  list(entry(pcr(32, kOnes))),
                                  list(entry(pcr(0, kOnes) + ",\"PCR00\":\"" + kOnes + "\"")),
                                  list(entry(pcr(0, kOnes) + "," + pcr(0, kOnes))),
                                  list(entry(pcr(0, kOnes) + ",\"name\":\"twice\"")),
                                  list(entry(pcr(0, kOnes) + ",\"comment\":\"\"")),
                                  list(entry(pcr(0, kOnes.substr(1)))),
                                  list(entry(pcr(0, kOnes + "11"))),
                                  list(entry(pcr(0, "x" + kOnes.substr(1)))),
                                  list(entry("\"PCR0\":null")),
                                  list(entry("\"PCR0\":11")),
                                  list(entry(pcr(0, kOnes) + ",")),
                                  list("{\"name\":\"a\nb\"," + pcr(0, kOnes) + "}"),
                                  list("{\"name\":\"\\u0041\"," + pcr(0, kOnes) + "}"),
                                  list("{\"name\":\"\\"),
                                  list("{\"name\":\"a"),
                                  "\xef\xbb\xbf" + list(good)})
        expect_invalid_policy(json);
    std::string many = good;
    for (std::size_t i = 1; i < PcrPolicy::kMaxEntries; ++i)
        many += "," + good;
    EXPECT_TRUE(PcrPolicy::parse(list(many)));
    expect_invalid_policy(list(many + "," + good));
    expect_invalid_policy(list(good) + std::string(PcrPolicy::kMaxFile, ' '));
}

TEST(PcrPolicy, SaysWhereAFileIsWrong) {
    const TempDir directory;
    const auto path = directory.write("pcrs.json", "{\"allowed\":\n  [{\"nme\":\"x\"}]}");
    const auto policy = PcrPolicy::from_file(path);
    ASSERT_FALSE(policy);
    EXPECT_EQ(policy.error().code, Errc::ConfigInvalid);
    EXPECT_TRUE(policy.error().detail.starts_with(path.string() + ": ")) << policy.error().detail;
    EXPECT_NE(policy.error().detail.find("line 2, column 14"), std::string::npos)
        << policy.error().detail;
    EXPECT_TRUE(PcrPolicy::from_file(directory.write("good.json", list(entry(pcr(0, kOnes))))));
    const auto missing = PcrPolicy::from_file(directory.path() / "missing.json");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::Io);
    EXPECT_FALSE(PcrPolicy::from_file(directory.path()));
}

} // namespace
} // namespace keymeld::attestation::test
