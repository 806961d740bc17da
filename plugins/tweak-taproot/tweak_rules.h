// Which BIP-327 tweaks a taproot_tweak_config stands for (rest-v1.md 5.5). One set of rules for gateway, enclave and client.
#pragma once

#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/bitcoin/tweak_config.h"
#include "core/musig/tweak.h"

namespace keymeld::tweak_taproot {

/// Tweaks in order of application: none, or one. `aggregate33` is the untweaked aggregate, compressed; everything is public.
/// `Errc::InvalidScalar` for a plain or x-only tweak that is not below the group order, `Errc::InvalidArgument` for bytes that are not a
/// compressed key. [any-thread]
Result<std::vector<musig::Tweak>> tweaks_for(const ByteArray<33>& aggregate33, const bitcoin::TweakConfig& config);

} // namespace keymeld::tweak_taproot
