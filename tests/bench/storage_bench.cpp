// What the storage plugin costs over SQLite itself, measured in one run on one disk: quote the
// ratios, not the figures.
//
// usage: storage_bench [FOLDER] [SECONDS] [KEYGENS]
//
//   FOLDER    on the disk to measure, default: the current one
//   SECONDS   time per row, default 1
//   KEYGENS   completed 3-party keygens to fill a database with, default 0; then how long it takes
//   to open, and how much memory
#include <sys/resource.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>

#include "tests/plugins/storage_fixture.h"

namespace keymeld::test {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}
double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

struct Rate {
    double per_second = 0;
    double cpu_us = 0;
};

Rate rate(std::uint64_t count, Clock::time_point start, double cpu_start) {
    const auto n = static_cast<double>(count);
    return {n / seconds_since(start), (cpu_seconds() - cpu_start) * 1e6 / n};
}

/// Rows of 16 + 300 bytes into an append-only table, `group` of them in each commit.
Rate raw_sqlite(const std::filesystem::path& file, int group, double seconds) {
    sqlite3* db = nullptr;
    if (sqlite3_open(file.c_str(), &db) != SQLITE_OK)
        std::abort();
    sqlite3_exec(db,
                 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (seq "
                 "INTEGER PRIMARY KEY, "
                 "id BLOB, body BLOB)",
                 nullptr, nullptr, nullptr);
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(db, "INSERT INTO t (id, body) VALUES (?1, ?2)", -1, &insert, nullptr);
    const Bytes id(16, 1), body(300, 2);
    std::uint64_t count = 0;
    const auto start = Clock::now();
    const double cpu = cpu_seconds();
    while (seconds_since(start) < seconds) {
        sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
        for (int i = 0; i < group; ++i, ++count) {
            sqlite3_bind_blob(insert, 1, id.data(), 16, SQLITE_STATIC);
            sqlite3_bind_blob(insert, 2, body.data(), 300, SQLITE_STATIC);
            sqlite3_step(insert);
            sqlite3_reset(insert);
        }
        if (sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr) != SQLITE_OK)
            std::abort();
    }
    const Rate out = rate(count, start, cpu);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return out;
}

/// `in_flight` batches are always waiting; `make` gives the n-th, up to `most`.
Rate plugin_writes(Storage& storage, int in_flight, double seconds,
                   const std::function<std::vector<Mutation>(std::uint64_t)>& make,
                   std::uint64_t most = UINT64_MAX) {
    std::mutex mutex;
    std::condition_variable changed;
    int used = 0;
    std::uint64_t count = 0, failed = 0;
    const auto start = Clock::now();
    const double cpu = cpu_seconds();
    while (seconds_since(start) < seconds && count < most) {
        {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return used < in_flight; });
            ++used;
        }
        storage.write(make(count++), [&](Status done) {
            const std::lock_guard lock(mutex);
            failed += !done;
            --used;
            changed.notify_one();
        });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return used == 0; });
    if (failed != 0) {
        std::fprintf(stderr, "%llu batches failed\n", static_cast<unsigned long long>(failed));
        std::abort();
    }
    return rate(count, start, cpu);
}

std::uint64_t g_next = 1000;

SigningRecord bench_signing() {
    SigningRecord r = signing_record(++g_next, 1);
    r.session_header = std::string(32, 'a') + ":" + std::string(64, 'b');
    r.encrypted_message = std::string(200, 'c');
    return r;
}

double resident_mib() {
    std::ifstream in("/proc/self/status");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("VmRSS:"))
            return std::strtod(line.c_str() + 6, nullptr) / 1024;
    return 0;
}

/// A database as it is after years: everything completed, one signing each.
int fill(const std::filesystem::path& file, std::uint64_t keygens) {
    auto opened = open_storage(file);
    if (!opened)
        return 1;
    const Rate filled = plugin_writes(
        **opened, 256, 1e9,
        [](std::uint64_t n) {
            InsertKeygen insert{keygen_record(n), {}};
            insert.record.status = session::KeygenStatus::Completed;
            for (std::uint32_t i = 0; i < 3; ++i)
                insert.participants.push_back(
                    registered(participant(n * 3 + i, i), n * 3 + i, i + 1));
            std::vector<Mutation> batch{std::move(insert)};
            for (std::uint32_t i = 0; i < 3; ++i) {
                batch.push_back(PutSealed{{keygen_id(n), i, 1, true, Bytes(900, 1)}});
                batch.push_back(
                    UseNonce{hash_of((n * 3 + i) * 0x9e3779b97f4a7c15ull), keygen_id(n)});
            }
            SigningRecord signing = signing_record(n, n);
            signing.status = session::SigningStatus::Completed;
            signing.session_header = std::string(97, 'a');
            signing.final_signature = std::string(400, 'd');
            batch.push_back(InsertSigning{signing});
            return batch;
        },
        keygens);
    opened->reset();
    const double before = resident_mib();
    const auto start = Clock::now();
    opened = open_storage(file);
    if (!opened)
        return 1;
    const double took = seconds_since(start);
    const StorageStats counted = stats(**opened);
    for (std::uint64_t i = 0; i < 20000; ++i)
        if (!read(**opened, {.keygen = keygen_id(i * 0x9e3779b97f4a7c15ull % keygens)}).keygen)
            return 1;
    std::printf(
        "\n%llu keygens, %llu participants: filled at %.0f/s, %.0f MiB on disk, opened in %.2f s, "
        "%.0f MiB more memory after 20000 random reads\n",
        static_cast<unsigned long long>(keygens),
        static_cast<unsigned long long>(counted.total_participants), filled.per_second,
        static_cast<double>(*counted.database_size_bytes) / 1048576, took, resident_mib() - before);
    return 0;
}

int run(const std::filesystem::path& folder, double seconds) {
    const Rate one = raw_sqlite(folder / "raw1.db", 1, seconds);
    const Rate hundred = raw_sqlite(folder / "raw100.db", 100, seconds);
    std::printf("%-44s %10s %9s %9s %9s\n", "", "batches/s", "CPU us", "x raw 1", "x raw 100");
    const auto print = [&](const char* name, const Rate& r) {
        std::printf("%-44s %10.0f %9.1f %9.2f %9.2f\n", name, r.per_second, r.cpu_us,
                    r.per_second / one.per_second, r.per_second / hundred.per_second);
    };
    print("raw SQLite, 1 insert a commit", one);
    print("raw SQLite, 100 inserts a commit", hundred);

    auto opened = open_storage(folder / "k.db");
    if (!opened || !write(**opened, {insert_keygen(1)}))
        return 1;
    Storage& storage = **opened;
    for (const int in_flight : {1, 8, 64, 256}) {
        const std::string suffix = ", " + std::to_string(in_flight) + " in flight";
        print(("insert signing" + suffix).c_str(),
              plugin_writes(storage, in_flight, seconds, [](std::uint64_t) {
                  return std::vector<Mutation>{InsertSigning{bench_signing()}};
              }));
        print(("use nonce" + suffix).c_str(),
              plugin_writes(storage, in_flight, seconds, [](std::uint64_t) {
                  Hash32 key = hash_of(
                      ++g_next * 0x9e3779b97f4a7c15ull); // spread over the index, as hashes are
                  return std::vector<Mutation>{UseNonce{key, keygen_id(1)}};
              }));
        print(("sealed delta, 200 bytes" + suffix).c_str(),
              plugin_writes(storage, in_flight, seconds, [](std::uint64_t) {
                  return std::vector<Mutation>{
                      PutSealed{{keygen_id(1), 0, ++g_next, g_next % 64 == 0, Bytes(200, 1)}}};
              }));
        const std::uint64_t first = g_next;
        print(("signing accepted: signing, nonce, delta" + suffix).c_str(),
              plugin_writes(storage, in_flight, seconds, [](std::uint64_t) {
                  std::vector<Mutation> batch{InsertSigning{bench_signing()}};
                  batch.push_back(UseNonce{hash_of(g_next * 0x9e3779b97f4a7c15ull), keygen_id(1)});
                  batch.push_back(
                      PutSealed{{keygen_id(1), 0, g_next, g_next % 64 == 0, Bytes(200, 1)}});
                  return batch;
              }));
        print(("signing ended" + suffix).c_str(),
              plugin_writes(storage, in_flight, std::min(seconds, 1.0), [&](std::uint64_t n) {
                  SigningRecord r = signing_record(first + 1 + n % (g_next - first), 1);
                  r.version = 1 + n / (g_next - first);
                  r.status = session::SigningStatus::Completed;
                  r.final_signature = std::string(400, 'd');
                  return std::vector<Mutation>{UpdateSigning{r}};
              }));
    }
    return 0;
}

} // namespace
} // namespace keymeld::test

int main(int argc, char** argv) {
    const std::filesystem::path parent = std::filesystem::absolute(argc > 1 ? argv[1] : ".");
    const double seconds = argc > 2 ? std::atof(argv[2]) : 1.0;
    std::string folder = (parent / "storage_bench_XXXXXX").string();
    if (seconds <= 0 || ::mkdtemp(folder.data()) == nullptr) {
        std::fprintf(stderr, "usage: storage_bench [FOLDER] [SECONDS] [KEYGENS]\n");
        return 2;
    }
    const std::uint64_t keygens = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
    int code = keymeld::test::run(folder, seconds);
    if (code == 0 && keygens > 0)
        code = keymeld::test::fill(std::filesystem::path(folder) / "full.db", keygens);
    std::filesystem::remove_all(folder);
    return code;
}
