// Tweak plugin: turns (untweaked aggregate key, tweak configuration) into the list of BIP-327 tweaks (rest-v1.md 5.5).
//
// The gateway uses it only to predict what the enclave will say. The enclave links the same rules and recomputes.
#pragma once

#include <vector>

#include "core/base/result.h"
#include "core/bitcoin/tweak_config.h"
#include "core/musig/tweak.h"

namespace keymeld::plugin {

class TweakPlugin {
  public:
    virtual ~TweakPlugin() = default;
    /// Tweaks in the order of application. `aggregate33` is public, compressed. `Errc::InvalidScalar` for a tweak that is not
    /// below the group order, `Errc::InvalidArgument` for a key that is not compressed or a value with a type that takes none,
    /// `Errc::Unsupported` for a type this plugin does not know. [any-thread]
    virtual Result<std::vector<musig::Tweak>> tweaks(const ByteArray<33>& aggregate33,
                                                     const bitcoin::TweakConfig& config) const = 0;
};

} // namespace keymeld::plugin
