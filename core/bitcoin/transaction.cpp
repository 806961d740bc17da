#include "core/bitcoin/transaction.h"

#include <algorithm>

#include "core/base/hex.h"
#include "core/bitcoin/serialize.h"

namespace keymeld::bitcoin {
namespace {

constexpr std::size_t kMaxTransactionSize = 4'000'000;

void append_sized(Bytes& out, ByteView bytes) {
    append_compact_size(out, bytes.size());
    append(out, bytes);
}

Bytes serialise_transaction(const Transaction& tx, bool with_witness) {
    Bytes out;
    append_little_endian(out, tx.version);
    if (with_witness)
        append(out, ByteArray<2>{0x00, 0x01});
    append_compact_size(out, tx.inputs.size());
    for (const TxIn& input : tx.inputs) {
        append(out, input.previous.txid);
        append_little_endian(out, input.previous.index);
        append_sized(out, input.script_sig);
        append_little_endian(out, input.sequence);
    }
    append_compact_size(out, tx.outputs.size());
    for (const TxOut& output : tx.outputs) {
        append_little_endian(out, output.amount);
        append_sized(out, output.script_pub_key);
    }
    if (with_witness) {
        for (const TxIn& input : tx.inputs) {
            append_compact_size(out, input.witness.size());
            for (const Bytes& item : input.witness)
                append_sized(out, item);
        }
    }
    append_little_endian(out, tx.lock_time);
    return out;
}

// Reads numbers and byte strings; after the first failure everything it gives is empty and ok() is
// false.
class Cursor {
  public:
    explicit Cursor(ByteView bytes) : m_rest(bytes) {}

    bool ok() const { return m_ok; }
    bool at_end() const { return m_rest.empty(); }
    std::size_t left() const { return m_rest.size(); }

    ByteView take(std::uint64_t count) {
        if (!m_ok || count > m_rest.size()) {
            m_ok = false;
            return {};
        }
        const ByteView out = m_rest.first(static_cast<std::size_t>(count));
        m_rest = m_rest.subspan(out.size());
        return out;
    }

    template <class T> T number() {
        const ByteView bytes = take(sizeof(T));
        T out = 0;
        for (std::size_t i = 0; i < bytes.size(); ++i)
            out = static_cast<T>(out | static_cast<T>(bytes[i]) << (8 * i));
        return out;
    }

    std::uint64_t compact_size() {
        const std::uint8_t first = number<std::uint8_t>();
        std::uint64_t value = first;
        std::uint64_t least = 0;
        if (first == 0xfd) {
            value = number<std::uint16_t>();
            least = 0xfd;
        } else if (first == 0xfe) {
            value = number<std::uint32_t>();
            least = 0x10000;
        } else if (first == 0xff) {
            value = number<std::uint64_t>();
            least = 0x100000000;
        }
        m_ok = m_ok && value >= least;
        return value;
    }

    // How many elements follow, each of at least `element_size` bytes: bounds what is allocated by
    // what was sent.
    std::size_t count(std::size_t element_size) {
        const std::uint64_t value = compact_size();
        if (!m_ok || value > left() / element_size) {
            m_ok = false;
            return 0;
        }
        return static_cast<std::size_t>(value);
    }

    Bytes sized() { return to_bytes(take(compact_size())); }

    // Looks ahead for the marker 00 and flag 01 of BIP-144.
    bool take_segwit_marker() {
        if (m_rest.size() < 2 || m_rest[0] != 0x00 || m_rest[1] != 0x01)
            return false;
        take(2);
        return true;
    }

  private:
    ByteView m_rest;
    bool m_ok = true;
};

} // namespace

void append_compact_size(Bytes& out, std::uint64_t value) {
    if (value < 0xfd) {
        out.push_back(static_cast<std::uint8_t>(value));
    } else if (value <= 0xffff) {
        out.push_back(0xfd);
        append_little_endian(out, static_cast<std::uint16_t>(value));
    } else if (value <= 0xffffffff) {
        out.push_back(0xfe);
        append_little_endian(out, static_cast<std::uint32_t>(value));
    } else {
        out.push_back(0xff);
        append_little_endian(out, value);
    }
}

Bytes Transaction::serialise() const {
    const bool with_witness = std::any_of(inputs.begin(), inputs.end(),
                                          [](const TxIn& input) { return !input.witness.empty(); });
    return serialise_transaction(*this, with_witness);
}

Bytes Transaction::serialise_without_witness() const {
    return serialise_transaction(*this, false);
}

crypto::Hash256 Transaction::txid() const {
    return crypto::sha256(crypto::sha256(serialise_without_witness()));
}

Result<Transaction> Transaction::parse(ByteView bytes) {
    const auto refused = [] { return fail(Errc::InvalidArgument, "not a serialised transaction"); };
    if (bytes.size() > kMaxTransactionSize)
        return refused();
    Cursor cursor(bytes);
    Transaction tx;
    tx.version = cursor.number<std::uint32_t>();
    const bool with_witness = cursor.take_segwit_marker();
    tx.inputs.resize(cursor.count(32 + 4 + 1 + 4));
    for (TxIn& input : tx.inputs) {
        std::ranges::copy(cursor.take(32), input.previous.txid.begin());
        input.previous.index = cursor.number<std::uint32_t>();
        input.script_sig = cursor.sized();
        input.sequence = cursor.number<std::uint32_t>();
    }
    tx.outputs.resize(cursor.count(8 + 1));
    for (TxOut& output : tx.outputs) {
        output.amount = cursor.number<std::uint64_t>();
        output.script_pub_key = cursor.sized();
    }
    if (with_witness) {
        bool any = false;
        for (TxIn& input : tx.inputs) {
            // An empty item takes one byte but a vector of it 24: grow as they are read.
            for (std::size_t items = cursor.count(1); items > 0 && cursor.ok(); --items)
                input.witness.push_back(cursor.sized());
            any = any || !input.witness.empty();
        }
        if (!any)
            return refused(); // BIP-144: without a witness the original form is the only one
    }
    tx.lock_time = cursor.number<std::uint32_t>();
    if (!cursor.ok() || !cursor.at_end())
        return refused();
    return tx;
}

Result<ByteArray<32>> parse_txid(std::string_view rpc_hex) {
    KEYMELD_TRY(auto txid, hex_decode_array<32>(rpc_hex));
    std::reverse(txid.begin(), txid.end());
    return txid;
}

std::string txid_text(const ByteArray<32>& txid) {
    ByteArray<32> shown = txid;
    std::reverse(shown.begin(), shown.end());
    return hex_encode(shown);
}

} // namespace keymeld::bitcoin
