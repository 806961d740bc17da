#include "core/session/call_outcome.h"

namespace keymeld::session {

CallOutcome classify(Errc code) {
    using enum CallOutcome;
    switch (code) {
    case Errc::Io:
    case Errc::DeadlineExceeded:
    case Errc::Cancelled:
    case Errc::Disconnected:
    case Errc::MalformedFrame:
    case Errc::ProtocolMismatch:
    case Errc::AttestationRefused:
    case Errc::AttestationUnavailable:
    case Errc::EnclaveUnavailable:
    case Errc::Overloaded:
    case Errc::NotReady:
    case Errc::RateLimited:
    case Errc::StateUnknown: // both remain only when the repair was tried and failed
    case Errc::PeerUnknown:
    case Errc::StorageConflict:
    case Errc::StorageFailed:
        return NoAnswer;
    case Errc::AttemptVoid:
    case Errc::NonceConsumed:
    case Errc::DecryptFailed: // a box of another attempt
        return Void;
    case Errc::StateRolledBack:
    case Errc::SealBroken:
    case Errc::StorageCorrupt:
        return StateLost;
    case Errc::InvalidPoint:
    case Errc::InvalidScalar:
    case Errc::InvalidSignature:
    case Errc::ContributionInvalid:
    case Errc::AggregateAtInfinity:
    case Errc::RosterMismatch:
        return Misbehaved;
    case Errc::Internal:
    case Errc::InvalidArgument:
    case Errc::Unsupported:
    case Errc::MalformedJson:
    case Errc::ValidationFailed:
    case Errc::WrongEnclave:
    case Errc::KeyMismatch:
    case Errc::MessageMismatch:
    case Errc::AuthMissing:
    case Errc::AuthMalformed:
    case Errc::AuthFailed:
    case Errc::NonceReplayed:
    case Errc::NotAParticipant:
    case Errc::BoundApprovalRequired:
    case Errc::ApprovalExpired:
    case Errc::NotPermitted:
    case Errc::NotFound:
    case Errc::RouteNotFound:
    case Errc::MethodNotAllowed:
    case Errc::DuplicateId:
    case Errc::AlreadyRegistered:
    case Errc::WrongState:
    case Errc::QuotaExceeded:
    case Errc::BlobReused:
    case Errc::BodyTooLarge:
    case Errc::UnsupportedMediaType:
    case Errc::FrameTooLarge:
    case Errc::ConfigInvalid:
    case Errc::PluginMissing:
    case Errc::PluginIncompatible:
    case Errc::PluginWrongKind:
    case Errc::PluginFailed:
        return Refused;
    }
    return Refused;
}

FailureType failure_type_of(Errc code) {
    switch (classify(code)) {
    case CallOutcome::NoAnswer:
    case CallOutcome::Void: return FailureType::EnclaveUnavailable;
    case CallOutcome::StateLost: return FailureType::EnclaveStateLost;
    case CallOutcome::Misbehaved: return FailureType::ProtocolError;
    case CallOutcome::Refused:
        if (code == Errc::ApprovalExpired)
            return FailureType::Expired;
        // An enclave that will not go on with a session it accepted remembers a rejection that never reached the record.
        if (code == Errc::WrongState)
            return FailureType::Rejected;
        return FailureType::Internal;
    }
    return FailureType::Internal;
}

std::uint32_t retry_delay_ms(std::uint32_t failures) {
    const std::uint32_t doublings = failures == 0 ? 0 : failures - 1;
    return doublings >= 6 ? 2000 : 50u << doublings;
}

} // namespace keymeld::session
