#include "core/plugin/options.h"

#include <charconv>

namespace keymeld::plugin {
namespace {

std::string in_quotes(std::string_view text) {
    return "'" + std::string(text) + "'";
}

Error wrong(const Options::Value& value, std::string_view key, std::string_view allowed) {
    return fail(Errc::ConfigInvalid,
                value.where + ": " + std::string(key) + " must be " + std::string(allowed));
}

Result<std::uint64_t> parse_number(const Options::Value& value, std::string_view key,
                                   std::uint64_t min, std::uint64_t max) {
    std::uint64_t number = 0;
    const char* const end = value.text.data() + value.text.size();
    const auto [stop, error] = std::from_chars(value.text.data(), end, number);
    if (error != std::errc{} || stop != end || number < min || number > max)
        return wrong(value, key,
                     "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return number;
}

} // namespace

Options::Options(std::map<std::string, Value> values, std::string where, std::filesystem::path base)
    : m_values(std::move(values)), m_where(std::move(where)), m_base(std::move(base)) {}

std::optional<Options::Value> Options::take(std::string_view key) {
    m_asked.emplace_back(key);
    auto node = m_values.extract(std::string(key));
    if (node.empty())
        return std::nullopt;
    return std::move(node.mapped());
}

Result<Options::Value> Options::take_required(std::string_view key) {
    if (auto value = take(key))
        return *std::move(value);
    return fail(Errc::ConfigInvalid, m_where + ": " + std::string(key) + " is missing");
}

Result<std::string> Options::required_text(std::string_view key) {
    KEYMELD_TRY(Value value, take_required(key));
    return std::move(value.text);
}

Result<std::string> Options::text(std::string_view key, std::string_view fallback) {
    auto value = take(key);
    return value ? std::move(value->text) : std::string(fallback);
}

Result<std::filesystem::path> Options::required_path(std::string_view key) {
    KEYMELD_TRY(const Value value, take_required(key));
    if (value.text.empty() || value.text.find('\0') != std::string::npos)
        return wrong(value, key, "a path");
    const auto path = (m_base / value.text).lexically_normal();
    if (!path.is_absolute() || path.filename().empty())
        return wrong(value, key, "the path of a file");
    return path;
}

Result<bool> Options::flag(std::string_view key, bool fallback) {
    const auto value = take(key);
    if (!value)
        return fallback;
    if (value->text == "true")
        return true;
    if (value->text == "false")
        return false;
    return wrong(*value, key, "true or false");
}

Result<std::uint64_t> Options::number(std::string_view key, std::uint64_t fallback,
                                      std::uint64_t min, std::uint64_t max) {
    const auto value = take(key);
    return value ? parse_number(*value, key, min, max) : Result<std::uint64_t>(fallback);
}

Result<std::uint64_t> Options::required_number(std::string_view key, std::uint64_t min,
                                               std::uint64_t max) {
    KEYMELD_TRY(const Value value, take_required(key));
    return parse_number(value, key, min, max);
}

Status Options::finish() const {
    if (m_values.empty())
        return {};
    const auto& [key, value] = *m_values.begin();
    std::string known;
    for (const std::string& asked : m_asked)
        known += (known.empty() ? "" : ", ") + asked;
    return fail(Errc::ConfigInvalid, value.where + ": unknown option " + in_quotes(key) +
                                         "; known: " + (known.empty() ? "none" : known));
}

} // namespace keymeld::plugin
