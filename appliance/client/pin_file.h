// PINs from files, for those who cannot type one.
#pragma once

#include <filesystem>

#include "core/base/result.h"
#include "core/secure/secret.h"

namespace keymeld::client {

/// The first line, without its end. `Errc::Io` if the file cannot be read, is larger than 4 KiB, or others than its owner can read or write
/// it; the detail names the file, never its content.
Result<secure::SecretBytes> read_pin_file(const std::filesystem::path& path);

} // namespace keymeld::client
