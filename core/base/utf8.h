// Text that is what it says it is: UTF-8 (RFC 3629, Unicode table 3-7), without overlong forms, surrogates and anything above U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace keymeld {

/// Length of the well-formed sequence at the start of a `text` that is not empty; 0 if there is none. [any-thread]
std::size_t utf8_sequence(std::string_view text);

/// True if all of it is well-formed. [any-thread]
bool is_utf8(std::string_view text);

} // namespace keymeld
