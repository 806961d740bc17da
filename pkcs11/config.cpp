#include "pkcs11/config.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <set>

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keymeld::pkcs11 {
namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\r'))
        text.remove_suffix(1);
    return text;
}

/// Reads lines; every failure names file, line and key.
class Reader {
  public:
    Reader(std::string_view text, const std::filesystem::path& name) : m_rest(text), m_name(name) {}

    Result<Config> read() {
        while (next_line()) {
            const bool item = m_line.starts_with("- ") || m_line == "-";
            if (m_indent == 0 && !item) {
                KEYMELD_CHECK(top_level());
                continue;
            }
            if (!m_in_tokens)
                return wrong("", "is indented, but belongs to nothing");
            if (item)
                KEYMELD_CHECK(begin_token());
            else if (m_config.tokens.empty() || m_indent != m_token_indent)
                return wrong("", "is indented in another way than the lines around it");
            if (!m_line.empty())
                KEYMELD_CHECK(token_line());
        }
        if (m_bad_character)
            return wrong("", "has a tab or another control character");
        for (const TokenConfig& token : m_config.tokens)
            if (token.credentials.empty())
                return Error(Errc::ConfigInvalid, m_name.string() + ": tokens: each needs `credentials`, the file of its credential store");
        if (m_config.tokens.empty())
            return Error(Errc::ConfigInvalid, m_name.string() + ": tokens: at least one is needed");
        return std::move(m_config);
    }

  private:
    /// The next line with content, without indentation and comment.
    bool next_line() {
        while (!m_rest.empty() && !m_bad_character) {
            const auto end = m_rest.find('\n');
            std::string_view line = m_rest.substr(0, end);
            m_rest = end == std::string_view::npos ? std::string_view() : m_rest.substr(end + 1);
            ++m_number;
            for (const char c : line)
                if (static_cast<unsigned char>(c) < 0x20 && c != '\r')
                    m_bad_character = true;
            line = without_comment(line);
            m_indent = line.find_first_not_of(' ');
            m_line = trimmed(line);
            if (!m_line.empty())
                return !m_bad_character;
        }
        return false;
    }

    static std::string_view without_comment(std::string_view line) {
        char quote = 0;
        for (std::size_t i = 0; i < line.size(); ++i) {
            if (quote != 0)
                quote = line[i] == quote ? '\0' : quote;
            else if (line[i] == '"' || line[i] == '\'')
                quote = line[i];
            else if (line[i] == '#' && (i == 0 || line[i - 1] == ' '))
                return line.substr(0, i);
        }
        return line;
    }

    Error wrong(std::string_view key, std::string_view what) const {
        return {Errc::ConfigInvalid,
                m_name.string() + ":" + std::to_string(m_number) + ": " + (key.empty() ? "" : std::string(key) + ": ") + std::string(what)};
    }

    /// Splits "key: value".
    Result<std::pair<std::string_view, std::string_view>> entry() const {
        const auto colon = m_line.find(':');
        if (colon == std::string_view::npos || colon == 0 || (colon + 1 < m_line.size() && m_line[colon + 1] != ' '))
            return wrong("", "is not of the form `key: value`");
        const std::string_view key = m_line.substr(0, colon);
        std::string_view value = trimmed(m_line.substr(colon + 1));
        if (!value.empty() && (value.front() == '"' || value.front() == '\'')) {
            if (value.size() < 2 || value.back() != value.front() || value.find(value.front(), 1) != value.size() - 1 ||
                value.find('\\') != std::string_view::npos)
                return wrong(key, "has a quoted text that is not closed, or has quotes or backslashes inside");
            value = value.substr(1, value.size() - 2);
        } else if (value.find_first_of("{}[]&*!|>%@`\"'") != std::string_view::npos) {
            return wrong(key, "has YAML that this file may not use: put the value in quotes");
        }
        return std::pair(key, value);
    }

    Status top_level() {
        KEYMELD_TRY(const auto pair, entry());
        const auto [key, value] = pair;
        if (!m_top_seen.emplace(key).second)
            return wrong(key, "is there twice");
        m_in_tokens = key == "tokens";
        if (m_in_tokens)
            return value.empty() ? Status() : Status(wrong(key, "is a list: one `- credentials: FILE` a line below it"));
        if (key != "log")
            return wrong(key, "is no setting; there are log and tokens");
        if (value == "off")
            m_config.log = log::Level::Off;
        else if (value == "error")
            m_config.log = log::Level::Error;
        else if (value == "info")
            m_config.log = log::Level::Info;
        else
            return wrong(key, "is one of off, error, info");
        return {};
    }

    Status begin_token() {
        if (m_config.tokens.size() == Config::kMaxTokens)
            return wrong("tokens", "are at most " + std::to_string(Config::kMaxTokens));
        m_config.tokens.emplace_back();
        m_token_seen.clear();
        const std::string_view after = m_line.substr(1);
        const auto start = after.find_first_not_of(' ');
        m_token_indent = m_indent + (start == std::string_view::npos ? 2 : start + 1);
        m_line = trimmed(after);
        return {};
    }

    Status token_line() {
        KEYMELD_TRY(const auto pair, entry());
        const auto [key, value] = pair;
        TokenConfig& token = m_config.tokens.back();
        if (!m_token_seen.emplace(key).second)
            return wrong(key, "is there twice");
        if (value.empty())
            return wrong(key, "has no value");
        if (key == "credentials")
            token.credentials = m_name.parent_path() / value;
        else if (key == "pin-file")
            token.pin_file = m_name.parent_path() / value;
        else if (key == "sign_timeout")
            return seconds(key, value, 1, 86'400, token.sign_timeout);
        else if (key == "refresh_secs")
            return seconds(key, value, 0, 86'400, token.refresh);
        else if (key == "generate_keys" && (value == "true" || value == "false"))
            token.generate_keys = value == "true";
        else if (key == "generate_keys")
            return wrong(key, "is true or false");
        else
            return wrong(key, "is no setting of a token; there are credentials, pin-file, sign_timeout, refresh_secs, generate_keys");
        return {};
    }

    Status seconds(std::string_view key, std::string_view value, long min, long max, std::chrono::seconds& out) const {
        long number = 0;
        if (value.size() > 1 && value.ends_with('s'))
            value.remove_suffix(1);
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (error != std::errc() || end != value.data() + value.size() || number < min || number > max)
            return wrong(key, "is a number of seconds, " + std::to_string(min) + " to " + std::to_string(max));
        out = std::chrono::seconds(number);
        return {};
    }

    std::string_view m_rest;
    const std::filesystem::path& m_name;
    Config m_config;
    std::set<std::string, std::less<>> m_top_seen;
    std::set<std::string, std::less<>> m_token_seen;
    std::string_view m_line;
    std::size_t m_indent = 0;
    std::size_t m_token_indent = 0;
    unsigned m_number = 0;
    bool m_in_tokens = false;
    bool m_bad_character = false;
};

} // namespace

Result<Config> Config::parse(std::string_view text, const std::filesystem::path& name) { return Reader(text, name).read(); }

Result<std::filesystem::path> Config::find() {
    const std::filesystem::path system = "/etc/keymeld/pkcs11.yaml";
    std::string places = system.string();
    if (::getauxval(AT_SECURE) == 0) {
        if (const char* named = std::getenv("KEYMELD_PKCS11_CONFIG"); named != nullptr && *named != '\0')
            return std::filesystem::path(named);
        if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
            const std::filesystem::path own = std::filesystem::path(home) / ".config/keymeld/pkcs11.yaml";
            if (::access(own.c_str(), F_OK) == 0)
                return own;
            places = own.string() + " and " + places;
        }
    }
    if (::access(system.c_str(), F_OK) == 0)
        return system;
    return fail(Errc::ConfigInvalid, "no configuration: KEYMELD_PKCS11_CONFIG is not set, and there is no file at " + places);
}

Result<Config> Config::load() {
    KEYMELD_TRY(const std::filesystem::path path, find());
    const auto bad = [&path](std::string_view what) { return fail(Errc::ConfigInvalid, path.string() + ": " + std::string(what)); };
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return bad(std::strerror(errno));
    std::string text(kMaxFile + 1, '\0');
    struct stat info {};
    ssize_t got = -1;
    const bool known = ::fstat(fd, &info) == 0;
    if (known && S_ISREG(info.st_mode))
        got = ::read(fd, text.data(), text.size());
    ::close(fd);
    if (!known || !S_ISREG(info.st_mode) || got < 0)
        return bad("cannot be read");
    if ((info.st_mode & 022) != 0 || (info.st_uid != ::geteuid() && info.st_uid != 0))
        return bad("others than you and root can write it: chown it and chmod 644 it");
    text.resize(static_cast<std::size_t>(got));
    if (text.size() > kMaxFile)
        return bad("is too large");
    return parse(text, path);
}

} // namespace keymeld::pkcs11
