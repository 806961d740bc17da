// Plugins with one thing wrong each, by the definitions of CMakeLists.txt beside. Without any, it
// is a good tweak plugin. The factories of those that must be refused earlier end the process, so a
// loader that called one would not go unseen.
#include <cstdlib>
#include <stdexcept>

#include "core/plugin/export.h"
#include "core/plugin/tweak.h"

#ifndef BROKEN_MAGIC
#define BROKEN_MAGIC keymeld::plugin::kPluginMagic
#endif
#ifndef BROKEN_SIZE
#define BROKEN_SIZE sizeof(keymeld::plugin::PluginDescriptor)
#endif
#ifndef BROKEN_INTERFACE
#define BROKEN_INTERFACE keymeld::plugin::kInterfaceVersion
#endif
#ifndef BROKEN_FINGERPRINT
#define BROKEN_FINGERPRINT KEYMELD_BUILD_FINGERPRINT
#endif
#ifndef BROKEN_CREATE
#define BROKEN_CREATE std::abort()
#endif
#ifndef BROKEN_FACTORY
#define BROKEN_FACTORY &create
#endif

namespace {

class NoTweaks final : public keymeld::plugin::TweakPlugin {
  public:
    keymeld::Result<std::vector<keymeld::musig::Tweak>>
    tweaks(const keymeld::ByteArray<33>&, const keymeld::bitcoin::TweakConfig&) const override {
        return std::vector<keymeld::musig::Tweak>{};
    }
};

[[maybe_unused]] keymeld::plugin::TweakPlugin* good() {
    return new NoTweaks;
}
[[maybe_unused]] void* create() {
    BROKEN_CREATE;
}

} // namespace

#ifdef BROKEN_UNDEFINED
extern "C" int keymeld_test_symbol_that_nobody_defines();
int use = keymeld_test_symbol_that_nobody_defines();
#endif

#ifdef BROKEN_SHORT
// Only what a loader may read before it knows the size.
struct Short {
    std::uint64_t magic;
    std::uint32_t size;
};
extern const Short descriptor;
const Short descriptor = {keymeld::plugin::kPluginMagic, sizeof(Short)};
#else
extern const keymeld::plugin::PluginDescriptor descriptor;
const keymeld::plugin::PluginDescriptor descriptor = {BROKEN_MAGIC,
                                                      BROKEN_SIZE,
                                                      BROKEN_INTERFACE,
                                                      BROKEN_FINGERPRINT,
                                                      keymeld::plugin::PluginKind::Tweak,
                                                      BROKEN_NAME,
                                                      "1.2.3",
                                                      BROKEN_FACTORY};
#endif

#ifndef BROKEN_NO_ALIAS
BOOST_DLL_ALIAS(descriptor, keymeld_plugin)
#endif
