// The keygen sessions that the engine knows: unfinished ones, all of them; ended ones, as many as fit.
#pragma once

#include <set>

#include "core/engine/keygen_session.h"
#include "core/engine/lru_cache.h"

namespace keymeld::engine {

/// Where a keygen session is: one of the two.
struct KeygenRef {
    std::shared_ptr<KeygenSession> active;
    KeygenPtr ended;

    const plugin::KeygenRecord& record() const { return active ? active->record() : ended->record; }
    const std::vector<plugin::ParticipantRecord>& participants() const {
        return active ? active->participants() : ended->participants;
    }
    session::KeygenStatus status() const { return active ? active->shown_status() : ended->record.status; }
    std::optional<std::uint32_t> index_of(const UserId& user) const {
        return active ? active->index_of(user) : ended->index_of(user);
    }
    std::uint32_t coordinator() const { return record().coordinator_enclave_id; }
    KeygenView view(std::uint32_t signer_index) const;
};

/// [loop]
class KeygenTable {
  public:
    explicit KeygenTable(Hub& hub) : m_hub(hub), m_ended(kCachedParticipants) {}

    /// From memory, without asking storage; empty if it is not there.
    std::optional<KeygenRef> find(const KeygenId& id);
    /// From memory or storage. NotFound; Overloaded if it is unfinished and not ours (now).
    Async<Result<KeygenRef>> get(KeygenId id, SteadyTime deadline);
    /// What a read of storage gave: kept if it has ended. As get().
    Result<KeygenRef> take(const std::optional<plugin::KeygenBundle>& bundle);

    void add(const std::shared_ptr<KeygenSession>& session);
    void resume(plugin::KeygenBundle bundle);
    bool knows_unfinished(const KeygenId& id) const { return m_active.contains(id) || m_reloading.contains(id); }
    std::size_t unfinished() const { return m_active.size() + m_reloading.size(); }
    /// Deleted by retention.
    void forget(const KeygenId& id) { m_ended.erase(id); }
    void stop();

    // Called by the sessions:
    void ended(const KeygenId& id, KeygenPtr keygen);
    void dropped(const KeygenId& id);
    /// Storage refused a batch of it: it is read again after a while, until that works.
    void reload(const KeygenId& id);

  private:
    static constexpr std::size_t kCachedParticipants = 200'000; // about 40 MB

    Async<void> run_reload(KeygenId id);

    Hub& m_hub;
    std::unordered_map<KeygenId, std::shared_ptr<KeygenSession>> m_active;
    std::set<KeygenId> m_reloading;
    LruCache<KeygenId, KeygenPtr> m_ended; ///< weighed by participants
};

} // namespace keymeld::engine
