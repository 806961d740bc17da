#include "core/base/base64.h"

namespace keymeld {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

} // namespace

std::string base64_encode(ByteView bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t left = bytes.size() - i;
        std::uint32_t group = std::uint32_t{bytes[i]} << 16;
        if (left > 1)
            group |= std::uint32_t{bytes[i + 1]} << 8;
        if (left > 2)
            group |= bytes[i + 2];
        out.push_back(kAlphabet[group >> 18 & 63]);
        out.push_back(kAlphabet[group >> 12 & 63]);
        out.push_back(left > 1 ? kAlphabet[group >> 6 & 63] : '=');
        out.push_back(left > 2 ? kAlphabet[group & 63] : '=');
    }
    return out;
}

Result<Bytes> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0)
        return fail(Errc::InvalidArgument, "base64 length is not a multiple of four");
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    Bytes out;
    out.reserve(text.size() / 4 * 3);
    std::uint32_t group = 0;
    int bits = 0;
    for (const char c : text.substr(0, text.size() - padding)) {
        const std::size_t value = kAlphabet.find(c);
        if (value == std::string_view::npos)
            return fail(Errc::InvalidArgument, "not a base64 character");
        group = group << 6 | static_cast<std::uint32_t>(value);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out.push_back(static_cast<std::uint8_t>(group >> bits & 0xff));
        }
    }
    if ((group & ((1u << bits) - 1)) != 0)
        return fail(Errc::InvalidArgument, "base64 has spare bits set");
    return out;
}

} // namespace keymeld
