#include "core/musig/key_agg_cache.h"

#include <list>
#include <mutex>
#include <unordered_map>

#include "core/crypto/digest.h"

namespace keymeld::musig {
namespace {

using CacheId = crypto::Hash256;

// Collision resistant, because clients choose the keys: two key lists must never share an entry.
CacheId cache_id(std::span<const PlainPubKey> keys, std::span<const Tweak> tweaks) {
    crypto::Sha256 digest;
    const std::uint64_t count = keys.size();
    digest.update({reinterpret_cast<const std::uint8_t*>(&count), sizeof count});
    for (const PlainPubKey& key : keys)
        digest.update(key.bytes());
    for (const Tweak& tweak : tweaks) {
        const std::uint8_t mode = static_cast<std::uint8_t>(tweak.mode);
        digest.update({&mode, 1}).update(tweak.bytes32);
    }
    return digest.finish();
}

struct CacheIdHash {
    std::size_t operator()(const CacheId& id) const noexcept {
        std::size_t out;
        std::memcpy(&out, id.data(), sizeof out);
        return out;
    }
};

struct Entry {
    CacheId id;
    KeyAggContext context;
};

} // namespace

struct KeyAggCache::State {
    explicit State(std::size_t most_keys) : max_keys(most_keys) {}

    mutable std::mutex mutex;
    const std::size_t max_keys;
    std::list<Entry> entries; // most recently used first
    std::unordered_map<CacheId, std::list<Entry>::iterator, CacheIdHash> index;
    Stats stats;

    void drop_oldest() {
        const Entry& oldest = entries.back();
        stats.keys -= oldest.context.signer_count();
        index.erase(oldest.id);
        entries.pop_back();
    }
};

KeyAggCache::KeyAggCache(std::size_t max_keys) : m_state(std::make_unique<State>(max_keys)) {}
KeyAggCache::~KeyAggCache() = default;

Result<KeyAggContext> KeyAggCache::get(std::span<const PlainPubKey> ordered_keys,
                                       std::span<const Tweak> tweaks) {
    const CacheId id = cache_id(ordered_keys, tweaks);
    State& state = *m_state;
    {
        const std::lock_guard lock(state.mutex);
        const auto found = state.index.find(id);
        if (found != state.index.end()) {
            ++state.stats.hits;
            state.entries.splice(state.entries.begin(), state.entries, found->second);
            return found->second->context;
        }
        ++state.stats.misses;
    }
    // Outside the lock, so that a large aggregation holds nobody up; two threads may then make the
    // same one.
    KEYMELD_TRY(const KeyAggContext made, KeyAggContext::create(ordered_keys, tweaks));
    const std::lock_guard lock(state.mutex);
    if (made.signer_count() <= state.max_keys && !state.index.contains(id)) {
        state.entries.push_front({id, made});
        state.index.emplace(id, state.entries.begin());
        state.stats.keys += made.signer_count();
        while (state.stats.keys > state.max_keys)
            state.drop_oldest();
    }
    return made;
}

KeyAggCache::Stats KeyAggCache::stats() const {
    const std::lock_guard lock(m_state->mutex);
    Stats out = m_state->stats;
    out.entries = m_state->entries.size();
    return out;
}

} // namespace keymeld::musig
