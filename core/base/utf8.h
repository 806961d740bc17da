// Text that is what it says it is: UTF-8 (RFC 3629, Unicode table 3-7), without overlong forms, surrogates and anything above U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace keymeld {

/// Length of the well-formed sequence at the start of a `text` that is not empty; 0 if there is none. [any-thread]
std::size_t utf8_sequence(std::string_view text);

/// True if all of it is well-formed. [any-thread]
bool is_utf8(std::string_view text);

/// For a terminal or a line of a log, what a stranger wrote: '?' in the place of each control character (C0, DEL, C1) and of what is not UTF-8, so
/// that it neither begins a line of its own nor steers a terminal. [any-thread]
std::string one_line(std::string_view text);

} // namespace keymeld
