#include "plugins/storage-sqlite/write_thread.h"

#include <sqlite3.h>

#include "core/base/clock.h"

namespace keymeld::storage_sqlite {
namespace {

/// Whether the failure of a batch leaves the transaction usable.
bool concerns_batch_alone(Errc code) {
    return code == Errc::StorageConflict || code == Errc::InvalidArgument;
}

} // namespace

Result<std::unique_ptr<WriteThread>> WriteThread::start(Connection connection,
                                                      std::unique_ptr<CheckpointThread> checkpoints) {
    std::unique_ptr<WriteThread> out(
        new WriteThread(std::move(connection), std::move(checkpoints)));
    Connection& db = out->m_connection;
    KEYMELD_TRY(Mutator mutator, Mutator::create(db));
    out->m_mutator = std::make_unique<Mutator>(std::move(mutator));
    KEYMELD_TRY(Reader reader, Reader::create(db));
    out->m_reader = std::make_unique<Reader>(std::move(reader));
    KEYMELD_TRY(out->m_begin, db.prepare("BEGIN IMMEDIATE"));
    KEYMELD_TRY(out->m_commit, db.prepare("COMMIT"));
    KEYMELD_TRY(out->m_rollback, db.prepare("ROLLBACK"));
    KEYMELD_TRY(out->m_savepoint, db.prepare("SAVEPOINT batch"));
    KEYMELD_TRY(out->m_release, db.prepare("RELEASE batch"));
    KEYMELD_TRY(out->m_undo, db.prepare("ROLLBACK TO batch"));
    KEYMELD_TRY(const auto keygens, db.first_number("SELECT count(*) FROM keygens"));
    KEYMELD_TRY(const auto signings, db.first_number("SELECT count(*) FROM signings"));
    KEYMELD_TRY(const auto participants, db.first_number("SELECT count(*) FROM participants"));
    out->m_totals.sessions = static_cast<std::int64_t>(keygens + signings);
    out->m_totals.participants = static_cast<std::int64_t>(participants);
    out->m_thread = std::thread(&WriteThread::loop, out.get());
    return out;
}

WriteThread::~WriteThread() {
    {
        const std::lock_guard lock(m_mutex);
        m_stopping = true;
    }
    m_wake.notify_one();
    if (m_thread.joinable())
        m_thread.join();
}

void WriteThread::write(std::vector<plugin::Mutation> batch, Callback<void> done) {
    Job job;
    job.batch = std::move(batch);
    job.done = std::move(done);
    submit(std::move(job));
}

void WriteThread::claim(const Lease& lease, Callback<plugin::Unfinished> done) {
    Job job;
    job.claim = lease;
    job.claimed = std::move(done);
    submit(std::move(job));
}

Totals WriteThread::totals() const {
    const std::lock_guard lock(m_mutex);
    return m_totals;
}

void WriteThread::submit(Job job) {
    bool wake = false;
    {
        const std::lock_guard lock(m_mutex);
        m_queue.push_back(std::move(job));
        wake = m_queue.size() == m_wake_at;
    }
    if (wake)
        m_wake.notify_one();
}

void WriteThread::wait_for_work(std::unique_lock<std::mutex>& lock, std::size_t last_group) {
    const auto has = [this] { return m_stopping || m_queue.size() >= m_wake_at; };
    m_wake_at = 1;
    m_wake.wait(lock, has);
    if (last_group >= kCrowd) {
        m_wake_at = kFullGroup;
        m_wake.wait_for(lock, kGather, has);
    }
    m_wake_at = 0;
}

void WriteThread::loop() {
    std::size_t last_group = 0;
    for (;;) {
        std::vector<Job> group;
        {
            std::unique_lock lock(m_mutex);
            wait_for_work(lock, last_group);
            if (m_queue.empty())
                return;
            if (m_queue.size() <= kMaxGroup) {
                group.swap(m_queue);
            } else {
                const auto end = m_queue.begin() + kMaxGroup;
                group.assign(std::make_move_iterator(m_queue.begin()),
                             std::make_move_iterator(end));
                m_queue.erase(m_queue.begin(), end);
            }
        }
        last_group = group.size();
        run(group);
        // What cannot be moved stays in the log, where it is safe.
        if (m_checkpoints->tend(m_log_pages))
            (void)m_connection.move_log();
    }
}

void WriteThread::run(std::vector<Job>& group) {
    Totals changes;
    const std::optional<Lease> lease_before = m_lease;
    // Conflicts are rare and savepoints are not free, so the first try is without.
    Status committed = run_transaction(group, Isolation::None, changes);
    if (!committed && concerns_batch_alone(committed.error().code)) {
        give_up(lease_before);
        changes = {};
        committed = run_transaction(group, Isolation::Savepoints, changes);
    }
    if (committed) {
        const std::lock_guard lock(m_mutex);
        m_totals += changes;
    } else {
        give_up(lease_before);
        for (Job& job : group)
            if (job.outcome)
                job.outcome = committed;
    }
    for (Job& job : group) {
        if (!job.claim)
            job.done(std::move(job.outcome));
        else if (job.outcome)
            job.claimed(std::move(job.unfinished));
        else
            job.claimed(std::move(job.outcome).error());
    }
}

void WriteThread::give_up(const std::optional<Lease>& lease_before) {
    if (m_connection.in_transaction())
        (void)m_rollback()
            .run(); // nothing of it is visible either way; the first error is reported
    m_lease = lease_before;
}

Status WriteThread::run_transaction(std::vector<Job>& group, Isolation isolation, Totals& changes) {
    if (m_disk_unsure)
        return fail(Errc::StorageFailed, "storage: an earlier write could not be flushed to the "
                                         "disk; check the disk and start again");
    KEYMELD_CHECK(m_begin().run());
    for (Job& job : group) {
        job.outcome = isolation == Isolation::None ? apply(job) : apply_in_savepoint(job);
        if (job.outcome)
            changes += job.claim ? Totals{} : m_mutator->totals();
        else if (isolation == Isolation::None || !concerns_batch_alone(job.outcome.error().code))
            return job.outcome;
    }
    const Status done = m_commit().run();
    if (!done)
        note_flush_failure(done.error());
    return done;
}

Status WriteThread::apply_in_savepoint(Job& job) {
    KEYMELD_CHECK(m_savepoint().run());
    const Status applied = apply(job);
    if (!applied) {
        // After a failed disk SQLite has ended the transaction, and the savepoint with it.
        if (!m_connection.in_transaction())
            return fail(Errc::StorageFailed, applied.error().detail);
        KEYMELD_CHECK(m_undo().run());
    }
    KEYMELD_CHECK(m_release().run());
    return applied;
}

Status WriteThread::apply(Job& job) {
    if (!job.claim)
        return m_mutator->apply(job.batch, m_lease);
    KEYMELD_CHECK(m_mutator->claim(*job.claim, unix_seconds()));
    KEYMELD_TRY(job.unfinished, m_reader->unfinished(job.claim->owner));
    m_lease = job.claim;
    return {};
}

// A failed fsync may have thrown the dirty pages away, and the next one then reports success for
// data that is lost.
void WriteThread::note_flush_failure(const Error& error) {
    const auto code = error.facts.find("sqlite");
    m_disk_unsure =
        code != error.facts.end() && (code->second == std::to_string(SQLITE_IOERR_FSYNC) ||
                                      code->second == std::to_string(SQLITE_IOERR_DIR_FSYNC));
}

} // namespace keymeld::storage_sqlite
