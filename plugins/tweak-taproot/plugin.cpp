// The tweak plugin: the rules of rest-v1.md 5.5, which the enclave links as well.
#include "core/plugin/export.h"
#include "core/plugin/tweak.h"
#include "plugins/tweak-taproot/tweak_rules.h"

namespace keymeld::tweak_taproot {
namespace {

class TweakTaproot final : public plugin::TweakPlugin {
  public:
    Result<std::vector<musig::Tweak>> tweaks(const ByteArray<33>& aggregate33,
                                             const bitcoin::TweakConfig& config) const override {
        return tweaks_for(aggregate33, config);
    }
};

} // namespace
} // namespace keymeld::tweak_taproot

KEYMELD_PLUGIN(Tweak, "tweak-taproot", "1.0.0",
               [] { return new keymeld::tweak_taproot::TweakTaproot; });
