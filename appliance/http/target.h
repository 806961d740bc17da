// Request targets: percent-encoding and query parameters (RFC 3986). [any-thread]
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace keymeld::http {

/// A target in origin form ("/a?b") or absolute form ("http://host/a?b") in its parts, still encoded. nullopt for any other form.
struct Target {
    std::string path;
    std::string query;
};
std::optional<Target> split_target(std::string_view target);

/// Decodes %XX; nullopt for a broken escape.
std::optional<std::string> percent_decode(std::string_view text);

/// The decoded value of the first parameter `name`; nullopt if there is none. A broken escape gives the raw text, which no rule accepts.
/// "+" stands for itself: no parameter of the API has a space.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name);

} // namespace keymeld::http
