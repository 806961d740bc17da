// Hexadecimal text of secrets: decoded and written without branches or table look-ups that depend
// on the digits.
#pragma once

#include "core/base/result.h"
#include "core/secure/secret.h"

namespace keymeld::secure {

/// Decodes hex of either case into exactly out.size() bytes. `Errc::InvalidArgument` for another
/// length or character; `out` is then wiped. Only the validity of the text as a whole shows in the
/// time. [any-thread]
Status secret_hex_decode_into(ByteView text, MutableByteView out);

/// As secret_hex_decode_into: `text` has 2 * N characters (a session secret: 64, rest-v1.md 5.2).
template <std::size_t N> Result<SecretArray<N>> secret_from_hex(ByteView text) {
    SecretArray<N> out;
    KEYMELD_CHECK(secret_hex_decode_into(text, out.expose_mut()));
    return out;
}

/// Lower-case hex, as bytes of text; still secret.
SecretBytes secret_to_hex(ByteView secret);

} // namespace keymeld::secure
