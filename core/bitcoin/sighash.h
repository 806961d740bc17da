// BIP-341 signature message and its hash for key-path spends.
#pragma once

#include <span>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/bitcoin/transaction.h"
#include "core/crypto/digest.h"

namespace keymeld::bitcoin {

/// The seven hash types of BIP-341.
enum class SighashType : std::uint8_t {
    Default = 0x00,
    All = 0x01,
    None = 0x02,
    Single = 0x03,
    AllAnyoneCanPay = 0x81,
    NoneAnyoneCanPay = 0x82,
    SingleAnyoneCanPay = 0x83,
};

/// `Errc::InvalidArgument` for a byte that is not one of the seven.
Result<SighashType> parse_sighash_type(std::uint8_t byte);

/// The epoch byte 0 and the signature message: what TapSighash hashes. `spent` holds the output
/// that each input spends, in order; a wrong amount or script makes a signature that no node
/// accepts. No annex. `Errc::InvalidArgument` if `spent` has another size than the inputs, the
/// index is too high, or Single has no output at that index. [any-thread]
Result<Bytes> taproot_signature_message(const Transaction& tx, std::size_t input_index,
                                        std::span<const TxOut> spent, SighashType type);

/// The 32 bytes to sign: TaggedHash("TapSighash", message). Errors as above.
Result<crypto::Hash256> taproot_sighash(const Transaction& tx, std::size_t input_index,
                                        std::span<const TxOut> spent, SighashType type);

/// The witness item: the signature, with the type appended unless it is Default.
Bytes taproot_witness_item(const ByteArray<64>& signature, SighashType type);

} // namespace keymeld::bitcoin
