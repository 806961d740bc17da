#include "pkcs11/errors.h"

namespace keymeld::pkcs11 {

bool is_transport(Errc error) { return error == Errc::Disconnected || error == Errc::DeadlineExceeded; }

CK_RV code_of(Errc error, During during) {
    const bool login = during == During::Login;
    switch (error) {
    case Errc::Disconnected:
    case Errc::DeadlineExceeded: return CKR_DEVICE_REMOVED;
    case Errc::Cancelled: return CKR_CRYPTOKI_NOT_INITIALIZED; // C_Finalize of another thread ended it

    // TLS pin or chain, a header that the appliance does not accept, an enclave that is not what the store names.
    case Errc::AuthMissing:
    case Errc::AuthMalformed:
    case Errc::AuthFailed:
    case Errc::AttestationRefused:
    case Errc::RosterMismatch: return login ? CKR_TOKEN_NOT_RECOGNIZED : CKR_DEVICE_ERROR;

    case Errc::NotPermitted:
    case Errc::QuotaExceeded:
    case Errc::BoundApprovalRequired:
    case Errc::ApprovalExpired: return CKR_FUNCTION_REJECTED;

    case Errc::NotFound:
    case Errc::NotAParticipant: return CKR_KEY_HANDLE_INVALID;
    case Errc::WrongState: return CKR_KEY_FUNCTION_NOT_PERMITTED;

    case Errc::RateLimited: return CKR_DEVICE_MEMORY;

    case Errc::ConfigInvalid: return CKR_GENERAL_ERROR;
    case Errc::InvalidArgument: return CKR_ARGUMENTS_BAD;
    case Errc::Unsupported: return CKR_FUNCTION_NOT_SUPPORTED;

    case Errc::Internal:
    case Errc::Io:
    case Errc::DecryptFailed:
    case Errc::InvalidPoint:
    case Errc::InvalidScalar:
    case Errc::InvalidSignature:
    case Errc::ContributionInvalid:
    case Errc::AggregateAtInfinity:
    case Errc::MalformedJson:
    case Errc::ValidationFailed:
    case Errc::WrongEnclave:
    case Errc::KeyMismatch:
    case Errc::MessageMismatch:
    case Errc::NonceReplayed:
    case Errc::RouteNotFound:
    case Errc::MethodNotAllowed:
    case Errc::DuplicateId:
    case Errc::AlreadyRegistered:
    case Errc::BlobReused:
    case Errc::BodyTooLarge:
    case Errc::UnsupportedMediaType:
    case Errc::AttestationUnavailable:
    case Errc::EnclaveUnavailable:
    case Errc::Overloaded:
    case Errc::NotReady:
    case Errc::MalformedFrame:
    case Errc::FrameTooLarge:
    case Errc::ProtocolMismatch:
    case Errc::StateUnknown:
    case Errc::StateRolledBack:
    case Errc::SealBroken:
    case Errc::PeerUnknown:
    case Errc::AttemptVoid:
    case Errc::NonceConsumed:
    case Errc::PluginMissing:
    case Errc::PluginIncompatible:
    case Errc::PluginWrongKind:
    case Errc::PluginFailed:
    case Errc::StorageConflict:
    case Errc::StorageFailed:
    case Errc::StorageCorrupt: return CKR_DEVICE_ERROR;
    }
    return CKR_DEVICE_ERROR;
}

} // namespace keymeld::pkcs11
