#include "plugins/storage-sqlite/checkpoint_thread.h"

namespace keymeld::storage_sqlite {

std::unique_ptr<CheckpointThread> CheckpointThread::start(Connection connection) {
    std::unique_ptr<CheckpointThread> out(new CheckpointThread(std::move(connection)));
    out->m_thread = std::thread(&CheckpointThread::loop, out.get());
    return out;
}

CheckpointThread::~CheckpointThread() {
    {
        const std::lock_guard lock(m_mutex);
        m_stopping = true;
    }
    m_wake.notify_one();
    if (m_thread.joinable())
        m_thread.join();
}

bool CheckpointThread::tend(std::uint64_t log_pages) {
    if (log_pages < kLong) {
        m_next = kLong;
        return false;
    }
    if (log_pages < m_next)
        return false;
    {
        std::unique_lock lock(m_mutex);
        if (m_state == State::Idle) {
            m_state = State::Wanted;
            m_wake.notify_one();
        }
        if (log_pages >= kTooLong)
            m_moved.wait(lock, [this] { return m_state == State::Moved; });
        if (m_state == State::Wanted)
            return false;
        m_state = State::Idle;
    }
    m_next = log_pages + kStep;
    return true;
}

void CheckpointThread::loop() {
    std::unique_lock lock(m_mutex);
    for (;;) {
        m_wake.wait(lock, [this] { return m_stopping || m_state == State::Wanted; });
        if (m_stopping)
            return;
        lock.unlock();
        move();
        lock.lock();
        m_state = State::Moved;
        m_moved.notify_one();
    }
}

void CheckpointThread::move() {
    // Each pass leaves what was added while it ran. An error leaves everything in the log, where it
    // is safe, and the writer meets the same one.
    for (int pass = 0; pass < kPasses; ++pass) {
        const auto log = m_connection.move_log();
        if (!log || log->pages - log->moved <= kFew)
            return;
    }
}

} // namespace keymeld::storage_sqlite
