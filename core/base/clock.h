// Time as KeyMeld uses it: seconds or milliseconds since the Unix epoch for what clients see, a steady clock for deadlines.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace keymeld {

/// Seconds since the Unix epoch by the machine's clock. [any-thread]
std::uint64_t unix_seconds();
/// Milliseconds since the Unix epoch by the machine's clock. [any-thread]
std::uint64_t unix_millis();
/// RFC 3339 UTC with microseconds, as error timestamps use: 2025-11-15T17:50:22.057663Z. [any-thread]
std::string rfc3339_now();

using SteadyTime = std::chrono::steady_clock::time_point;

} // namespace keymeld
