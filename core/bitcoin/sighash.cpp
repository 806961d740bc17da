#include "core/bitcoin/sighash.h"

#include "core/bitcoin/serialize.h"
#include "core/crypto/tagged_hash.h"

namespace keymeld::bitcoin {
namespace {

constexpr std::uint8_t kEpoch = 0;
constexpr std::uint8_t kKeyPathWithoutAnnex = 0; // spend_type: ext_flag 0, no annex

void append_outpoint(Bytes& out, const OutPoint& point) {
    append(out, point.txid);
    append_little_endian(out, point.index);
}

void append_script(Bytes& out, const Script& script) {
    append_compact_size(out, script.size());
    append(out, script);
}

void append_output(Bytes& out, const TxOut& output) {
    append_little_endian(out, output.amount);
    append_script(out, output.script_pub_key);
}

// Appends the SHA-256 of what `write` writes for each element.
template <class Range, class Write>
void append_hash_of(Bytes& out, const Range& elements, Write write) {
    Bytes data;
    for (const auto& element : elements)
        write(data, element);
    append(out, crypto::sha256(data));
}

bool anyone_can_pay(SighashType type) {
    return (static_cast<std::uint8_t>(type) & 0x80) != 0;
}

enum class Outputs { All, None, Single };

Outputs outputs_of(SighashType type) {
    switch (type) {
    case SighashType::Default:
    case SighashType::All:
    case SighashType::AllAnyoneCanPay:
        return Outputs::All;
    case SighashType::None:
    case SighashType::NoneAnyoneCanPay:
        return Outputs::None;
    case SighashType::Single:
    case SighashType::SingleAnyoneCanPay:
        return Outputs::Single;
    }
    return Outputs::All;
}

} // namespace

Result<SighashType> parse_sighash_type(std::uint8_t byte) {
    const std::uint8_t base = byte & 0x7f;
    if (base > 3 || byte == 0x80)
        return fail(Errc::InvalidArgument, "not a BIP-341 hash type");
    return static_cast<SighashType>(byte);
}

Result<Bytes> taproot_signature_message(const Transaction& tx, std::size_t input_index,
                                        std::span<const TxOut> spent, SighashType type) {
    if (spent.size() != tx.inputs.size() || input_index >= tx.inputs.size())
        return fail(Errc::InvalidArgument, "spent outputs do not match the inputs");
    const Outputs outputs = outputs_of(type);
    if (outputs == Outputs::Single && input_index >= tx.outputs.size())
        return fail(Errc::InvalidArgument,
                    "hash type SINGLE without an output at the input's index");

    Bytes out{kEpoch, static_cast<std::uint8_t>(type)};
    append_little_endian(out, tx.version);
    append_little_endian(out, tx.lock_time);
    if (!anyone_can_pay(type)) {
        append_hash_of(out, tx.inputs,
                       [](Bytes& to, const TxIn& in) { append_outpoint(to, in.previous); });
        append_hash_of(out, spent,
                       [](Bytes& to, const TxOut& o) { append_little_endian(to, o.amount); });
        append_hash_of(out, spent,
                       [](Bytes& to, const TxOut& o) { append_script(to, o.script_pub_key); });
        append_hash_of(out, tx.inputs,
                       [](Bytes& to, const TxIn& in) { append_little_endian(to, in.sequence); });
    }
    if (outputs == Outputs::All)
        append_hash_of(out, tx.outputs, append_output);
    out.push_back(kKeyPathWithoutAnnex);
    if (anyone_can_pay(type)) {
        const TxIn& input = tx.inputs[input_index];
        append_outpoint(out, input.previous);
        append_output(out, spent[input_index]);
        append_little_endian(out, input.sequence);
    } else {
        append_little_endian(out, static_cast<std::uint32_t>(input_index));
    }
    if (outputs == Outputs::Single) {
        Bytes output;
        append_output(output, tx.outputs[input_index]);
        append(out, crypto::sha256(output));
    }
    return out;
}

Result<crypto::Hash256> taproot_sighash(const Transaction& tx, std::size_t input_index,
                                        std::span<const TxOut> spent, SighashType type) {
    static const crypto::HashTag tag("TapSighash");
    KEYMELD_TRY(const Bytes message, taproot_signature_message(tx, input_index, spent, type));
    return tag.hash({message});
}

Bytes taproot_witness_item(const ByteArray<64>& signature, SighashType type) {
    Bytes out(signature.begin(), signature.end());
    if (type != SighashType::Default)
        out.push_back(static_cast<std::uint8_t>(type));
    return out;
}

} // namespace keymeld::bitcoin
