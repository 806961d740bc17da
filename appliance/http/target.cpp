#include "appliance/http/target.h"

namespace keymeld::http {
namespace {

int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

} // namespace

std::optional<Target> split_target(std::string_view target) {
    if (target.starts_with("http://") || target.starts_with("https://")) {
        target.remove_prefix(target.find("//") + 2);
        const std::size_t path = target.find_first_of("/?");
        target.remove_prefix(path == std::string_view::npos ? target.size() : path);
        if (target.empty())
            return Target{"/", ""};
        if (target.front() == '?')
            return Target{"/", std::string(target.substr(1))};
    }
    if (target.empty() || target.front() != '/')
        return std::nullopt;
    const std::size_t question = target.find('?');
    if (question == std::string_view::npos)
        return Target{std::string(target), ""};
    return Target{std::string(target.substr(0, question)), std::string(target.substr(question + 1))};
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
            return std::nullopt;
        out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
        i += 2;
    }
    return out;
}

std::optional<std::string> query_parameter(std::string_view query, std::string_view name) {
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), pair.size() + 1));
        const std::size_t equals = pair.find('=');
        const std::string_view key = pair.substr(0, equals);
        if (percent_decode(key).value_or(std::string(key)) != name)
            continue;
        const std::string_view value = equals == std::string_view::npos ? "" : pair.substr(equals + 1);
        return percent_decode(value).value_or(std::string(value));
    }
    return std::nullopt;
}

} // namespace keymeld::http
