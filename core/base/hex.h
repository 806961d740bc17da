// Hexadecimal text of public bytes. For secrets see core/secure.
#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld {

enum class HexCase { Lower, Any };

/// Lower-case hex, two characters a byte. [any-thread]
std::string hex_encode(ByteView bytes);

/// Decodes hex of an even length. `Errc::InvalidArgument` for an odd length, another character, or upper case where
/// only `HexCase::Lower` is allowed (authentication headers, rest-v1.md 2.2). [any-thread]
Result<Bytes> hex_decode(std::string_view text, HexCase accepted = HexCase::Any);

/// As hex_decode, into exactly out.size() bytes; any other length is `Errc::InvalidArgument`.
Status hex_decode_into(std::string_view text, MutableByteView out, HexCase accepted = HexCase::Any);

template <std::size_t N>
Result<ByteArray<N>> hex_decode_array(std::string_view text, HexCase accepted = HexCase::Any) {
    ByteArray<N> out{};
    KEYMELD_CHECK(hex_decode_into(text, out, accepted));
    return out;
}

} // namespace keymeld
