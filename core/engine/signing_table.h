// The signing sessions that the engine knows: unfinished ones, all of them; the latest of those that ended.
#pragma once

#include <set>

#include "core/engine/lru_cache.h"
#include "core/engine/signing_session.h"

namespace keymeld::engine {

struct EndedSigning {
    plugin::SigningRecord record;
    KeygenPtr keygen;
};

/// Where a signing session is: one of the two.
struct SigningRef {
    std::shared_ptr<SigningSession> active;
    std::shared_ptr<const EndedSigning> ended;

    const plugin::SigningRecord& record() const { return active ? active->record() : ended->record; }
    const KeygenPtr& keygen() const { return active ? active->keygen() : ended->keygen; }
    session::SigningStatus status() const { return active ? active->shown_status() : ended->record.status; }
    SigningView view() const;
};

/// [loop]
class SigningTable {
  public:
    explicit SigningTable(Hub& hub) : m_hub(hub), m_ended(kCached) {}

    std::optional<SigningRef> find(const SigningId& id);
    /// From memory or storage. NotFound; Overloaded if it is unfinished and not ours (now).
    Async<Result<SigningRef>> get(SigningId id, SteadyTime deadline);
    /// What a read of storage gave, the session with its keygen. As get().
    Result<SigningRef> take(const plugin::ReadAnswer& answer);

    void add(const std::shared_ptr<SigningSession>& session);
    void resume(KeygenPtr keygen, plugin::SigningBundle bundle);
    bool knows_unfinished(const SigningId& id) const { return m_active.contains(id) || m_reloading.contains(id); }
    std::size_t unfinished() const { return m_active.size() + m_reloading.size(); }
    /// Of them, under way rather than waiting for approvals: what the enclaves and storage have to do.
    std::size_t working() const { return m_working; }
    void forget(const SigningId& id) { m_ended.erase(id); }
    void forget_keygen(const KeygenId& id);
    void stop();

    // Called by the sessions:
    void ended(const plugin::SigningRecord& record, const KeygenPtr& keygen);
    void dropped(const SigningId& id);
    void reload(const SigningId& id);
    void count_working(bool more) { more ? ++m_working : --m_working; }

  private:
    static constexpr std::size_t kCached = 8192; // about 2 KB each

    Async<void> run_reload(SigningId id);

    Hub& m_hub;
    std::unordered_map<SigningId, std::shared_ptr<SigningSession>> m_active;
    std::set<SigningId> m_reloading;
    std::size_t m_working = 0;
    LruCache<SigningId, std::shared_ptr<const EndedSigning>> m_ended;
};

} // namespace keymeld::engine
