#include "plugins/storage-sqlite/database.h"

#include <sqlite3.h>

#include <cstring>
#include <limits>

namespace keymeld::storage_sqlite {

Error sqlite_error(int extended_code, std::string_view doing) {
    Errc code = Errc::StorageFailed;
    std::string_view why = sqlite3_errstr(extended_code);
    switch (extended_code & 0xff) {
    case SQLITE_CONSTRAINT:
        if (extended_code == SQLITE_CONSTRAINT_UNIQUE ||
            extended_code == SQLITE_CONSTRAINT_PRIMARYKEY ||
            extended_code == SQLITE_CONSTRAINT_ROWID)
            code = Errc::StorageConflict;
        else
            code = Errc::InvalidArgument; // a value that the schema does not allow
        break;
    case SQLITE_TOOBIG:
        code = Errc::InvalidArgument;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = Errc::StorageCorrupt;
        break;
    case SQLITE_FULL:
        why = "the disk is full";
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        why = "another program holds a lock on the database";
        break;
    default: // SQLite's codes are not an enumeration of ours
        break;
    }
    return fail(code, "storage: " + std::string(doing) + ": " + std::string(why))
        .with("sqlite", std::to_string(extended_code));
}

Query::~Query() {
    if (m_statement == nullptr)
        return;
    sqlite3_reset(m_statement);
    sqlite3_clear_bindings(m_statement);
}

void Query::bind(int index, std::int64_t value) {
    sqlite3_bind_int64(m_statement, index, value);
}

void Query::bind(int index, std::uint64_t value) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        m_error = Errc::InvalidArgument;
    bind(index, static_cast<std::int64_t>(value));
}

void Query::bind(int index, std::string_view value) {
    if (sqlite3_bind_text64(m_statement, index, value.data() ? value.data() : "", value.size(),
                            SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK)
        m_error = Errc::InvalidArgument;
}

void Query::bind(int index, ByteView value) {
    // A null pointer would be stored as NULL and not as an empty blob.
    static constexpr std::uint8_t kEmpty = 0;
    if (sqlite3_bind_blob64(m_statement, index, value.empty() ? &kEmpty : value.data(),
                            value.size(), SQLITE_STATIC) != SQLITE_OK)
        m_error = Errc::InvalidArgument;
}

void Query::bind_null(int index) {
    sqlite3_bind_null(m_statement, index);
}

Result<bool> Query::next() {
    if (m_error)
        return fail(*m_error, "storage: a value is too large to be stored");
    const int code = sqlite3_step(m_statement);
    if (code == SQLITE_ROW)
        return true;
    if (code == SQLITE_DONE)
        return false;
    return sqlite_error(sqlite3_extended_errcode(sqlite3_db_handle(m_statement)), "query");
}

Status Query::run() {
    for (;;) {
        KEYMELD_TRY(const bool row, next());
        if (!row)
            return {};
    }
}

bool Query::is_null(int column) const {
    return sqlite3_column_type(m_statement, column) == SQLITE_NULL;
}

std::uint64_t Query::number(int column) {
    const std::int64_t value = sqlite3_column_int64(m_statement, column);
    if (value < 0)
        m_damaged = true;
    return static_cast<std::uint64_t>(value);
}

std::uint32_t Query::number32(int column) {
    const std::uint64_t value = number(column);
    if (value > std::numeric_limits<std::uint32_t>::max())
        m_damaged = true;
    return static_cast<std::uint32_t>(value);
}

std::string Query::text(int column) const {
    const auto* const data = sqlite3_column_text(m_statement, column);
    const int size = sqlite3_column_bytes(m_statement, column);
    return data == nullptr
               ? std::string()
               : std::string(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
}

Bytes Query::blob(int column) const {
    const auto* const data =
        static_cast<const std::uint8_t*>(sqlite3_column_blob(m_statement, column));
    const int size = sqlite3_column_bytes(m_statement, column);
    return data == nullptr ? Bytes() : Bytes(data, data + size);
}

void Query::copy(int column, MutableByteView out) {
    const void* const data = sqlite3_column_blob(m_statement, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(m_statement, column));
    if (data == nullptr || size != out.size()) {
        m_damaged = true;
        return;
    }
    std::memcpy(out.data(), data, size);
}

Status Query::check(std::string_view what) const {
    if (m_damaged)
        return fail(Errc::StorageCorrupt, "storage: a " + std::string(what) + " cannot be read");
    return {};
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
}

void Connection::Close::operator()(sqlite3* handle) const {
    sqlite3_close_v2(handle);
}

Result<Connection> Connection::open(const std::filesystem::path& path, Access access,
                                    std::uint32_t busy_timeout_ms) {
    const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                      (access == Access::ReadWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                                   : SQLITE_OPEN_READONLY);
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
    Connection connection(handle); // also owns a handle that failed to open
    if (code != SQLITE_OK)
        return sqlite_error(code, "cannot open " + path.string());
    sqlite3_busy_timeout(handle, static_cast<int>(busy_timeout_ms));
    // The schema of the file is not trusted to call functions or to write to SQLite's own tables.
    sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    return connection;
}

Status Connection::exec(const std::string& sql) {
    if (sqlite3_exec(m_handle.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        return sqlite_error(sqlite3_extended_errcode(m_handle.get()),
                            sql.substr(0, sql.find_first_of(" ;\n")));
    return {};
}

Result<Statement> Connection::prepare(std::string_view sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v3(m_handle.get(), sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &raw, nullptr) != SQLITE_OK)
        return sqlite_error(sqlite3_extended_errcode(m_handle.get()),
                            std::string("prepare: ") + sqlite3_errmsg(m_handle.get()));
    return Statement(raw);
}

Result<std::optional<std::string>> Connection::first_text(std::string_view sql) {
    KEYMELD_TRY(Statement statement, prepare(sql));
    Query query = statement();
    KEYMELD_TRY(const bool row, query.next());
    return row ? std::optional(query.text(0)) : std::nullopt;
}

Result<std::uint64_t> Connection::first_number(std::string_view sql) {
    KEYMELD_TRY(Statement statement, prepare(sql));
    Query query = statement();
    KEYMELD_TRY(const bool row, query.next());
    if (!row)
        return fail(Errc::StorageCorrupt, "storage: a query gave no row");
    return query.number(0);
}

std::int64_t Connection::changes() const {
    return sqlite3_changes64(m_handle.get());
}
std::int64_t Connection::last_row() const {
    return sqlite3_last_insert_rowid(m_handle.get());
}
bool Connection::in_transaction() const {
    return sqlite3_get_autocommit(m_handle.get()) == 0;
}

void Connection::watch_log(std::uint64_t& pages) {
    const auto note = [](void* where, sqlite3*, const char*, int count) {
        *static_cast<std::uint64_t*>(where) = static_cast<std::uint64_t>(count);
        return SQLITE_OK;
    };
    sqlite3_wal_hook(m_handle.get(), note, &pages);
}

Result<Connection::Log> Connection::move_log() {
    int pages = 0;
    int moved = 0;
    const int code = sqlite3_wal_checkpoint_v2(m_handle.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                               &pages, &moved);
    if (code != SQLITE_OK)
        return sqlite_error(code, "checkpoint");
    return Log{static_cast<std::uint64_t>(pages), static_cast<std::uint64_t>(moved)};
}

} // namespace keymeld::storage_sqlite
