// What a KeyMeld plugin exports: one data symbol, a PluginDescriptor, under the alias `keymeld_plugin`.
//
// The loader reads the symbol without running plugin code, checks every field, and only then calls the factory.
// Plugins are C++ and share the process's heap and types, so they must be built with the same compiler, standard library and
// interface headers as the program: `build_fingerprint` says so and is compared for equality. Libraries are never unloaded.
// Plugins write the macro KEYMELD_PLUGIN of core/plugin/export.h.
#pragma once

#include <cstdint>

namespace keymeld::plugin {

enum class PluginKind : std::uint32_t { Storage = 1, Transport = 2, Tweak = 3 };

inline constexpr std::uint64_t kPluginMagic = 0x31476e6c64794b4dull; // "MKydlnG1", little endian
inline constexpr std::uint32_t kInterfaceVersion = 1;
/// The exported alias: a pointer to the descriptor, in section `boostdll`.
inline constexpr char kPluginAlias[] = "keymeld_plugin";

/// Plain data with a fixed layout: fields are only ever appended. Strings are literals of the plugin.
struct PluginDescriptor {
    std::uint64_t magic;             ///< kPluginMagic
    std::uint32_t size;              ///< sizeof(PluginDescriptor) in the plugin
    std::uint32_t interface_version; ///< kInterfaceVersion
    const char* build_fingerprint;   ///< KEYMELD_BUILD_FINGERPRINT
    PluginKind kind;
    const char* name;                ///< "storage-sqlite": also the file's name without .so
    const char* version;             ///< semantic version of the plugin
    /// Returns a new StoragePlugin, TransportPlugin or TweakPlugin (as `kind` says), owned by the caller; may throw.
    void* (*create)();
};

} // namespace keymeld::plugin
