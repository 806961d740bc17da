// keymeld::Error to the Failure of a Response and back.
//
// Three facts travel as fields of their own: "blamed_user" (UUID text), "peer_public_key" (66 hex digits) and "pointer"
// (RFC 6901). Other facts and the source location stay behind.
#pragma once

#include "core/base/result.h"

namespace keymeld::wire {
class Failure;
class Response;
}

namespace keymeld::protocol {

inline constexpr std::size_t kMaxFailureText = 512; ///< bytes of detail and of pointer; longer ones are cut

/// True if `code` is the number of an enumerator of Errc. [any-thread]
bool is_known_errc(std::uint32_t code);

/// What the peer said, believed no further than its form: an unknown code becomes Internal, an ill-sized key or user is left out.
Error to_error(const wire::Failure& failure);

/// Makes `response` a refusal: sets the failure, keeps the id, removes a result.
void set_failure(wire::Response& response, const Error& error);

} // namespace keymeld::protocol
