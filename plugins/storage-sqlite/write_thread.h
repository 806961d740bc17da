// The thread that owns the writing connection: group commit.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "plugins/storage-sqlite/checkpoint_thread.h"
#include "plugins/storage-sqlite/mutator.h"
#include "plugins/storage-sqlite/reader.h"

namespace keymeld::storage_sqlite {

class WriteThread {
  public:
    template <class T> using Callback = plugin::Storage::Callback<T>;

    static Result<std::unique_ptr<WriteThread>>
    start(Connection connection, std::unique_ptr<CheckpointThread> checkpoints);
    /// Runs what was submitted before it returns.
    ~WriteThread();

    /// [any-thread]
    void write(std::vector<plugin::Mutation> batch, Callback<void> done);
    void claim(const Lease& lease, Callback<plugin::Unfinished> done);
    /// Sessions and participants on record, as of the last commit.
    Totals totals() const;

  private:
    /// Most batches in one commit: bounds how long the first one waits for the last.
    static constexpr std::size_t kMaxGroup = 1000;
    /// A commit costs a flush and every page that it touched, whatever the number of batches. So where several came together last time,
    /// the next commit waits this long for more company; a batch alone never waits.
    static constexpr std::size_t kCrowd = 6;
    static constexpr std::size_t kFullGroup = 96;
    static constexpr std::chrono::microseconds kGather{2500};

    struct Job {
        Job() = default;
        // Without noexcept a growing queue would copy them.
        Job(Job&&) noexcept = default;
        Job& operator=(Job&&) noexcept = default;

        std::vector<plugin::Mutation> batch;
        Callback<void> done;
        std::optional<Lease> claim; ///< set: claims, and answers by `claimed`
        Callback<plugin::Unfinished> claimed;
        Status outcome{};
        plugin::Unfinished unfinished{};
    };

    explicit WriteThread(Connection connection, std::unique_ptr<CheckpointThread> checkpoints)
        : m_checkpoints(std::move(checkpoints)), m_connection(std::move(connection)) {
        m_connection.watch_log(m_log_pages);
    }
    void submit(Job job);
    void loop();
    void wait_for_work(std::unique_lock<std::mutex>& lock, std::size_t last_group);
    void run(std::vector<Job>& group);
    /// None: the first batch that fails ends the transaction. Savepoints: one that conflicts is
    /// undone alone.
    enum class Isolation { None, Savepoints };
    Status run_transaction(std::vector<Job>& group, Isolation isolation, Totals& changes);
    Status apply_in_savepoint(Job& job);
    Status apply(Job& job);
    void give_up(const std::optional<Lease>& lease_before);
    void note_flush_failure(const Error& error);

    std::unique_ptr<CheckpointThread> m_checkpoints;
    std::uint64_t m_log_pages = 0; // after the last commit
    Connection m_connection;
    std::unique_ptr<Mutator> m_mutator;
    std::unique_ptr<Reader> m_reader;
    Statement m_begin, m_commit, m_rollback, m_savepoint, m_release, m_undo;
    std::optional<Lease> m_lease;
    bool m_disk_unsure = false;

    mutable std::mutex m_mutex;
    std::condition_variable m_wake;
    std::vector<Job> m_queue; // guarded by m_mutex
    Totals m_totals;          // guarded by m_mutex
    /// Size of the queue that wakes the thread, 0 while it works. Guarded by m_mutex.
    std::size_t m_wake_at = 0;
    bool m_stopping = false;  // guarded by m_mutex
    std::thread m_thread;
};

} // namespace keymeld::storage_sqlite
