// One request at a time per key: two that create, register or decide the same thing take their turns.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

#include "core/base/uuid.h"
#include "core/engine/async.h"

namespace keymeld::engine {

/// [loop]
class KeyedLock {
  public:
    KeyedLock(asio::io_context& loop, TimerQueue& timers) : m_loop(loop), m_timers(timers) {}

    class Held {
      public:
        Held() = default;
        Held(KeyedLock* lock, const Uuid& key) : m_lock(lock), m_key(key) {}
        Held(Held&& other) noexcept : m_lock(std::exchange(other.m_lock, nullptr)), m_key(other.m_key) {}
        Held& operator=(Held&& other) noexcept {
            std::swap(m_lock, other.m_lock);
            std::swap(m_key, other.m_key);
            return *this;
        }
        ~Held() {
            if (m_lock != nullptr)
                m_lock->release(m_key);
        }

      private:
        KeyedLock* m_lock = nullptr;
        Uuid m_key;
    };

    /// Waits for its turn; DeadlineExceeded if it does not come by then.
    Async<Result<Held>> acquire(Uuid key, SteadyTime deadline);

  private:
    void release(const Uuid& key);

    asio::io_context& m_loop;
    TimerQueue& m_timers;
    std::unordered_map<Uuid, std::deque<OneShot<bool>>> m_waiting; ///< an entry for each key that is held
};

} // namespace keymeld::engine
