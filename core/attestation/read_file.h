// Small public files (trust anchors, allow-lists) as text, with a bound. Internal to
// core/attestation.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "core/base/result.h"

namespace keymeld::attestation {

/// The whole file. `Errc::Io` if it cannot be read, `Errc::ConfigInvalid` above `max_size` bytes;
/// the detail names the file.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_size);

/// `error` with the file's name in front of its detail.
Error in_file(const std::filesystem::path& path, Error error);

} // namespace keymeld::attestation
