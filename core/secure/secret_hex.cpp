#include "core/secure/secret_hex.h"

#include "core/secure/cleanse.h"

namespace keymeld::secure {
namespace {

// All ones if low <= c <= high, else zero. A difference that goes below zero has its top bit set.
std::uint32_t in_range(std::uint32_t c, std::uint32_t low, std::uint32_t high) {
    return (((c - low) | (high - c)) >> 31) - 1;
}

// The value of a digit; clears `valid` if it is none.
std::uint32_t digit_value(std::uint32_t c, std::uint32_t& valid) {
    const std::uint32_t digit = in_range(c, '0', '9');
    const std::uint32_t lower = in_range(c, 'a', 'f');
    const std::uint32_t upper = in_range(c, 'A', 'F');
    valid &= digit | lower | upper;
    return ((c - '0') & digit) | ((c - 'a' + 10) & lower) | ((c - 'A' + 10) & upper);
}

std::uint8_t digit_text(std::uint32_t value) {
    const std::uint32_t above_nine = (9 - value) >> 31;
    return static_cast<std::uint8_t>('0' + value + above_nine * ('a' - '0' - 10));
}

} // namespace

Status secret_hex_decode_into(ByteView text, MutableByteView out) {
    if (text.size() != out.size() * 2)
        return fail(Errc::InvalidArgument, "secret hex text has the wrong length");
    std::uint32_t valid = ~0u;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::uint32_t high = digit_value(text[2 * i], valid);
        const std::uint32_t low = digit_value(text[2 * i + 1], valid);
        out[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    if (valid == 0) {
        cleanse(out);
        return fail(Errc::InvalidArgument, "secret hex text has a character that is no hex digit");
    }
    return {};
}

SecretBytes secret_to_hex(ByteView secret) {
    SecretBytes out(secret.size() * 2);
    const MutableByteView text = out.expose_mut();
    for (std::size_t i = 0; i < secret.size(); ++i) {
        text[2 * i] = digit_text(secret[i] >> 4);
        text[2 * i + 1] = digit_text(secret[i] & 15);
    }
    return out;
}

} // namespace keymeld::secure
