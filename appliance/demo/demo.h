// `keymeld demo`: the whole story once, with everything real but the enclaves' hardware.
#pragma once

#include <filesystem>
#include <optional>

#include <boost/asio/awaitable.hpp>

#include "appliance/fleet/virtual_enclave.h"
#include "core/base/result.h"
#include "core/bitcoin/tweak_config.h"

namespace keymeld::demo {

struct DemoOptions {
    unsigned participants = 3;    ///< signers, the coordinator among them; 2..1000
    unsigned enclaves = 3;        ///< 1..64
    bitcoin::TweakConfig tweak{bitcoin::TweakType::UnspendableTaproot, {}};
    bool json = false;            ///< give one JSON object instead of the line
    bool quiet = false;           ///< no progress on standard error
    bool bitcoin = false;         ///< sign and mine a transaction on a regtest node
    std::filesystem::path bitcoind; ///< empty: from PATH
    std::optional<fleet::MachineOptions> machines; ///< set: enclave images in virtual machines, in place of simulated enclaves
};

/// Starts enclaves and appliance, plays all participants, signs, verifies by independent_verify.h, stops everything and removes all files. The
/// last line for standard output: `DEMO OK signature=<128 hex> key=<64 hex> message=<64 hex>`, or one JSON object. Progress is on standard error.
boost::asio::awaitable<Result<std::string>> run_demo(DemoOptions options);

} // namespace keymeld::demo
