// The thread that owns the reading connection.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "plugins/storage-sqlite/reader.h"

namespace keymeld::storage_sqlite {

/// Runs jobs in the order of submission, those that wait together in one read transaction, begun
/// after they were taken: so each job sees every commit that ended before it was submitted.
class ReadThread {
  public:
    /// Either a reader inside a transaction, or the error that kept it from starting.
    using Job = std::function<void(Reader* reader, const Error* broken)>;

    static Result<std::unique_ptr<ReadThread>> start(Connection connection);
    /// Runs what was submitted before it returns.
    ~ReadThread();

    /// [any-thread]
    void submit(Job job);

  private:
    explicit ReadThread(Connection connection) : m_connection(std::move(connection)) {}
    void loop();
    void run(std::vector<Job>& jobs);

    Connection m_connection;
    std::unique_ptr<Reader> m_reader;
    Statement m_begin, m_commit;

    std::mutex m_mutex;
    std::condition_variable m_wake;
    std::vector<Job> m_queue; // guarded by m_mutex
    bool m_stopping = false;  // guarded by m_mutex
    std::thread m_thread;
};

} // namespace keymeld::storage_sqlite
