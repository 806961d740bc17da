#include "appliance/json/writer.h"

#include <charconv>

#include "core/base/hex.h"
#include "core/base/utf8.h"

namespace keymeld::json {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

/// How much of the start needs no look at more than one byte: printable ASCII but for quote and backslash.
std::size_t plain_length(std::string_view text) {
    std::size_t n = 0;
    while (n < text.size() && text[n] >= 0x20 && text[n] < 0x7f && text[n] != '"' && text[n] != '\\')
        ++n;
    return n;
}

void append_escaped(std::string& out, char c) {
    switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20)
            out.append("\\u00").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
        else
            out += c;
    }
    }
}

} // namespace

void Writer::separate() {
    if (m_need_comma)
        m_out += ',';
    m_need_comma = true;
}

Writer& Writer::begin_object() {
    separate();
    m_out += '{';
    m_need_comma = false;
    return *this;
}

Writer& Writer::end_object() {
    m_out += '}';
    m_need_comma = true;
    return *this;
}

Writer& Writer::begin_array() {
    separate();
    m_out += '[';
    m_need_comma = false;
    return *this;
}

Writer& Writer::end_array() {
    m_out += ']';
    m_need_comma = true;
    return *this;
}

Writer& Writer::key(std::string_view name) {
    text(name);
    m_out += ':';
    m_need_comma = false;
    return *this;
}

Writer& Writer::text(std::string_view value) {
    separate();
    m_out += '"';
    while (!value.empty()) {
        // Most text is plain: it goes in one piece.
        const std::size_t plain = plain_length(value);
        m_out.append(value.substr(0, plain));
        value.remove_prefix(plain);
        if (value.empty())
            break;
        const std::size_t length = utf8_sequence(value);
        if (length == 1)
            append_escaped(m_out, value.front());
        else if (length == 0)
            m_out += "\xef\xbf\xbd";
        else
            m_out += value.substr(0, length);
        value.remove_prefix(length == 0 ? 1 : length);
    }
    m_out += '"';
    return *this;
}

Writer& Writer::boolean(bool value) {
    separate();
    m_out += value ? "true" : "false";
    return *this;
}

Writer& Writer::null() {
    separate();
    m_out += "null";
    return *this;
}

Writer& Writer::write_number(std::uint64_t value) {
    separate();
    char digits[20];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
    m_out.append(digits, end);
    return *this;
}

Writer& Writer::number(std::int64_t value) {
    separate();
    m_out += std::to_string(value);
    return *this;
}

Writer& Writer::hex(ByteView bytes) {
    separate();
    m_out.append("\"").append(hex_encode(bytes)).append("\"");
    return *this;
}

Writer& Writer::byte_array(ByteView bytes) {
    begin_array();
    for (const std::uint8_t byte : bytes)
        write_number(byte);
    return end_array();
}

Writer& Writer::raw(std::string_view json) {
    separate();
    m_out += json;
    return *this;
}

} // namespace keymeld::json
