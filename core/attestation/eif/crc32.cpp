#include "core/attestation/eif/crc32.h"

#include <array>

namespace keymeld::eif {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
        std::uint32_t remainder = byte;
        for (int bit = 0; bit < 8; ++bit)
            remainder = (remainder >> 1) ^ ((remainder & 1u) != 0 ? 0xedb88320u : 0u);
        table[byte] = remainder;
    }
    return table;
}

constexpr auto kTable = make_table();

} // namespace

Crc32& Crc32::update(ByteView data) {
    for (const std::uint8_t byte : data)
        m_state = (m_state >> 8) ^ kTable[(m_state ^ byte) & 0xffu];
    return *this;
}

} // namespace keymeld::eif
