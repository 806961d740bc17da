#include "core/attestation/pcr.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "tests/unit/attestation/forge.h"

namespace keymeld::attestation::test {
namespace {

TEST(Pcr, IndexIsBelow32) {
    EXPECT_TRUE(PcrIndex::make(0));
    EXPECT_EQ(PcrIndex::make(31)->number(), 31);
    EXPECT_FALSE(PcrIndex::make(32));
    EXPECT_FALSE(PcrIndex::make(256));
    EXPECT_FALSE(PcrIndex::make(1ull << 32));
}

TEST(Pcr, IndexHasOneName) {
    for (std::uint64_t i = 0; i < PcrIndex::kCount; ++i) {
        const PcrIndex index = PcrIndex::make(i).value();
        EXPECT_EQ(index.name(), "PCR" + std::to_string(i));
        const auto parsed = PcrIndex::parse(index.name());
        ASSERT_TRUE(parsed);
        EXPECT_EQ(*parsed, index);
    }
    for (const char* name : {"", "PCR", "pcr0", "PCR00", "PCR01", "PCR32", "PCR-1", "PCR+1",
                             "PCR1 ", " PCR1", "PCR1x", "PCR4294967296", "1", "PCR0x1"})
        EXPECT_FALSE(PcrIndex::parse(name)) << name;
}

// SHA-384 of 48 zero bytes and SHA-384(""): what a Nitro image without application ramdisks has in
// PCR2.
TEST(Pcr, ExtendsAsTheHypervisorDoes) {
    const std::string pcr2 = hex_encode(extend_pcr(PcrValue{}, crypto::sha384(ByteView{})));
    EXPECT_EQ(pcr2.substr(0, 12), "21b9efbc1848");
    EXPECT_EQ(pcr2.substr(pcr2.size() - 7), "4fc500a");
}

TEST(Pcr, MeasuresAFile) {
    const TempDir directory;
    const auto path = directory.write("program", std::string(200'000, 'x'));
    const auto digest = sha384_file(path);
    ASSERT_TRUE(digest);
    EXPECT_EQ(*digest, crypto::sha384(as_bytes(std::string(200'000, 'x'))));
    const auto pcrs = measure_executable(path);
    ASSERT_TRUE(pcrs);
    EXPECT_EQ(pcrs->size(), 3u);
    for (const auto& [index, value] : *pcrs)
        EXPECT_EQ(value, extend_pcr(PcrValue{}, *digest)) << index.name();
    const auto other = measure_executable(directory.write("other", "program"));
    ASSERT_TRUE(other);
    EXPECT_NE(*other, *pcrs);

    EXPECT_EQ(*sha384_file(directory.write("empty", "")), crypto::sha384(ByteView{}));
    EXPECT_EQ(*sha384_file(directory.write("full", std::string(65536, 'y'))),
              crypto::sha384(as_bytes(std::string(65536, 'y'))));
    const auto missing = sha384_file(directory.path() / "missing");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::Io);
    EXPECT_FALSE(sha384_file(directory.path()));
}

TEST(Pcr, GivesTheTextsOfRestAnswers) {
    const auto texts =
        pcr_texts({{PcrIndex::of<0>(), filled(0xab)}, {PcrIndex::of<10>(), filled(0)}});
    EXPECT_EQ(texts.size(), 2u);
    std::string repeated;
    for (int i = 0; i < 48; ++i)
        repeated += "ab";
    EXPECT_EQ(texts.at("PCR0"), repeated);
    EXPECT_EQ(texts.at("PCR10"), std::string(96, '0'));
    EXPECT_TRUE(is_zero(filled(0)));
    EXPECT_FALSE(is_zero(filled(1)));
}

} // namespace
} // namespace keymeld::attestation::test
