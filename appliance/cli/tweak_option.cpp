#include "appliance/cli/tweak_option.h"

#include <CLI/CLI.hpp>

#include "core/base/hex.h"
#include "core/secure/random.h"

namespace keymeld::cli {

void add_tweak_option(CLI::App& app, std::string& text) {
    app.add_option("--tweak", text,
                   "Taproot tweak of the key: none, unspendable_taproot, taproot_with_merkle_root=HEX, plain_tweak=HEX, x_only_tweak=HEX "
                   "(HEX: 32 bytes)")
        ->capture_default_str()
        ->type_name("TYPE[=HEX]");
}

Result<bitcoin::TweakConfig> parse_tweak(std::string_view text, MissingValue missing) {
    const auto equals = text.find('=');
    bitcoin::TweakConfig tweak;
    const auto type = bitcoin::parse_tweak_type(text.substr(0, equals));
    if (!type)
        return fail(Errc::InvalidArgument, "--tweak: '" + std::string(text.substr(0, equals)) +
                                               "' is none of none, unspendable_taproot, taproot_with_merkle_root, plain_tweak, x_only_tweak");
    tweak.type = *type;
    const std::string name(bitcoin::text(tweak.type));
    if (equals != std::string_view::npos) {
        if (!tweak.has_value())
            return fail(Errc::InvalidArgument, "--tweak: " + name + " has no value");
        if (!hex_decode_into(text.substr(equals + 1), tweak.value32))
            return fail(Errc::InvalidArgument, "--tweak: the value of " + name + " is 64 hex digits");
    } else if (tweak.has_value()) {
        if (missing == MissingValue::Error)
            return fail(Errc::InvalidArgument, "--tweak: " + name + " needs a value: " + name + "=<64 hex digits>");
        do
            tweak.value32 = secure::random_array<32>();
        while (!tweak.validate());
    }
    KEYMELD_CHECK(tweak.validate());
    return tweak;
}

} // namespace keymeld::cli
