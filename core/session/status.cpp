#include "core/session/status.h"

#include <array>

namespace keymeld::session {
namespace {

template <class E, std::size_t N>
Result<E> parse(std::string_view given, const std::array<E, N>& all, std::string_view what) {
    for (const E value : all)
        if (text(value) == given)
            return value;
    return fail(Errc::InvalidArgument, "unknown " + std::string(what));
}

} // namespace

std::string_view text(KeygenStatus status) {
    switch (status) {
    case KeygenStatus::CollectingParticipants: return "collecting_participants";
    case KeygenStatus::Completed: return "completed";
    case KeygenStatus::Failed: return "failed";
    }
    return "failed";
}

std::string_view text(SigningStatus status) {
    switch (status) {
    case SigningStatus::CollectingParticipants: return "collecting_participants";
    case SigningStatus::SessionFull: return "session_full";
    case SigningStatus::GeneratingNonces: return "generating_nonces";
    case SigningStatus::CollectingNonces: return "collecting_nonces";
    case SigningStatus::AggregatingNonces: return "aggregating_nonces";
    case SigningStatus::GeneratingPartialSignatures: return "generating_partial_signatures";
    case SigningStatus::CollectingPartialSignatures: return "collecting_partial_signatures";
    case SigningStatus::FinalizingSignature: return "finalizing_signature";
    case SigningStatus::Completed: return "completed";
    case SigningStatus::Failed: return "failed";
    }
    return "failed";
}

std::string_view text(FailureType type) {
    switch (type) {
    case FailureType::Expired: return "expired";
    case FailureType::Rejected: return "rejected";
    case FailureType::EnclaveUnavailable: return "enclave_unavailable";
    case FailureType::EnclaveStateLost: return "enclave_state_lost";
    case FailureType::ProtocolError: return "protocol_error";
    case FailureType::Internal: return "internal";
    }
    return "internal";
}

std::string_view text(ApprovalPolicy policy) {
    switch (policy) {
    case ApprovalPolicy::None: return "none";
    case ApprovalPolicy::Header: return "header";
    case ApprovalPolicy::Bound: return "bound";
    }
    return "bound";
}

Result<KeygenStatus> parse_keygen_status(std::string_view given) {
    return parse(given, std::array{KeygenStatus::CollectingParticipants, KeygenStatus::Completed, KeygenStatus::Failed},
                 "keygen status");
}

Result<SigningStatus> parse_signing_status(std::string_view given) {
    using enum SigningStatus;
    return parse(given,
                 std::array{CollectingParticipants, SessionFull, GeneratingNonces, CollectingNonces, AggregatingNonces,
                            GeneratingPartialSignatures, CollectingPartialSignatures, FinalizingSignature, Completed, Failed},
                 "signing status");
}

Result<FailureType> parse_failure_type(std::string_view given) {
    using enum FailureType;
    return parse(given, std::array{Expired, Rejected, EnclaveUnavailable, EnclaveStateLost, ProtocolError, Internal},
                 "failure type");
}

Result<ApprovalPolicy> parse_approval_policy(std::string_view given) {
    return parse(given, std::array{ApprovalPolicy::None, ApprovalPolicy::Header, ApprovalPolicy::Bound}, "approval policy");
}

} // namespace keymeld::session
