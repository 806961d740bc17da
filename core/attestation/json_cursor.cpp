#include "core/attestation/json_cursor.h"

#include <algorithm>

namespace keymeld::attestation {
namespace {

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20;
}

} // namespace

void JsonCursor::skip_space() {
    while (m_at < m_text.size() &&
           std::string_view(" \t\r\n").find(m_text[m_at]) != std::string_view::npos)
        ++m_at;
}

bool JsonCursor::accept(char wanted) {
    skip_space();
    if (m_at == m_text.size() || m_text[m_at] != wanted)
        return false;
    ++m_at;
    return true;
}

Status JsonCursor::expect(char wanted) {
    if (!accept(wanted))
        return error(std::string("expected ") + wanted);
    return {};
}

Result<std::string> JsonCursor::string() {
    KEYMELD_CHECK(expect('"'));
    std::string out;
    while (m_at < m_text.size() && m_text[m_at] != '"') {
        char c = m_text[m_at];
        if (is_control(c))
            return error("control character in a string");
        if (c == '\\') {
            if (++m_at == m_text.size())
                break;
            c = m_text[m_at];
            if (c != '"' && c != '\\' && c != '/')
                return error("an escape that is not used here");
        }
        out.push_back(c);
        ++m_at;
    }
    KEYMELD_CHECK(expect('"'));
    return out;
}

Status JsonCursor::end() {
    skip_space();
    if (m_at != m_text.size())
        return error("text after the end");
    return {};
}

Error JsonCursor::error(std::string_view what, std::source_location where) const {
    const std::string_view before = m_text.substr(0, m_at);
    const auto line = 1 + std::ranges::count(before, '\n');
    const std::size_t newline = before.rfind('\n');
    const std::size_t column = m_at - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
    std::string text(what);
    text += " (line " + std::to_string(line) + ", column " + std::to_string(column) + ")";
    return fail(Errc::ConfigInvalid, std::move(text), where);
}

std::string json_quote(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            out.push_back('\\');
        out.push_back(c);
    }
    out.push_back('"');
    return out;
}

} // namespace keymeld::attestation
