#include "plugins/storage-sqlite/sqlite_storage.h"

#include <sqlite3.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "plugins/storage-sqlite/file_lock.h"
#include "plugins/storage-sqlite/read_thread.h"
#include "plugins/storage-sqlite/write_thread.h"

namespace keymeld::storage_sqlite {
namespace {

namespace fs = std::filesystem;

class SqliteStorage final : public plugin::Storage {
  public:
    SqliteStorage(FileLock lock, std::unique_ptr<WriteThread> writer,
                  std::unique_ptr<ReadThread> reader)
        : m_lock(std::move(lock)), m_writer(std::move(writer)), m_reader(std::move(reader)) {}

    void write(std::vector<plugin::Mutation> batch, Callback<void> done) override {
        m_writer->write(std::move(batch), std::move(done));
    }
    void claim_unfinished(Uuid owner, std::uint64_t lease_until_unix,
                          Callback<plugin::Unfinished> done) override {
        m_writer->claim({owner, lease_until_unix}, std::move(done));
    }
    void read(plugin::ReadBatch questions, Callback<plugin::ReadAnswer> done) override {
        m_reader->submit([questions = std::move(questions),
                          done = std::move(done)](Reader* reader, const Error* broken) {
            done(broken ? Result<plugin::ReadAnswer>(*broken) : reader->answer(questions));
        });
    }
    void ended_before(plugin::EndedKind kind, std::uint64_t before_unix, std::uint32_t limit,
                      Callback<std::vector<Uuid>> done) override {
        m_reader->submit([=, done = std::move(done)](Reader* reader, const Error* broken) {
            done(broken ? Result<std::vector<Uuid>>(*broken)
                        : reader->ended_before(kind, before_unix, limit));
        });
    }
    void stats(Callback<plugin::StorageStats> done) override {
        m_reader->submit([this, done = std::move(done)](Reader* reader, const Error* broken) {
            done(broken ? Result<plugin::StorageStats>(*broken) : read_stats(*reader));
        });
    }

  private:
    Result<plugin::StorageStats> read_stats(Reader& reader) {
        plugin::StorageStats out;
        const Totals totals = m_writer->totals();
        out.total_sessions = static_cast<std::uint64_t>(totals.sessions);
        out.total_participants = static_cast<std::uint64_t>(totals.participants);
        KEYMELD_TRY(out.active_sessions, reader.count_active());
        KEYMELD_TRY(out.database_size_bytes, reader.database_size());
        return out;
    }

    // Destroyed from the last to the first: the last connection that closes moves the WAL into the
    // file, under the lock.
    FileLock m_lock;
    std::unique_ptr<WriteThread> m_writer;
    std::unique_ptr<ReadThread> m_reader;
};

/// Makes the file if need be, for the owner only. SQLite gives its -wal and -shm files the same
/// mode.
Status prepare_file(const fs::path& path) {
    std::error_code error;
    if (!fs::exists(path.parent_path(), error)) {
        fs::create_directories(path.parent_path(), error);
        if (error)
            return fail(Errc::StorageFailed, "storage: cannot create " +
                                                 path.parent_path().string() + ": " +
                                                 error.message());
        fs::permissions(path.parent_path(), fs::perms::owner_all, error);
    }
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    const bool made = fd >= 0 && ::fchmod(fd, 0600) == 0;
    const int why = errno;
    if (fd >= 0)
        ::close(fd);
    if (!made)
        return fail(Errc::StorageFailed,
                    "storage: cannot open " + path.string() + ": " + std::strerror(why));
    return {};
}

std::string cache_pragma(const Settings& settings) {
    return "PRAGMA cache_size = -" + std::to_string(std::uint64_t{settings.cache_mib} * 1024);
}

Result<Connection> open_writer(const Settings& settings) {
    KEYMELD_TRY(
        Connection connection,
        Connection::open(settings.path, Connection::Access::ReadWrite, settings.busy_timeout_ms));
    // The first statement that touches the file, so that damage is found before anything is
    // written.
    KEYMELD_TRY(const auto version, connection.first_number("PRAGMA user_version"));
    if (version != 0)
        KEYMELD_CHECK(check_integrity(connection, settings.check));
    KEYMELD_TRY(const auto mode, connection.first_text("PRAGMA journal_mode = WAL"));
    if (mode != "wal")
        return fail(Errc::StorageFailed,
                    "storage: " + settings.path.string() +
                        " is on a file system without shared memory, which WAL needs; use a local "
                        "disk");
    KEYMELD_CHECK(
        connection.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
                        "PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON; "
                        "PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 67108864"));
    KEYMELD_CHECK(connection.exec(cache_pragma(settings)));
    KEYMELD_CHECK(migrate(connection));
    // The file lock is ours, so whoever held these leases is gone.
    KEYMELD_CHECK(connection.exec(
        "BEGIN IMMEDIATE; "
        "UPDATE keygens SET owner = NULL, lease_until = NULL WHERE status = "
        "'collecting_participants' AND owner IS NOT NULL; "
        "UPDATE signings SET owner = NULL, lease_until = NULL WHERE status NOT IN ('completed', "
        "'failed') AND owner IS NOT NULL; COMMIT"));
    return connection;
}

Result<Connection> open_checkpoints(const Settings& settings) {
    KEYMELD_TRY(
        Connection connection,
        Connection::open(settings.path, Connection::Access::ReadWrite, settings.busy_timeout_ms));
    KEYMELD_CHECK(connection.exec("PRAGMA synchronous = FULL"));
    KEYMELD_CHECK(connection.first_number("PRAGMA user_version")); // has it find the log
    return connection;
}

Result<Connection> open_reader(const Settings& settings) {
    KEYMELD_TRY(Connection connection, Connection::open(settings.path, Connection::Access::ReadOnly,
                                                        settings.busy_timeout_ms));
    KEYMELD_CHECK(connection.exec("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY"));
    KEYMELD_CHECK(connection.exec(cache_pragma(settings)));
    return connection;
}

} // namespace

Result<std::unique_ptr<plugin::Storage>> open_storage(const Settings& settings) {
    // Nobody reads the statistics of SQLite's allocator, and they cost a lock for each allocation. Once
    // SQLite is in use this is refused, and they stay.
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    KEYMELD_CHECK(prepare_file(settings.path));
    KEYMELD_TRY(FileLock lock, FileLock::take(settings.path));
    KEYMELD_TRY(Connection writer, open_writer(settings));
    KEYMELD_TRY(Connection reader, open_reader(settings));
    KEYMELD_TRY(Connection checkpoints, open_checkpoints(settings));
    KEYMELD_TRY(auto write_thread,
                WriteThread::start(std::move(writer),
                                   CheckpointThread::start(std::move(checkpoints))));
    KEYMELD_TRY(auto read_thread, ReadThread::start(std::move(reader)));
    return std::unique_ptr<plugin::Storage>(std::make_unique<SqliteStorage>(
        std::move(lock), std::move(write_thread), std::move(read_thread)));
}

} // namespace keymeld::storage_sqlite
