// Finds, checks and loads plugins: <directory>/<name>.so, nothing else, no search path.
//
// Before any code of the file runs: it must be a regular file (no symbolic link), writable by its
// owner and group only, match the pin if there is one, be a native library and export the alias of
// descriptor.h. Then it is mapped and every field of its descriptor is checked; only then its
// factory is called. A library stays loaded until the process ends, because objects of it must
// never outlive it.
//
// Each error is one line "<file>: <reason>; <remedy>":
//   - ConfigInvalid: the directory or the name cannot be right.
//   - PluginMissing: no such file.
//   - PluginIncompatible: refused before its factory ran, because everybody may write to it, it is
//     not the pinned file, not a plugin, of another version or build, or calls itself otherwise.
//   - PluginWrongKind: a plugin for something else.
//   - PluginFailed: its factory threw or gave nothing.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/plugin/descriptor.h"

namespace keymeld::plugin {

class StoragePlugin;
class TransportPlugin;
class TweakPlugin;

/// "storage", "transport", "tweak". [any-thread]
std::string_view text(PluginKind kind);

/// What a plugin says about itself.
struct PluginInfo {
    std::filesystem::path file;
    PluginKind kind = PluginKind::Storage;
    std::string name;
    std::string version;
    ByteArray<32> sha256{}; ///< of the file; may be written as `sha256:` into the configuration
};

/// Thread rule: [startup].
class Loader {
  public:
    using Pin = std::optional<ByteArray<32>>;

    /// `directory` must be absolute.
    explicit Loader(std::filesystem::path directory);

    /// `name` as in the configuration, `pin` the SHA-256 that the file must have.
    Result<std::unique_ptr<StoragePlugin>> storage(std::string_view name, const Pin& pin) const;
    Result<std::unique_ptr<TransportPlugin>> transport(std::string_view name, const Pin& pin) const;
    Result<std::unique_ptr<TweakPlugin>> tweak(std::string_view name, const Pin& pin) const;

    /// Everything but calling the factory.
    Result<PluginInfo> inspect(std::string_view name, const Pin& pin = std::nullopt) const;
    /// The names of all .so files in the directory, sorted; whether they are plugins is what
    /// inspect() says.
    Result<std::vector<std::string>> names() const;

  private:
    std::filesystem::path m_directory;
};

} // namespace keymeld::plugin
