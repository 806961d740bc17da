// The metadata section, as nitro-cli's describe-eif expects it. It is not measured: it tells a
// person what the builder says, and proves nothing. No date of the build, so that the file is the
// same every time.
#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace keymeld::eif {

/// JSON. Name and version must hold no control character.
std::string make_metadata(std::string_view name, std::string_view version,
                          std::string_view tool_version, ByteView kernel);

/// The version in a bzImage's header (Documentation/arch/x86/boot.rst, kernel_version), up to its
/// first space; "unknown" if this is no bzImage.
std::string kernel_version(ByteView kernel);

} // namespace keymeld::eif
