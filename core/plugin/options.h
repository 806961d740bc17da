// Options of a plugin as the configuration gives them: a flat map of scalars, taken one by one; what is left over is unknown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace keymeld::plugin {

/// Every getter removes its key, so that `finish()` can refuse the keys nobody asked for.
/// Errors are `Errc::ConfigInvalid` and name the key and where it stands (file:line).
class Options {
  public:
    struct Value {
        std::string text;
        std::string where; ///< "config/sim.yaml:12"
    };

    Options() = default;
    /// `where` names the mapping itself; relative paths stand against `base`, the folder of the configuration file.
    explicit Options(std::map<std::string, Value> values, std::string where = {}, std::filesystem::path base = {});

    Result<std::string> required_text(std::string_view key);
    Result<std::string> text(std::string_view key, std::string_view fallback);
    /// Not empty; made absolute.
    Result<std::filesystem::path> required_path(std::string_view key);
    /// "true" or "false".
    Result<bool> flag(std::string_view key, bool fallback);
    Result<std::uint64_t> number(std::string_view key, std::uint64_t fallback, std::uint64_t min, std::uint64_t max);
    Result<std::uint64_t> required_number(std::string_view key, std::uint64_t min, std::uint64_t max);
    /// Fails if a key was not taken; names it and the keys that were asked for.
    Status finish() const;
    /// "config/sim.yaml:12": where the mapping stands, for messages of the plugin's own.
    const std::string& where() const { return m_where; }

  private:
    std::optional<Value> take(std::string_view key);
    Result<Value> take_required(std::string_view key);
    std::map<std::string, Value> m_values;
    std::vector<std::string> m_asked;
    std::string m_where;
    std::filesystem::path m_base;
};

} // namespace keymeld::plugin
