// The operator's token for POST /keygen (section 7, rule 18).
#pragma once

#include <filesystem>

#include "core/base/result.h"
#include "core/secure/secret.h"

namespace keymeld::appliance {

/// The first line of the file, without white space around it: 16 to 512 printable ASCII characters. `Errc::ConfigInvalid` if the file cannot
/// be read, can be read by everybody, or has another content. [startup]
Result<secure::SecretBytes> read_token_file(const std::filesystem::path& file);

} // namespace keymeld::appliance
