// Views and containers of public bytes. Secrets live in core/secure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace keymeld {

using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;
using Bytes = std::vector<std::uint8_t>;
template <std::size_t N> using ByteArray = std::array<std::uint8_t, N>;

/// The bytes of a text, without its terminator. Valid as long as the text.
inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The bytes seen as characters (for protobuf `bytes` fields). Valid as long as the bytes.
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes to_bytes(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

} // namespace keymeld
