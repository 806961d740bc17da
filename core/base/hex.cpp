#include "core/base/hex.h"

namespace keymeld {
namespace {

int hex_value(char c, HexCase accepted) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (accepted == HexCase::Any && c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

} // namespace

std::string hex_encode(ByteView bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        out.push_back(kDigits[byte >> 4]);
        out.push_back(kDigits[byte & 15]);
    }
    return out;
}

Status hex_decode_into(std::string_view text, MutableByteView out, HexCase accepted) {
    if (text.size() != out.size() * 2)
        return fail(Errc::InvalidArgument, "hex text has the wrong length");
    for (std::size_t i = 0; i < out.size(); ++i) {
        const int high = hex_value(text[2 * i], accepted);
        const int low = hex_value(text[2 * i + 1], accepted);
        if (high < 0 || low < 0)
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
