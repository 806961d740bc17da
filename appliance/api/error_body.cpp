#include "appliance/api/error_body.h"

#include <algorithm>
#include <array>

#include "appliance/json/writer.h"
#include "core/base/clock.h"
#include "core/base/log.h"

namespace keymeld::api {
namespace {

/// Facts whose values are numbers in JSON.
constexpr std::array kNumbers{std::string_view("assigned_enclave_id"), std::string_view("enclave_key_epoch"),
                              std::string_view("enclave_id")};

bool is_number(std::string_view name, std::string_view value) {
    return std::find(kNumbers.begin(), kNumbers.end(), name) != kNumbers.end() && !value.empty() && value.size() < 20 &&
           (value == "0" || value.front() != '0') &&
           value.find_first_not_of("0123456789") == std::string_view::npos;
}

// Said instead of a detail that only the log may have.
constexpr std::string_view kBadField = "a field breaks its rule";
constexpr std::string_view kBadCiphertext = "ciphertext does not open with the key of the assigned enclave";
constexpr std::string_view kBadProof = "the signature or HMAC is wrong";
constexpr std::string_view kTooSlow = "not done in time, try again";
constexpr std::string_view kGoingDown = "the server is starting or stopping";
constexpr std::string_view kNoEnclave = "an enclave that this needs does not answer";
constexpr std::string_view kOurFault = "an internal error occurred";

} // namespace

ErrorShape shape_of(Errc code) {
    switch (code) {
    case Errc::MalformedJson: return {400, code, {}};
    case Errc::ValidationFailed: return {400, code, {}};
    case Errc::WrongEnclave: return {400, code, {}};
    case Errc::KeyMismatch: return {400, code, {}};
    case Errc::MessageMismatch: return {400, code, {}};
    case Errc::AuthMissing: return {401, code, {}};
    case Errc::AuthMalformed: return {401, code, {}};
    case Errc::AuthFailed: return {403, code, {}};
    case Errc::NonceReplayed: return {403, code, {}};
    case Errc::NotAParticipant: return {403, code, {}};
    case Errc::BoundApprovalRequired: return {403, code, {}};
    case Errc::ApprovalExpired: return {403, code, {}};
    case Errc::NotPermitted: return {403, code, {}};
    case Errc::NotFound: return {404, code, {}};
    case Errc::RouteNotFound: return {404, code, {}};
    case Errc::MethodNotAllowed: return {405, code, {}};
    case Errc::DuplicateId: return {409, code, {}};
    case Errc::AlreadyRegistered: return {409, code, {}};
    case Errc::WrongState: return {409, code, {}};
    case Errc::QuotaExceeded: return {409, code, {}};
    case Errc::BlobReused: return {409, code, {}};
    case Errc::BodyTooLarge: return {413, code, {}};
    case Errc::UnsupportedMediaType: return {415, code, {}};
    case Errc::RateLimited: return {429, code, {}};
    case Errc::AttestationUnavailable: return {501, code, {}};
    case Errc::EnclaveUnavailable: return {503, code, {}};
    case Errc::Overloaded: return {503, code, {}};
    case Errc::NotReady: return {503, code, {}};

    // Values that the layers below refused on their own grounds.
    case Errc::InvalidArgument:
    case Errc::InvalidPoint:
    case Errc::InvalidScalar:
    case Errc::Unsupported: return {400, Errc::ValidationFailed, kBadField};
    case Errc::DecryptFailed: return {400, Errc::WrongEnclave, kBadCiphertext};
    case Errc::InvalidSignature: return {403, Errc::AuthFailed, kBadProof};

    // Time ran out, or the program is going down.
    case Errc::DeadlineExceeded: return {503, Errc::Overloaded, kTooSlow};
    case Errc::Cancelled: return {503, Errc::NotReady, kGoingDown};

    // An enclave that cannot be used now; the engine has repeated what can be repeated.
    case Errc::Disconnected:
    case Errc::StateUnknown:
    case Errc::PeerUnknown:
    case Errc::AttemptVoid:
    case Errc::NonceConsumed:
    case Errc::AttestationRefused:
    case Errc::ProtocolMismatch: return {503, Errc::EnclaveUnavailable, kNoEnclave};

    case Errc::Internal:
    case Errc::Io:
    case Errc::ContributionInvalid:
    case Errc::AggregateAtInfinity:
    case Errc::MalformedFrame:
    case Errc::FrameTooLarge:
    case Errc::StateRolledBack:
    case Errc::SealBroken:
    case Errc::RosterMismatch:
    case Errc::ConfigInvalid:
    case Errc::PluginMissing:
    case Errc::PluginIncompatible:
    case Errc::PluginWrongKind:
    case Errc::PluginFailed:
    case Errc::StorageConflict:
    case Errc::StorageFailed:
    case Errc::StorageCorrupt: return {500, Errc::Internal, kOurFault};
    }
    return {500, Errc::Internal, kOurFault};
}

bool is_retryable(unsigned status) { return status == 429 || status == 503; }

bool is_passing(const Error& error) { return is_retryable(shape_of(error.code).status); }

http::Response error_response(const Error& error, std::string_view details_json) {
    const ErrorShape shape = shape_of(error.code);
    if (!shape.fixed.empty())
        log::warn("api", "error not told in full",
                  {{"code", error.code},
                   {"status", shape.status},
                   {"detail", error.detail},
                   {"file", std::string_view(error.where.file_name())},
                   {"line", error.where.line()}});
    http::Response response;
    response.status = shape.status;
    response.content_type = "application/json";
    if (shape.status == 401)
        response.headers.emplace_back("WWW-Authenticate", "KeyMeld");
    if (const auto allow = error.facts.find("allow"); allow != error.facts.end())
        response.headers.emplace_back("Allow", allow->second);
    if (is_retryable(shape.status)) {
        const auto after = error.facts.find("retry_after");
        response.headers.emplace_back("Retry-After", after == error.facts.end() ? "1" : after->second);
    }

    json::Writer body;
    body.begin_object().key("error").begin_object();
    body.member("code", shape.status);
    body.member("type", errc_name(shape.told_as));
    body.member("message", shape.fixed.empty() ? std::string_view(error.detail) : shape.fixed);
    body.member("retryable", is_retryable(shape.status));
    body.key("details").begin_object();
    if (shape.fixed.empty()) {
        for (const auto& [name, value] : error.facts) {
            if (name == "allow" || name == "retry_after")
                continue;
            if (is_number(name, value))
                body.key(name).raw(value);
            else
                body.member(name, value);
        }
    }
    if (!details_json.empty())
        body.raw(details_json);
    body.end_object().end_object();
    body.member("timestamp", rfc3339_now()).end_object();
    response.body = body.take();
    return response;
}

} // namespace keymeld::api
