// Errors as REST clients see them (rest-v1.md 2.5).
#pragma once

#include <string>
#include <string_view>

#include "appliance/http/message.h"
#include "core/base/error.h"

namespace keymeld::api {

/// How one Errc is told to a client.
struct ErrorShape {
    unsigned status;
    Errc told_as;           ///< the code of the REST group whose name is `type`
    std::string_view fixed; ///< if not empty, the client gets this sentence and only the log gets the detail
};
ErrorShape shape_of(Errc code);

/// True for 429 and 503.
bool is_retryable(unsigned status);

/// True for an error that says nothing about the session (stopping, overload): a long poll that meets it answers with the state it knows,
/// because its nonce is used and an error would cost the client a header for nothing.
bool is_passing(const Error& error);

/// The whole answer: body, and the headers that go with the code (WWW-Authenticate, Allow, Retry-After). The facts `allow` and `retry_after`
/// become headers, the others members of `details`. `details_json`: complete JSON members to add to `details` ("\"reasons\":[...]").
http::Response error_response(const Error& error, std::string_view details_json = {});

} // namespace keymeld::api
