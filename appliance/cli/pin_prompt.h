// PINs of credential stores: typed on the terminal without echo, or from a file. Never from the command line or the environment.
#pragma once

#include <filesystem>
#include <string_view>

#include "core/base/result.h"
#include "core/secure/secret.h"

namespace keymeld::cli {

/// From `file` unless it is empty; else asked for on the terminal, twice if `twice`. `Errc::Io`; `Errc::InvalidArgument` if two entries differ.
Result<secure::SecretBytes> ask_pin(const std::filesystem::path& file, std::string_view question, bool twice);

} // namespace keymeld::cli
