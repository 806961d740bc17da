// What transactions and signature hashes are written with. Bitcoin's integers are little-endian.
#pragma once

#include "core/base/bytes.h"

namespace keymeld::bitcoin {

/// `value`, an unsigned integer, least significant byte first.
template <class T> void append_little_endian(Bytes& out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
        out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

inline void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

} // namespace keymeld::bitcoin
