// Standard base64 (RFC 4648 section 4) of public bytes, for attestation documents in REST answers.
#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld {

/// Padded base64 without line breaks. [any-thread]
std::string base64_encode(ByteView bytes);

/// Decodes padded base64. `Errc::InvalidArgument` for any other character, wrong padding or non-zero spare bits.
Result<Bytes> base64_decode(std::string_view text);

} // namespace keymeld
