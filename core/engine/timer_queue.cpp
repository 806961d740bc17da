#include "core/engine/timer_queue.h"

#include <boost/asio/post.hpp>

namespace keymeld::engine {

TimerQueue::Handle TimerQueue::at(SteadyTime when, std::function<void()> function) {
    if (m_stopped) {
        boost::asio::post(m_loop, std::move(function));
        return {};
    }
    const Handle handle{when, ++m_last};
    m_entries.emplace(std::pair(when, handle.number), std::move(function));
    if (!m_armed || when < *m_armed)
        arm();
    return handle;
}

void TimerQueue::cancel(Handle& handle) {
    if (handle.number != 0)
        m_entries.erase({handle.at, handle.number});
    handle = {};
}

void TimerQueue::stop() {
    if (std::exchange(m_stopped, true))
        return;
    ++m_run;
    m_timer.cancel();
    for (auto& [when, function] : std::exchange(m_entries, {}))
        boost::asio::post(m_loop, std::move(function));
}

void TimerQueue::arm() {
    m_armed = m_entries.begin()->first.first;
    m_timer.expires_at(*m_armed);
    m_timer.async_wait([this, run = ++m_run](const boost::system::error_code& error) {
        if (!error && run == m_run)
            run_due();
    });
}

void TimerQueue::run_due() {
    // A cancelled entry leaves the timer armed: it then finds nothing due, which is cheaper than arming it anew each time.
    m_armed.reset();
    const SteadyTime now = std::chrono::steady_clock::now();
    while (!m_stopped && !m_entries.empty() && m_entries.begin()->first.first <= now) {
        const auto function = std::move(m_entries.begin()->second);
        m_entries.erase(m_entries.begin());
        function();
    }
    if (!m_stopped && !m_entries.empty() && !m_armed)
        arm();
}

} // namespace keymeld::engine
