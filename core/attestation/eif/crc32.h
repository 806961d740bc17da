// CRC-32 as zlib and IEEE 802.3 have it: polynomial EDB88320 reflected, initial value and final XOR
// FFFFFFFF. Finds damage in transport; it authenticates nothing.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"

namespace keymeld::eif {

class Crc32 {
  public:
    Crc32& update(ByteView data);
    std::uint32_t value() const { return ~m_state; }

  private:
    std::uint32_t m_state = 0xffffffffu;
};

} // namespace keymeld::eif
