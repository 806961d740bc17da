// Those who wait for a session to change: long polls and event streams.
#pragma once

#include <vector>

#include "core/engine/async.h"

namespace keymeld::engine {

/// [loop]
class Waiters {
  public:
    Waiters(asio::io_context& loop, TimerQueue& timers) : m_loop(loop), m_timers(timers) {}

    /// Until wake() or `until`.
    Async<void> wait(SteadyTime until) {
        const OneShot<bool> change(m_loop);
        std::erase_if(m_waiting, [](const OneShot<bool>& other) { return other.is_set(); });
        m_waiting.push_back(change);
        co_await change.wait_until(m_timers, until, false);
    }

    void wake() {
        for (const OneShot<bool>& change : std::exchange(m_waiting, {}))
            change.set(true);
    }

  private:
    asio::io_context& m_loop;
    TimerQueue& m_timers;
    std::vector<OneShot<bool>> m_waiting;
};

} // namespace keymeld::engine
