// Lines for people on standard error: one for each failure that a code alone does not explain. Never a PIN, a secret or a path of another host.
#pragma once

#include <string>
#include <string_view>

namespace keymeld::pkcs11::log {

enum class Level { Off, Error, Info };

/// Error at start. [any-thread]
void set_level(Level level);
/// "keymeld-pkcs11: <text>", control characters replaced, in one write. [any-thread]
void error(std::string_view text);
void info(std::string_view text);

/// `text` in double quotes.
std::string quoted(std::string_view text);

} // namespace keymeld::pkcs11::log
