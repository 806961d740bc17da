#include "core/engine/keyed_lock.h"

namespace keymeld::engine {

Async<Result<KeyedLock::Held>> KeyedLock::acquire(Uuid key, SteadyTime deadline) {
    const auto [entry, free] = m_waiting.try_emplace(key);
    if (free)
        co_return Held(this, key);
    const OneShot<bool> turn(m_loop);
    entry->second.push_back(turn);
    const bool mine = co_await turn.wait_until(m_timers, deadline, false);
    if (!mine)
        co_return fail(Errc::DeadlineExceeded, "another request for the same session took too long");
    co_return Held(this, key);
}

void KeyedLock::release(const Uuid& key) {
    const auto entry = m_waiting.find(key);
    while (!entry->second.empty()) {
        const OneShot<bool> next = std::move(entry->second.front());
        entry->second.pop_front();
        if (!next.is_set()) { // else it gave up waiting
            next.set(true);
            return;
        }
    }
    m_waiting.erase(entry);
}

} // namespace keymeld::engine
