#include "core/config/scalar.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/config/yaml_tree.h"

namespace keymeld::config {
namespace {

bool name_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

struct Unit {
    std::string_view suffix;
    std::uint64_t factor;
};

template <std::size_t N>
std::optional<std::uint64_t> parse_with_unit(std::string_view text, const Unit (&units)[N],
                                             std::uint64_t max) {
    std::uint64_t factor = 1;
    for (const Unit& unit : units)
        if (text.ends_with(unit.suffix)) {
            factor = unit.factor;
            text.remove_suffix(unit.suffix.size());
            break;
        }
    const auto number = parse_integer(text);
    if (!number || *number > max / factor)
        return std::nullopt;
    return *number * factor;
}

} // namespace

std::optional<std::string> process_environment(std::string_view name) {
    const char* const value = std::getenv(std::string(name).c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

Result<std::string> substitute(std::string_view text, const Environment& environment) {
    std::string out;
    while (!text.empty()) {
        if (text.starts_with("$${")) {
            out += "${";
            text.remove_prefix(3);
            continue;
        }
        if (!text.starts_with("${")) {
            out.push_back(text.front());
            text.remove_prefix(1);
            continue;
        }
        const std::size_t end = text.find('}');
        const std::string_view name =
            end == std::string_view::npos ? std::string_view() : text.substr(2, end - 2);
        if (name.empty() || name.size() > 64 || (name.front() >= '0' && name.front() <= '9') ||
            !std::ranges::all_of(name, name_character))
            return fail(Errc::ConfigInvalid,
                        "a reference must be ${NAME}, NAME of letters, digits and _; write $${ for "
                        "a literal ${");
        const auto value = environment(name);
        if (!value)
            return fail(Errc::ConfigInvalid,
                        "environment variable " + std::string(name) + " is not set");
        if (value->size() > kMaxScalar || std::ranges::any_of(*value, [](char c) {
                return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
            }))
            return fail(Errc::ConfigInvalid, "environment variable " + std::string(name) +
                                                 " must be one line of at most 4096 bytes");
        out += *value;
        if (out.size() > kMaxScalar)
            return fail(Errc::ConfigInvalid, "the value is too long; at most 4096 bytes");
        text.remove_prefix(end + 1);
    }
    return out;
}

std::optional<std::uint64_t> parse_integer(std::string_view text) {
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc{} || stop != text.data() + text.size())
        return std::nullopt;
    return number;
}

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
    static constexpr Unit kUnits[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    const auto number = parse_with_unit(text, kUnits, 100ull * 365 * 86400);
    if (!number)
        return std::nullopt;
    return std::chrono::seconds(*number);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    static constexpr Unit kUnits[] = {{"KiB", 1024}, {"MiB", 1024 * 1024}};
    return parse_with_unit(text, kUnits, UINT64_MAX);
}

std::optional<Listen> parse_listen(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return std::nullopt;
    const auto port = parse_integer(text.substr(colon + 1));
    std::string_view host = text.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed)
        host = host.substr(1, host.size() - 2);
    Listen listen;
    listen.host = host;
    in6_addr address{};
    if (!port || *port > 65535 ||
        ::inet_pton(bracketed ? AF_INET6 : AF_INET, listen.host.c_str(), &address) != 1)
        return std::nullopt;
    listen.port = static_cast<std::uint16_t>(*port);
    return listen;
}

bool Listen::loopback() const {
    in_addr v4{};
    if (::inet_pton(AF_INET, host.c_str(), &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    in6_addr v6{};
    return ::inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string Listen::text() const {
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool valid_origin(std::string_view text) {
    if (text.size() > 256)
        return false;
    if (text.starts_with("https://"))
        text.remove_prefix(8);
    else if (text.starts_with("http://"))
        text.remove_prefix(7);
    else
        return false;
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               std::string_view(".-:[]").find(c) != std::string_view::npos;
    });
}

} // namespace keymeld::config
