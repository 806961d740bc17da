#include "core/session/status.h"

#include <string>

#include <gtest/gtest.h>

namespace keymeld::session {
namespace {

TEST(Status, HasExactlyTheStringsOfTheSpecificationInItsOrder) {
    const char* const names[] = {"collecting_participants", "session_full", "generating_nonces", "collecting_nonces",
                                 "aggregating_nonces", "generating_partial_signatures", "collecting_partial_signatures",
                                 "finalizing_signature", "completed", "failed"};
    int position = 0;
    for (const char* const name : names) {
        const auto parsed = parse_signing_status(name);
        ASSERT_TRUE(parsed.has_value()) << name;
        EXPECT_EQ(static_cast<int>(*parsed), position++);
        EXPECT_EQ(text(*parsed), name);
        EXPECT_EQ(is_terminal(*parsed), std::string(name) == "completed" || std::string(name) == "failed");
    }
    EXPECT_FALSE(parse_signing_status("Completed").has_value());
    EXPECT_FALSE(parse_signing_status("").has_value());
}

TEST(Status, RoundTripsTheOthers) {
    for (const auto status : {KeygenStatus::CollectingParticipants, KeygenStatus::Completed, KeygenStatus::Failed})
        EXPECT_EQ(parse_keygen_status(text(status)).value(), status);
    for (const auto type : {FailureType::Expired, FailureType::Rejected, FailureType::EnclaveUnavailable,
                            FailureType::EnclaveStateLost, FailureType::ProtocolError, FailureType::Internal})
        EXPECT_EQ(parse_failure_type(text(type)).value(), type);
    for (const auto policy : {ApprovalPolicy::None, ApprovalPolicy::Header, ApprovalPolicy::Bound})
        EXPECT_EQ(parse_approval_policy(text(policy)).value(), policy);
    EXPECT_FALSE(parse_keygen_status("session_full").has_value());
    EXPECT_FALSE(parse_failure_type("error").has_value());
    EXPECT_FALSE(parse_approval_policy("always").has_value());
}

} // namespace
} // namespace keymeld::session
