// Every deadline of the engine in one queue on one timer: setting and cancelling one costs a map entry.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/base/clock.h"

namespace keymeld::engine {

/// [loop]
class TimerQueue {
  public:
    /// Which entry; a default one names none. May be cancelled after it ran.
    struct Handle {
        SteadyTime at{};
        std::uint64_t number = 0;
    };

    explicit TimerQueue(boost::asio::io_context& loop) : m_loop(loop), m_timer(loop) {}

    /// Calls `function` once at `when` or soon after, in a turn of its own, unless cancelled.
    Handle at(SteadyTime when, std::function<void()> function);
    Handle after(std::chrono::milliseconds delay, std::function<void()> function) {
        return at(std::chrono::steady_clock::now() + delay, std::move(function));
    }
    void cancel(Handle& handle);
    /// Calls everything that waits, so that nobody waits for ever; what is added afterwards is called in the next turn.
    void stop();
    std::size_t size() const { return m_entries.size(); }

  private:
    void arm();
    void run_due();

    boost::asio::io_context& m_loop;
    boost::asio::steady_timer m_timer;
    std::map<std::pair<SteadyTime, std::uint64_t>, std::function<void()>> m_entries;
    std::optional<SteadyTime> m_armed;
    std::uint64_t m_run = 0;
    std::uint64_t m_last = 0;
    bool m_stopped = false;
};

} // namespace keymeld::engine
