#include "core/bitcoin/address.h"

#include <stdexcept>

namespace keymeld::bitcoin {
namespace {

constexpr std::string_view kAlphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
constexpr std::uint32_t kBech32mConstant = 0x2bc830a3;
constexpr std::uint8_t kWitnessVersion = 1;

std::string_view human_readable_part(Network network) {
    switch (network) {
    case Network::Mainnet:
        return "bc";
    case Network::Testnet:
    case Network::Signet:
        return "tb";
    case Network::Regtest:
        return "bcrt";
    }
    throw std::logic_error("network");
}

// The BCH code of BIP-173 over 5-bit values.
class Checksum {
  public:
    void add(std::uint8_t value) {
        static constexpr std::uint32_t kGenerator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa,
                                                        0x3d4233dd, 0x2a1462b3};
        const std::uint32_t top = m_state >> 25;
        m_state = (m_state & 0x1ffffff) << 5 ^ value;
        for (unsigned bit = 0; bit < 5; ++bit)
            m_state ^= (top >> bit & 1) != 0 ? kGenerator[bit] : 0;
    }
    std::uint32_t state() const { return m_state; }

  private:
    std::uint32_t m_state = 1;
};

} // namespace

Script p2tr_script(const XOnlyPubKey& output_key) {
    Script out{0x51, 0x20};
    out.insert(out.end(), output_key.bytes().begin(), output_key.bytes().end());
    return out;
}

std::string p2tr_address(const XOnlyPubKey& output_key, Network network) {
    const std::string_view part = human_readable_part(network);
    Checksum checksum;
    for (const char c : part)
        checksum.add(static_cast<std::uint8_t>(c >> 5));
    checksum.add(0);
    for (const char c : part)
        checksum.add(static_cast<std::uint8_t>(c & 31));

    std::string out(part);
    out += '1';
    const auto put = [&](std::uint32_t value) {
        checksum.add(static_cast<std::uint8_t>(value));
        out += kAlphabet[value];
    };
    put(kWitnessVersion);
    std::uint32_t pending = 0;
    unsigned bits = 0;
    for (const std::uint8_t byte : output_key.bytes()) {
        pending = (pending << 8 | byte) & 0xfff;
        bits += 8;
        for (; bits >= 5; bits -= 5)
            put(pending >> (bits - 5) & 31);
    }
    put(pending << (5 - bits) & 31); // 256 bits leave one, padded with zeros

    for (int i = 0; i < 6; ++i)
        checksum.add(0);
    const std::uint32_t tail = checksum.state() ^ kBech32mConstant;
    for (unsigned i = 0; i < 6; ++i)
        out += kAlphabet[tail >> (25 - 5 * i) & 31];
    return out;
}

} // namespace keymeld::bitcoin
