// --tweak as the commands for people take it.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/bitcoin/tweak_config.h"

namespace CLI {
class App;
}

namespace keymeld::cli {

/// Declares --tweak TYPE[=HEX].
void add_tweak_option(CLI::App& app, std::string& text);

enum class MissingValue {
    Random, ///< a type that needs 32 bytes gets random ones
    Error,
};
/// "unspendable_taproot", "plain_tweak=<64 hex>". `Errc::InvalidArgument`, `Errc::InvalidScalar`.
Result<bitcoin::TweakConfig> parse_tweak(std::string_view text, MissingValue missing);

} // namespace keymeld::cli
