// What the answer of an enclave means for the session that asked: the retry policy's view of Errc.
#pragma once

#include <cstdint>

#include "core/base/error.h"
#include "core/session/status.h"

namespace keymeld::session {

enum class CallOutcome {
    NoAnswer,   ///< nobody can say whether it was done: link down, deadline, busy, a repair that could not be made
    Void,       ///< the attempt is over: start another one, at once
    StateLost,  ///< what the enclave needs cannot be restored
    Misbehaved, ///< a contribution or a voucher does not verify
    Refused,    ///< the request itself was judged and refused
};

/// Exhaustive over Errc. [any-thread]
CallOutcome classify(Errc code);

/// The failure type (rest-v1.md 6.3) of a session that ends because of `code`.
FailureType failure_type_of(Errc code);

/// Pause before try number `failures` + 1: 50 ms, doubled with each failure, at most 2 s.
std::uint32_t retry_delay_ms(std::uint32_t failures);

} // namespace keymeld::session
