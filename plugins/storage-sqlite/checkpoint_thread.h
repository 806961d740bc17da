// The thread that moves the write-ahead log into the database file while commits go on.
//
// SQLite would do it inside a commit, which then takes tens of milliseconds, and all that wait
// behind it. The log can start again from its beginning only when all of it has been moved and
// nothing was added meanwhile, so the writer moves the last few pages itself, between two commits.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "plugins/storage-sqlite/database.h"

namespace keymeld::storage_sqlite {

class CheckpointThread {
  public:
    static std::unique_ptr<CheckpointThread> start(Connection connection);
    ~CheckpointThread();

    /// What a commit left in the log. Begins to move it if it is long; true when little of it is
    /// left to move and the caller should do that now. Waits for it if it is much too long, which
    /// holds up commits on a disk that is too slow for them. [writer thread]
    bool tend(std::uint64_t log_pages);

  private:
    /// 4,000 pages are 16 MiB; pages that were changed again and again are moved once.
    static constexpr std::uint64_t kLong = 4000;
    /// How much must be added before it is tried again, if a reader kept the log from starting
    /// again.
    static constexpr std::uint64_t kStep = 1000;
    static constexpr std::uint64_t kTooLong = 4 * kLong;
    static constexpr std::uint64_t kFew = 64;
    static constexpr int kPasses = 4;

    enum class State { Idle, Wanted, Moved };

    explicit CheckpointThread(Connection connection) : m_connection(std::move(connection)) {}
    void loop();
    void move();

    Connection m_connection;
    std::uint64_t m_next = kLong; // of the writer's thread only
    std::mutex m_mutex;
    std::condition_variable m_wake;
    std::condition_variable m_moved;
    State m_state = State::Idle; // guarded by m_mutex
    bool m_stopping = false;     // guarded by m_mutex
    std::thread m_thread;
};

} // namespace keymeld::storage_sqlite
