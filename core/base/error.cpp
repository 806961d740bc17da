#include "core/base/error.h"

namespace keymeld {

std::string_view errc_name(Errc code) {
    switch (code) {
    case Errc::Internal: return "internal_error";
    case Errc::InvalidArgument: return "invalid_argument";
    case Errc::Io: return "io_failed";
    case Errc::DeadlineExceeded: return "deadline_exceeded";
    case Errc::Cancelled: return "cancelled";
    case Errc::Unsupported: return "unsupported";
    case Errc::DecryptFailed: return "decrypt_failed";
    case Errc::InvalidPoint: return "invalid_point";
    case Errc::InvalidScalar: return "invalid_scalar";
    case Errc::InvalidSignature: return "invalid_signature";
    case Errc::ContributionInvalid: return "contribution_invalid";
    case Errc::AggregateAtInfinity: return "aggregate_at_infinity";
    case Errc::MalformedJson: return "malformed_json";
    case Errc::ValidationFailed: return "validation_failed";
    case Errc::WrongEnclave: return "wrong_enclave";
    case Errc::KeyMismatch: return "key_mismatch";
    case Errc::MessageMismatch: return "message_mismatch";
    case Errc::AuthMissing: return "auth_missing";
    case Errc::AuthMalformed: return "auth_malformed";
    case Errc::AuthFailed: return "auth_failed";
    case Errc::NonceReplayed: return "nonce_replayed";
    case Errc::NotAParticipant: return "not_a_participant";
    case Errc::BoundApprovalRequired: return "bound_approval_required";
    case Errc::ApprovalExpired: return "approval_expired";
    case Errc::NotPermitted: return "not_permitted";
    case Errc::NotFound: return "not_found";
    case Errc::RouteNotFound: return "route_not_found";
    case Errc::MethodNotAllowed: return "method_not_allowed";
    case Errc::DuplicateId: return "duplicate_id";
    case Errc::AlreadyRegistered: return "already_registered";
    case Errc::WrongState: return "wrong_state";
    case Errc::QuotaExceeded: return "quota_exceeded";
    case Errc::BlobReused: return "blob_reused";
    case Errc::BodyTooLarge: return "body_too_large";
    case Errc::UnsupportedMediaType: return "unsupported_media_type";
    case Errc::RateLimited: return "rate_limited";
    case Errc::AttestationUnavailable: return "attestation_unavailable";
    case Errc::EnclaveUnavailable: return "enclave_unavailable";
    case Errc::Overloaded: return "overloaded";
    case Errc::NotReady: return "not_ready";
    case Errc::MalformedFrame: return "malformed_frame";
    case Errc::FrameTooLarge: return "frame_too_large";
    case Errc::ProtocolMismatch: return "protocol_mismatch";
    case Errc::Disconnected: return "disconnected";
    case Errc::StateUnknown: return "state_unknown";
    case Errc::StateRolledBack: return "state_rolled_back";
    case Errc::SealBroken: return "seal_broken";
    case Errc::PeerUnknown: return "peer_unknown";
    case Errc::AttemptVoid: return "attempt_void";
    case Errc::NonceConsumed: return "nonce_consumed";
    case Errc::RosterMismatch: return "roster_mismatch";
    case Errc::AttestationRefused: return "attestation_refused";
    case Errc::ConfigInvalid: return "config_invalid";
    case Errc::PluginMissing: return "plugin_missing";
    case Errc::PluginIncompatible: return "plugin_incompatible";
    case Errc::PluginWrongKind: return "plugin_wrong_kind";
    case Errc::PluginFailed: return "plugin_failed";
    case Errc::StorageConflict: return "storage_conflict";
    case Errc::StorageFailed: return "storage_failed";
    case Errc::StorageCorrupt: return "storage_corrupt";
    }
    return "internal_error";
}

} // namespace keymeld
