#include "plugins/storage-sqlite/read_thread.h"

namespace keymeld::storage_sqlite {

Result<std::unique_ptr<ReadThread>> ReadThread::start(Connection connection) {
    std::unique_ptr<ReadThread> out(new ReadThread(std::move(connection)));
    KEYMELD_TRY(Reader reader, Reader::create(out->m_connection));
    out->m_reader = std::make_unique<Reader>(std::move(reader));
    KEYMELD_TRY(out->m_begin, out->m_connection.prepare("BEGIN"));
    KEYMELD_TRY(out->m_commit, out->m_connection.prepare("COMMIT"));
    out->m_thread = std::thread(&ReadThread::loop, out.get());
    return out;
}

ReadThread::~ReadThread() {
    {
        const std::lock_guard lock(m_mutex);
        m_stopping = true;
    }
    m_wake.notify_one();
    if (m_thread.joinable())
        m_thread.join();
}

void ReadThread::submit(Job job) {
    {
        const std::lock_guard lock(m_mutex);
        m_queue.push_back(std::move(job));
    }
    m_wake.notify_one();
}

void ReadThread::loop() {
    for (;;) {
        std::vector<Job> jobs;
        {
            std::unique_lock lock(m_mutex);
            m_wake.wait(lock, [this] { return m_stopping || !m_queue.empty(); });
            if (m_queue.empty())
                return;
            jobs.swap(m_queue);
        }
        run(jobs);
    }
}

void ReadThread::run(std::vector<Job>& jobs) {
    const Status begun = m_begin().run();
    const Error* const broken = begun ? nullptr : &begun.error();
    for (const Job& job : jobs)
        job(m_reader.get(), broken);
    if (m_connection.in_transaction())
        (void)m_commit().run(); // ends a read; there is nothing to lose
}

} // namespace keymeld::storage_sqlite
