#include "core/musig/contribution.h"

#include <gtest/gtest.h>

namespace keymeld::musig {
namespace {

TEST(InvalidContribution, IsReadBackFromTheError) {
    for (const Contribution what : {Contribution::PubKey, Contribution::PubNonce,
                                    Contribution::AggNonce, Contribution::PartialSig}) {
        const InvalidContribution blame{SignerIndex{17}, what};
        const Error error = contribution_error(blame);
        EXPECT_EQ(error.code, Errc::ContributionInvalid);
        EXPECT_NE(error.detail.find("17"), std::string::npos);
        EXPECT_EQ(blamed(error), blame);
    }
}

TEST(InvalidContribution, OtherErrorsBlameNobody) {
    EXPECT_FALSE(blamed(Error(Errc::ContributionInvalid, "no facts")));
    EXPECT_FALSE(blamed(
        Error(Errc::Internal, "x").with("musig_signer", "1").with("musig_contribution", "pubkey")));
    EXPECT_FALSE(blamed(Error(Errc::ContributionInvalid, "x")
                            .with("musig_signer", "1x")
                            .with("musig_contribution", "pubkey")));
    EXPECT_FALSE(blamed(Error(Errc::ContributionInvalid, "x")
                            .with("musig_signer", "1")
                            .with("musig_contribution", "other")));
}

} // namespace
} // namespace keymeld::musig
