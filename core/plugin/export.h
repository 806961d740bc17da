// For the one source file of a plugin that exports it, beside the interface header of its kind.
#pragma once

#include <boost/dll/alias.hpp>

#include "core/plugin/build_fingerprint.h"
#include "core/plugin/descriptor.h"

namespace keymeld::plugin {

class StoragePlugin;
class TransportPlugin;
class TweakPlugin;

/// The base class that a factory of this kind must return; the loader casts back to exactly this
/// type.
template <PluginKind kind> struct BaseOf;
template <> struct BaseOf<PluginKind::Storage> { using Type = StoragePlugin; };
template <> struct BaseOf<PluginKind::Transport> { using Type = TransportPlugin; };
template <> struct BaseOf<PluginKind::Tweak> { using Type = TweakPlugin; };

} // namespace keymeld::plugin

/// KEYMELD_PLUGIN(Storage, "storage-sqlite", "1.0.0", [] { return new SqlitePlugin; }) at global
/// namespace scope. The last argument is a callable that returns a pointer to the plugin object.
/// `plugin_name` is the file's name without .so.
#define KEYMELD_PLUGIN(plugin_kind, plugin_name, plugin_version, ...)                              \
    namespace keymeld_plugin_export {                                                              \
    static void* create() {                                                                        \
        using Kind = ::keymeld::plugin::PluginKind;                                                \
        typename ::keymeld::plugin::BaseOf<Kind::plugin_kind>::Type* made = (__VA_ARGS__)();       \
        return made;                                                                               \
    }                                                                                              \
    extern const ::keymeld::plugin::PluginDescriptor descriptor;                                   \
    const ::keymeld::plugin::PluginDescriptor descriptor = {                                       \
        ::keymeld::plugin::kPluginMagic,                                                           \
        sizeof(::keymeld::plugin::PluginDescriptor),                                               \
        ::keymeld::plugin::kInterfaceVersion,                                                      \
        KEYMELD_BUILD_FINGERPRINT,                                                                 \
        ::keymeld::plugin::PluginKind::plugin_kind,                                                \
        plugin_name,                                                                               \
        plugin_version,                                                                            \
        &create,                                                                                   \
    };                                                                                             \
    }                                                                                              \
    BOOST_DLL_ALIAS(keymeld_plugin_export::descriptor, keymeld_plugin)                             \
    static_assert(true, "a semicolon may follow")
