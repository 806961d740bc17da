// Key aggregation (BIP-327 KeyAgg, KeySort, ApplyTweak).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/bitcoin/keys.h"
#include "core/musig/contribution.h"
#include "core/musig/tweak.h"

namespace keymeld::musig {

using bitcoin::PlainPubKey;
using bitcoin::SecretKey;
using bitcoin::XOnlyPubKey;

/// KeySort: by the 33 bytes. Stable. [any-thread]
void key_sort(std::vector<PlainPubKey>& keys);

/// An ordered key list aggregated and tweaked. Public, immutable and cheap to copy (copies share
/// it); making one costs 34 us a key, so keep it or take it from a KeyAggCache. Thread rule: any
/// thread.
class KeyAggContext {
  public:
    /// Most keys and tweaks in one context.
    static constexpr std::size_t kMaxKeys = 1000;
    static constexpr std::size_t kMaxTweaks = 8;

    /// `ordered_keys` in aggregation order (equal keys are allowed), `tweaks` in order of
    /// application. `Errc::InvalidArgument` for no key or too many, `Errc::InvalidScalar` for a
    /// tweak not below the group order, `Errc::AggregateAtInfinity`.
    static Result<KeyAggContext> create(std::span<const PlainPubKey> ordered_keys,
                                        std::span<const Tweak> tweaks = {});

    std::size_t signer_count() const;
    const std::vector<PlainPubKey>& signer_keys() const;
    /// The aggregate before tweaks.
    const PlainPubKey& untweaked_key() const;
    /// The key that signatures are for, with its real parity.
    const PlainPubKey& key() const;
    /// The x-only form of key(): what BIP-340 verification takes.
    const XOnlyPubKey& x_only() const;
    const std::vector<Tweak>& tweaks() const;

    /// libsecp256k1's secp256k1_musig_keyagg_cache, for sources of core/musig.
    const ByteArray<197>& opaque() const;

  private:
    struct State;
    explicit KeyAggContext(std::shared_ptr<const State> state) : m_state(std::move(state)) {}

    std::shared_ptr<const State> m_state;
};

} // namespace keymeld::musig
