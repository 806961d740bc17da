#include "core/attestation/trust_anchor.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "tests/unit/attestation/forge.h"

namespace keymeld::attestation::test {
namespace {

void expect_invalid(std::string_view pem) {
    const auto anchor = TrustAnchor::from_pem(pem);
    ASSERT_FALSE(anchor);
    EXPECT_EQ(anchor.error().code, Errc::ConfigInvalid);
}

TEST(TrustAnchor, AwsIsThePublishedFingerprint) {
    const TrustAnchor aws = TrustAnchor::aws();
    EXPECT_TRUE(aws.is_hardware());
    EXPECT_EQ(aws.name(), "aws");
    EXPECT_EQ(hex_encode(aws.fingerprint()),
              "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b");
}

TEST(TrustAnchor, ReadsASimulatorRoot) {
    const TempDir directory;
    const Forge forge = Forge::make();
    const auto path = directory.write("root.pem", certificate_pem(forge.root));
    for (const auto& anchor :
         {TrustAnchor::from_pem_file(path), TrustAnchor::from_config("root.pem", directory.path()),
          TrustAnchor::from_config(path.string(), "/nowhere")}) {
        ASSERT_TRUE(anchor) << anchor.error().detail;
        EXPECT_FALSE(anchor->is_hardware());
        EXPECT_TRUE(anchor->is(forge.root));
        EXPECT_FALSE(anchor->is(Forge::make().root));
        EXPECT_FALSE(anchor->is(forge.document().cabundle[1]));
        EXPECT_FALSE(anchor->is({}));
        EXPECT_EQ(anchor->name(), "simulator " + hex_encode(anchor->fingerprint()).substr(0, 16));
        EXPECT_FALSE(TrustAnchor::aws().is(forge.root));
    }
    const auto aws = TrustAnchor::from_config("aws", directory.path());
    ASSERT_TRUE(aws);
    EXPECT_TRUE(aws->is_hardware());
}

TEST(TrustAnchor, RefusesFilesThatAreNotOneRoot) {
    const Forge forge = Forge::make();
    const std::string good = certificate_pem(forge.root);
    expect_invalid("");
    expect_invalid("aws");
    expect_invalid(good.substr(0, good.size() / 2));
    expect_invalid(good + good);
    expect_invalid(certificate_pem(forge.document().cabundle[1]));
    expect_invalid(certificate_pem(forge.document().certificate));
    expect_invalid(std::string(20'000, '\n') + good);
    std::string damaged = good;
    damaged[damaged.size() / 2] = damaged[damaged.size() / 2] == 'A' ? 'B' : 'A';
    expect_invalid(damaged);

    const TempDir directory;
    const auto missing = TrustAnchor::from_pem_file(directory.path() / "missing.pem");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::Io);
    const auto path = directory.write("empty.pem", "");
    const auto empty = TrustAnchor::from_pem_file(path);
    ASSERT_FALSE(empty);
    EXPECT_TRUE(empty.error().detail.starts_with(path.string())) << empty.error().detail;
}

} // namespace
} // namespace keymeld::attestation::test
