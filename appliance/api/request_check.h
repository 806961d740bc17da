// The checks of rest-v1.md 2.3 that come before a body is read as JSON: path ids, syntax of the authentication header, content type, size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "appliance/api/route.h"
#include "appliance/http/message.h"
#include "core/base/result.h"
#include "core/base/uuid.h"

namespace keymeld::api {

/// A request that passed them.
struct Call {
    const Route* route = nullptr;
    Uuid session_id;               ///< of the path, keygen or signing as the route says; zero if it has none
    Uuid user_id;                  ///< of the path, where the route has one, as the next
    Uuid key_id;
    std::uint32_t enclave_id = 0;  ///< of the path
    std::string file;              ///< of the path
    std::string auth_header;       ///< raw value; its syntax is right. For Auth::OperatorToken the token itself: secret
    std::string user_header;       ///< X-User-Signature, its syntax is right
    http::Request request;
};

struct CheckSettings {
    bool keygen_token = false;     ///< POST /keygen needs the operator's token
};

/// In the order of 2.3. Errors: RouteNotFound, MethodNotAllowed (with the fact `allow`), ValidationFailed (with the fact `parameter`),
/// AuthMissing, AuthMalformed, UnsupportedMediaType, BodyTooLarge. [any-thread]
Result<Call> check_request(http::Request request, const RouteMatch& match, const CheckSettings& settings);

/// "application/json" or "application/*+json", with at most a charset of UTF-8 (2.1). [any-thread]
bool is_json_media_type(std::string_view content_type);

} // namespace keymeld::api
