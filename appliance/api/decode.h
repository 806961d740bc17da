// Request bodies and parameters of rest-v1.md section 4 into the engine's types.
//
// Everything that can be judged without a session is judged here (2.3, "JSON and field validation"): forms, sizes, ranges, points on the
// curve, members that contradict each other. Errors: `Errc::MalformedJson` and `Errc::ValidationFailed`, the latter with the fact `pointer` or
// `parameter`.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "core/base/result.h"
#include "core/engine/api.h"

namespace keymeld::api {

/// The configured limits that bodies are judged by (rest-v1.md section 9).
struct DecodeLimits {
    std::uint32_t max_participants = 1000;
    std::uint64_t timeout_secs_max = 86400;
    std::chrono::seconds wait_max{60};
    std::chrono::seconds approval_max_validity{86400};
};

/// 4.4. [any-thread]
Result<engine::CreateKeygen> decode_create_keygen(std::string_view body, const DecodeLimits& limits);

/// 4.6; `path_id` is the session of the path, which the body must name too.
Result<engine::RegisterParticipant> decode_register(std::string_view body, const KeygenId& path_id);

/// 4.9
Result<engine::CreateSigning> decode_create_signing(std::string_view body, const DecodeLimits& limits);

/// 4.10; an empty body is a header approval: nullopt. `now` in Unix seconds.
Result<std::optional<engine::ApproveSigning::Bound>> decode_approval(std::string_view body, const DecodeLimits& limits,
                                                                     std::uint64_t now);

/// `wait` of 4.7 and 4.12: whole seconds, 0 if absent.
Result<std::chrono::seconds> decode_wait(std::string_view query, const DecodeLimits& limits);

/// `nonce` of 4.3: 1..64 bytes, empty if absent.
Result<Bytes> decode_attestation_nonce(std::string_view query);

/// An enclave id in a path: `Errc::ValidationFailed` for what is not a u32.
Result<std::uint32_t> decode_enclave_id(std::string_view text);

/// The decimal of a Last-Event-ID header; nullopt for anything else, which is ignored (4.8).
std::optional<std::uint64_t> decode_last_event_id(std::string_view text);

} // namespace keymeld::api
