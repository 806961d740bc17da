// P2TR scripts and addresses (BIP-341, BIP-350).
#pragma once

#include <string>

#include "core/bitcoin/keys.h"
#include "core/bitcoin/transaction.h"

namespace keymeld::bitcoin {

enum class Network { Mainnet, Testnet, Signet, Regtest };

/// OP_1 and the 32 bytes of the output key.
Script p2tr_script(const XOnlyPubKey& output_key);
/// The bech32m address of a witness version 1 program of 32 bytes. [any-thread]
std::string p2tr_address(const XOnlyPubKey& output_key, Network network);

} // namespace keymeld::bitcoin
