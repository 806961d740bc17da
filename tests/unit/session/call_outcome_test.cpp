#include "core/session/call_outcome.h"

#include <gtest/gtest.h>

namespace keymeld::session {
namespace {

TEST(CallOutcome, TellsDoubtFromLossFromMisbehaviourFromRefusal) {
    using enum CallOutcome;
    for (const Errc code : {Errc::Disconnected, Errc::DeadlineExceeded, Errc::Overloaded, Errc::PeerUnknown, Errc::StateUnknown})
        EXPECT_EQ(classify(code), NoAnswer) << errc_name(code);
    for (const Errc code : {Errc::AttemptVoid, Errc::NonceConsumed})
        EXPECT_EQ(classify(code), Void) << errc_name(code);
    for (const Errc code : {Errc::SealBroken, Errc::StateRolledBack})
        EXPECT_EQ(classify(code), StateLost) << errc_name(code);
    for (const Errc code : {Errc::ContributionInvalid, Errc::RosterMismatch, Errc::AggregateAtInfinity})
        EXPECT_EQ(classify(code), Misbehaved) << errc_name(code);
    for (const Errc code : {Errc::AuthFailed, Errc::QuotaExceeded, Errc::MessageMismatch, Errc::WrongEnclave, Errc::WrongState})
        EXPECT_EQ(classify(code), Refused) << errc_name(code);
}

TEST(CallOutcome, NamesTheFailure) {
    EXPECT_EQ(failure_type_of(Errc::Disconnected), FailureType::EnclaveUnavailable);
    EXPECT_EQ(failure_type_of(Errc::AttemptVoid), FailureType::EnclaveUnavailable);
    EXPECT_EQ(failure_type_of(Errc::SealBroken), FailureType::EnclaveStateLost);
    EXPECT_EQ(failure_type_of(Errc::ContributionInvalid), FailureType::ProtocolError);
    EXPECT_EQ(failure_type_of(Errc::ApprovalExpired), FailureType::Expired);
    EXPECT_EQ(failure_type_of(Errc::WrongState), FailureType::Rejected);
    EXPECT_EQ(failure_type_of(Errc::Internal), FailureType::Internal);
}

TEST(CallOutcome, WaitsLongerEachTimeUpToALimit) {
    EXPECT_EQ(retry_delay_ms(1), 50u);
    EXPECT_EQ(retry_delay_ms(2), 100u);
    EXPECT_EQ(retry_delay_ms(5), 800u);
    EXPECT_EQ(retry_delay_ms(6), 1600u);
    EXPECT_EQ(retry_delay_ms(7), 2000u);
    EXPECT_EQ(retry_delay_ms(100), 2000u);
}

} // namespace
} // namespace keymeld::session
