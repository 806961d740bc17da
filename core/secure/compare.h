// Comparison of secrets, MACs and tags.
#pragma once

#include "core/base/bytes.h"

namespace keymeld::secure {

/// True if both have the same length and the same bytes. The time depends on the lengths only.
/// [any-thread]
[[nodiscard]] bool ct_equal(ByteView a, ByteView b) noexcept;

} // namespace keymeld::secure
