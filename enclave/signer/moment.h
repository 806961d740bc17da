// The time at which a request is handled, given by the caller so that tests decide it.
#pragma once

#include "core/base/clock.h"

namespace keymeld::enclave {

struct Moment {
    std::uint64_t unix_ms =
        0;               ///< by the machine's clock: what clients' expiry times are compared with
    SteadyTime steady{}; ///< for durations

    std::uint64_t unix_seconds() const { return unix_ms / 1000; }
    static Moment now() { return {unix_millis(), std::chrono::steady_clock::now()}; }
};

} // namespace keymeld::enclave
