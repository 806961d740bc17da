// Bitcoin transactions: as much as a taproot key-path spend needs.
#pragma once

#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/digest.h"

namespace keymeld::bitcoin {

using Script = Bytes;

struct OutPoint {
    ByteArray<32> txid{}; ///< internal byte order: reversed against what explorers and RPC show
    std::uint32_t index = 0;
    bool operator==(const OutPoint&) const = default;
};

struct TxIn {
    OutPoint previous;
    Script script_sig = {};
    std::uint32_t sequence = 0xffffffff;
    std::vector<Bytes> witness = {};
    bool operator==(const TxIn&) const = default;
};

struct TxOut {
    std::uint64_t amount = 0; ///< satoshi
    Script script_pub_key = {};
    bool operator==(const TxOut&) const = default;
};

struct Transaction {
    std::uint32_t version = 2;
    std::vector<TxIn> inputs = {};
    std::vector<TxOut> outputs = {};
    std::uint32_t lock_time = 0;
    bool operator==(const Transaction&) const = default;

    /// BIP-144 form if any input has a witness, else the original form. [any-thread]
    Bytes serialise() const;
    /// Without witnesses: what the txid is the hash of.
    Bytes serialise_without_witness() const;
    /// Internal byte order.
    crypto::Hash256 txid() const;
    /// Reads either form. `Errc::InvalidArgument` if it is cut off, has bytes left over, a count
    /// that its size cannot hold, a compact size that is not minimal, or more than 4,000,000 bytes.
    static Result<Transaction> parse(ByteView bytes);
};

/// Bitcoin's variable-length integer.
void append_compact_size(Bytes& out, std::uint64_t value);
/// RPC's reversed hex to internal order. `Errc::InvalidArgument` unless 64 hex characters.
Result<ByteArray<32>> parse_txid(std::string_view rpc_hex);
std::string txid_text(const ByteArray<32>& txid);

} // namespace keymeld::bitcoin
