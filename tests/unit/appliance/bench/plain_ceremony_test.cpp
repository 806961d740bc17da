#include "appliance/bench/plain_ceremony.h"

#include <gtest/gtest.h>

namespace keymeld::bench {
namespace {

TEST(PlainCeremony, EachSharingSavesWork) {
    // Ten signers: nine nonce processings and the aggregation are each a third of the whole, far above the noise of the least of five.
    const auto cost = measure_plain_ceremony(10, 20, 5);
    ASSERT_TRUE(cost);
    EXPECT_GT(cost->shared_us, 10);
    EXPECT_GT(cost->ceremony_us, cost->shared_us);
    EXPECT_GT(cost->uncached_us, cost->ceremony_us);
    EXPECT_EQ(cost->rounds, 20u);
}

TEST(PlainCeremony, RefusesWhatIsNoCeremony) {
    for (const unsigned signers : {0u, 1u, 1001u})
        EXPECT_EQ(measure_plain_ceremony(signers).error().code, Errc::InvalidArgument);
    EXPECT_EQ(measure_plain_ceremony(3, 0).error().code, Errc::InvalidArgument);
}

TEST(PlainSignature, CostsLessThanACeremony) {
    const auto signature = measure_plain_signature(50, 5);
    ASSERT_TRUE(signature);
    EXPECT_GT(signature->schnorr_us, 1);
    EXPECT_GT(signature->ecdsa_us, 1);
    const auto ceremony = measure_plain_ceremony(10, 20, 5); // ten nonce pairs and a verification
    ASSERT_TRUE(ceremony);
    EXPECT_LT(signature->schnorr_us, ceremony->shared_us);
    EXPECT_LT(signature->ecdsa_us, ceremony->shared_us);
    EXPECT_EQ(measure_plain_signature(0).error().code, Errc::InvalidArgument);
}

} // namespace
} // namespace keymeld::bench
