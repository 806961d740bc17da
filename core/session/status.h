// States and failure types of sessions as REST clients see them (rest-v1.md section 6). No other string may ever be added in v1.
#pragma once

#include <string_view>

#include "core/base/result.h"

namespace keymeld::session {

enum class KeygenStatus { CollectingParticipants, Completed, Failed };

/// In the order of the specification; a session never moves backwards in it.
enum class SigningStatus {
    CollectingParticipants,
    SessionFull,
    GeneratingNonces,
    CollectingNonces,
    AggregatingNonces,
    GeneratingPartialSignatures,
    CollectingPartialSignatures,
    FinalizingSignature,
    Completed,
    Failed,
};

enum class FailureType { Expired, Rejected, EnclaveUnavailable, EnclaveStateLost, ProtocolError, Internal };

enum class ApprovalPolicy { None, Header, Bound };

/// The string of the specification. [any-thread]
std::string_view text(KeygenStatus status);
std::string_view text(SigningStatus status);
std::string_view text(FailureType type);
std::string_view text(ApprovalPolicy policy);

/// The inverse; InvalidArgument for any other text.
Result<KeygenStatus> parse_keygen_status(std::string_view text);
Result<SigningStatus> parse_signing_status(std::string_view text);
Result<FailureType> parse_failure_type(std::string_view text);
Result<ApprovalPolicy> parse_approval_policy(std::string_view text);

constexpr bool is_terminal(KeygenStatus status) { return status != KeygenStatus::CollectingParticipants; }
constexpr bool is_terminal(SigningStatus status) {
    return status == SigningStatus::Completed || status == SigningStatus::Failed;
}

} // namespace keymeld::session
