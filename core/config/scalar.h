// Scalars of configuration files: substitution of environment variables, durations, sizes,
// addresses. Private to core/config.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/config/config.h"

namespace keymeld::config {

/// Replaces each ${NAME}; `$${` gives a literal `${`. `Errc::ConfigInvalid` (detail without a
/// place) for an unset variable, a malformed reference, or a value that is too long or has control
/// characters. [any-thread]
Result<std::string> substitute(std::string_view text, const Environment& environment);

/// Decimal digits only.
std::optional<std::uint64_t> parse_integer(std::string_view text);
/// 30s, 15m, 2h, 7d or whole seconds; at most 100 years.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);
/// 512, 64KiB, 2MiB.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// "127.0.0.1:8080", "[::1]:8080": literal addresses only.
std::optional<Listen> parse_listen(std::string_view text);
/// "https://app.example", "http://localhost:3000": scheme, host and port of a browser's Origin
/// header.
bool valid_origin(std::string_view text);

} // namespace keymeld::config
