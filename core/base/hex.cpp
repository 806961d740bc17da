#include "core/base/hex.h"

#include <array>

namespace keymeld {
namespace {

constexpr std::uint8_t kNoDigit = 0xff;

/// Value of every character; whether capitals count is the table's.
constexpr std::array<std::uint8_t, 256> digit_table(bool capitals) {
    std::array<std::uint8_t, 256> table{};
    table.fill(kNoDigit);
    for (std::uint8_t i = 0; i < 10; ++i)
        table['0' + i] = i;
    for (std::uint8_t i = 0; i < 6; ++i) {
        table['a' + i] = static_cast<std::uint8_t>(10 + i);
        if (capitals)
            table['A' + i] = static_cast<std::uint8_t>(10 + i);
    }
    return table;
}
constexpr auto kAnyCase = digit_table(true);
constexpr auto kLowerCase = digit_table(false);

} // namespace

std::string hex_encode(ByteView bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out(bytes.size() * 2, '\0');
    char* at = out.data();
    for (const std::uint8_t byte : bytes) {
        *at++ = kDigits[byte >> 4];
        *at++ = kDigits[byte & 15];
    }
    return out;
}

Status hex_decode_into(std::string_view text, MutableByteView out, HexCase accepted) {
    if (text.size() != out.size() * 2)
        return fail(Errc::InvalidArgument, "hex text has the wrong length");
    const auto& table = accepted == HexCase::Any ? kAnyCase : kLowerCase;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::uint8_t high = table[static_cast<std::uint8_t>(text[2 * i])];
        const std::uint8_t low = table[static_cast<std::uint8_t>(text[2 * i + 1])];
        if (high == kNoDigit || low == kNoDigit)
            return fail(Errc::InvalidArgument, "not a hex digit");
        out[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return {};
}

Result<Bytes> hex_decode(std::string_view text, HexCase accepted) {
    if (text.size() % 2 != 0)
        return fail(Errc::InvalidArgument, "hex text has an odd length");
    Bytes out(text.size() / 2);
    KEYMELD_CHECK(hex_decode_into(text, out, accepted));
    return out;
}

} // namespace keymeld
