// One SQLite connection and its prepared statements, with errors as values.
//
// Thread rule: a connection and everything made from it belong to one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/uuid.h"

struct sqlite3;
struct sqlite3_stmt;

namespace keymeld::storage_sqlite {

/// An error for an SQLite result code. StorageConflict: a uniqueness check; StorageCorrupt: the
/// file is damaged; StorageFailed: all else. Fact "sqlite" holds the extended code. `doing` says
/// what was tried.
Error sqlite_error(int extended_code, std::string_view doing);

/// Marks a value that is stored as NULL if it is absent.
template <class T> struct OrNull { const T* value; };
template <class T> OrNull<T> or_null(const std::optional<T>& value) {
    return {value ? &*value : nullptr};
}
template <class T> OrNull<T> when(bool present, const T& value) {
    return {present ? &value : nullptr};
}

/// One run of a statement; resets it when it goes away. Bound views must outlive it.
class Query {
  public:
    explicit Query(sqlite3_stmt* statement) : m_statement(statement) {}
    Query(Query&& other) noexcept
        : m_statement(other.m_statement), m_error(other.m_error), m_damaged(other.m_damaged) {
        other.m_statement = nullptr;
    }
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;
    Query& operator=(Query&&) = delete;
    ~Query();

    void bind(int index, std::int64_t value);
    void bind(int index, bool value) { bind(index, std::int64_t{value}); }
    void bind(int index, std::uint32_t value) { bind(index, std::int64_t{value}); }
    /// Above 2^63-1 the run fails with InvalidArgument: such a number would sort as negative.
    void bind(int index, std::uint64_t value);
    void bind(int index, std::string_view value);
    void bind(int index, const std::string& value) { bind(index, std::string_view(value)); }
    void bind(int index, ByteView value);
    void bind(int index, const Bytes& value) { bind(index, ByteView(value)); }
    template <std::size_t N> void bind(int index, const ByteArray<N>& value) {
        bind(index, ByteView(value));
    }
    void bind(int index, const Uuid& value) { bind(index, value.view()); }
    void bind_null(int index);
    template <class T> void bind(int index, OrNull<T> value) {
        if (value.value != nullptr)
            bind(index, *value.value);
        else
            bind_null(index);
    }

    /// True: there is a row to read. A uniqueness failure is StorageConflict.
    Result<bool> next();
    /// Runs to the end, reading nothing.
    Status run();

    bool is_null(int column) const;
    std::uint64_t number(int column);
    std::uint32_t number32(int column);
    std::string text(int column) const;
    Bytes blob(int column) const;
    /// Exactly N bytes; anything else marks the row as damaged.
    template <std::size_t N> ByteArray<N> array(int column) {
        ByteArray<N> out{};
        copy(column, out);
        return out;
    }
    template <class Id> Id id(int column) { return Id(Uuid{array<16>(column)}); }
    template <std::size_t N> std::optional<ByteArray<N>> optional_array(int column) {
        return is_null(column) ? std::nullopt : std::optional(array<N>(column));
    }
    /// The value of a text column by its parser; an unknown text marks the row as damaged.
    template <class Parse> auto parsed(int column, Parse&& parse) {
        auto value = parse(std::string_view(text(column)));
        if (!value)
            m_damaged = true;
        return value ? *value : typename decltype(value)::value_type{};
    }
    /// StorageCorrupt if a column read so far could not be what it was written as. `what` names the
    /// row.
    Status check(std::string_view what) const;

  private:
    void copy(int column, MutableByteView out);

    sqlite3_stmt* m_statement;
    std::optional<Errc> m_error;
    bool m_damaged = false;
};

/// A prepared statement, kept for the life of the connection.
class Statement {
  public:
    Statement() = default;
    explicit Statement(sqlite3_stmt* statement) : m_statement(statement) {}

    /// Starts a run with these values, bound as ?1, ?2, ... The statement must not be running.
    template <class... Values> Query operator()(const Values&... values) {
        Query query(m_statement.get());
        int index = 0;
        (query.bind(++index, values), ...);
        return query;
    }

  private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    std::unique_ptr<sqlite3_stmt, Finalize> m_statement;
};

class Connection {
  public:
    enum class Access { ReadWrite, ReadOnly };

    /// ReadWrite creates the file if it is not there.
    static Result<Connection> open(const std::filesystem::path& path, Access access,
                                   std::uint32_t busy_timeout_ms);

    /// Runs statements without values or results.
    Status exec(const std::string& sql);
    Result<Statement> prepare(std::string_view sql);
    /// The first column of the first row of a query without values; nullopt if there is no row.
    Result<std::optional<std::string>> first_text(std::string_view sql);
    Result<std::uint64_t> first_number(std::string_view sql);

    /// Rows changed by the last finished INSERT, UPDATE or DELETE.
    std::int64_t changes() const;
    std::int64_t last_row() const;
    /// False after SQLite gave up a transaction by itself, as it does when the disk is full.
    bool in_transaction() const;

    /// From now on `pages`, which must outlive the connection, is the length of the write-ahead log
    /// after each commit of this connection, and SQLite does not move the log into the file by
    /// itself.
    void watch_log(std::uint64_t& pages);
    struct Log {
        std::uint64_t pages = 0;
        std::uint64_t moved = 0; ///< of them, into the file
    };
    /// Moves as much of the log into the file as nobody is using, without making anybody wait.
    Result<Log> move_log();

  private:
    struct Close {
        void operator()(sqlite3* handle) const;
    };
    explicit Connection(sqlite3* handle) : m_handle(handle) {}
    std::unique_ptr<sqlite3, Close> m_handle;
};

} // namespace keymeld::storage_sqlite
