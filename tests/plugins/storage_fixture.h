// The SQLite storage as the appliance has it: the built plugin, through the loader. Calls here wait
// for the callback.
#pragma once

#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/plugin/loader.h"
#include "core/plugin/storage.h"

namespace keymeld::test {

using namespace keymeld::plugin;

inline std::unique_ptr<StoragePlugin> storage_plugin() {
    const char* const build = std::getenv("KEYMELD_BUILD_DIR");
    const Loader loader(std::filesystem::path(build ? build : "/") / "lib/keymeld/plugins");
    auto plugin = loader.storage("storage-sqlite", std::nullopt);
    EXPECT_TRUE(plugin) << plugin.error().detail;
    return plugin ? std::move(*plugin) : nullptr;
}

inline Result<std::unique_ptr<Storage>> open_storage(const std::filesystem::path& file,
                                                     std::map<std::string, std::string> more = {}) {
    std::map<std::string, Options::Value> values{{"path", {file.string(), "test:1"}}};
    for (auto& [key, text] : more)
        values[key] = {text, "test:1"};
    return storage_plugin()->open(Options(std::move(values), "test:1"));
}

/// Waits for the answer of one asynchronous call.
template <class T> Result<T> wait_for(const std::function<void(Storage::Callback<T>)>& call) {
    std::promise<Result<T>> promise;
    call([&](Result<T> result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
}

inline Status write(Storage& storage, std::vector<Mutation> batch) {
    return wait_for<void>([&](auto done) { storage.write(std::move(batch), std::move(done)); });
}
inline ReadAnswer read(Storage& storage, ReadBatch questions) {
    auto answer = wait_for<ReadAnswer>(
        [&](auto done) { storage.read(std::move(questions), std::move(done)); });
    EXPECT_TRUE(answer) << answer.error().detail;
    return answer ? std::move(*answer) : ReadAnswer{};
}
inline Unfinished claim(Storage& storage, const Uuid& owner, std::uint64_t until) {
    auto answer = wait_for<Unfinished>(
        [&](auto done) { storage.claim_unfinished(owner, until, std::move(done)); });
    EXPECT_TRUE(answer) << answer.error().detail;
    return answer ? std::move(*answer) : Unfinished{};
}
inline std::vector<Uuid> ended(Storage& storage, EndedKind kind, std::uint64_t before,
                               std::uint32_t limit = 100) {
    auto answer = wait_for<std::vector<Uuid>>(
        [&](auto done) { storage.ended_before(kind, before, limit, std::move(done)); });
    EXPECT_TRUE(answer) << answer.error().detail;
    return answer ? std::move(*answer) : std::vector<Uuid>{};
}
inline StorageStats stats(Storage& storage) {
    auto answer = wait_for<StorageStats>([&](auto done) { storage.stats(std::move(done)); });
    EXPECT_TRUE(answer) << answer.error().detail;
    return answer ? *answer : StorageStats{};
}

// ---- Made-up records, different in every field for different `n`
// ------------------------------------------------------

template <std::size_t N> ByteArray<N> bytes_of(std::uint64_t n, std::uint8_t salt) {
    ByteArray<N> out{};
    out.fill(salt);
    for (std::size_t i = 0; i < 8 && i < N; ++i)
        out[i] = static_cast<std::uint8_t>(n >> (56 - 8 * i));
    return out;
}
inline KeygenId keygen_id(std::uint64_t n) {
    return KeygenId(Uuid{bytes_of<16>(n, 0xaa)});
}
inline SigningId signing_id(std::uint64_t n) {
    return SigningId(Uuid{bytes_of<16>(n, 0xbb)});
}
inline UserId user_id(std::uint64_t n) {
    return UserId(Uuid{bytes_of<16>(n, 0xcc)});
}
inline Hash32 hash_of(std::uint64_t n) {
    return bytes_of<32>(n, 0xdd);
}

inline KeygenRecord keygen_record(std::uint64_t n) {
    KeygenRecord r;
    r.id = keygen_id(n);
    r.created_at = 1000 + n;
    r.updated_at = 2000 + n;
    r.expires_at = 3000 + n;
    r.event_seq = 1;
    r.request_digest = bytes_of<32>(n, 1);
    r.coordinator_enclave_id = static_cast<std::uint32_t>(n % 5);
    r.encrypted_session_secret = "ab12" + std::to_string(n);
    r.tweak = {bitcoin::TweakType::PlainTweak, bytes_of<32>(n, 2)};
    r.key_order = bitcoin::KeyOrder::Bip327Sorted;
    r.max_signing_sessions = 100;
    r.ecies_aad = true;
    return r;
}

inline ParticipantRecord participant(std::uint64_t user, std::uint32_t index) {
    ParticipantRecord p;
    p.user_id = user_id(user);
    p.signer_index = index;
    p.enclave_id = index;
    p.enclave_public_key = bytes_of<33>(index, 3);
    p.enclave_key_epoch = 4 + index;
    return p;
}

inline ParticipantRecord registered(ParticipantRecord p, std::uint64_t key,
                                    std::uint32_t rank = 1) {
    p.registered = true;
    p.public_key = bytes_of<33>(key, 5);
    p.policy = session::ApprovalPolicy::Bound;
    p.registration_tag = bytes_of<32>(key, 6);
    p.registered_rank = rank;
    p.request_digest = bytes_of<32>(key, 7);
    return p;
}

/// Keygen n with users n*10 and n*10+1.
inline InsertKeygen insert_keygen(std::uint64_t n) {
    return {keygen_record(n), {participant(n * 10, 0), participant(n * 10 + 1, 1)}};
}

inline SigningRecord signing_record(std::uint64_t n, std::uint64_t keygen) {
    SigningRecord r;
    r.id = signing_id(n);
    r.keygen_id = keygen_id(keygen);
    r.created_at = 1000 + n;
    r.updated_at = 2000 + n;
    r.expires_at = 3000 + n;
    r.event_seq = 1;
    r.request_digest = bytes_of<32>(n, 8);
    r.session_header = "nonce:hmac" + std::to_string(n);
    r.message_hash = bytes_of<32>(n, 9);
    return r;
}

inline SealedRecord sealed(std::uint64_t keygen, std::uint32_t enclave, std::uint64_t version,
                           bool snapshot) {
    return {keygen_id(keygen), enclave, version, snapshot,
            Bytes(10 + version, static_cast<std::uint8_t>(version))};
}

/// A folder of its own for each test, with the database `file()`.
class StorageTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name =
            (std::filesystem::path(testing::TempDir()) / "keymeld_storage_XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        m_folder = name;
    }
    void TearDown() override {
        m_storage.reset();
        std::filesystem::remove_all(m_folder);
    }
    std::filesystem::path file() const { return m_folder / "k.db"; }
    Storage& storage() {
        if (!m_storage) {
            auto opened = open_storage(file());
            if (!opened)
                throw std::runtime_error(opened.error().detail);
            m_storage = std::move(*opened);
        }
        return *m_storage;
    }
    Storage& reopened() {
        m_storage.reset();
        return storage();
    }
    void close() { m_storage.reset(); }

    Status put(std::vector<Mutation> batch) { return write(storage(), std::move(batch)); }
    void must(std::vector<Mutation> batch) {
        const Status done = put(std::move(batch));
        ASSERT_TRUE(done) << done.error().detail;
    }
    void expect_conflict(std::vector<Mutation> batch, const std::string& reason) {
        const Status done = put(std::move(batch));
        ASSERT_FALSE(done) << "expected: " << reason;
        EXPECT_EQ(done.error().code, Errc::StorageConflict);
        EXPECT_NE(done.error().detail.find(reason), std::string::npos) << done.error().detail;
    }
    std::optional<KeygenBundle> keygen(std::uint64_t n) {
        return read(storage(), {.keygen = keygen_id(n)}).keygen;
    }
    std::optional<SigningBundle> signing(std::uint64_t n) {
        return read(storage(), {.signing = signing_id(n)}).signing;
    }
    bool used(const Uuid& id) { return read(storage(), {.used_id = id}).used_id; }
    bool nonce_used(const Hash32& key) {
        return read(storage(), {.nonces = {key}}).nonces_used.at(0);
    }
    std::vector<SealedRecord> sealed_states(std::uint64_t keygen, std::uint32_t enclave) {
        return read(storage(), {.sealed = std::pair{keygen_id(keygen), enclave}}).sealed;
    }

    /// Runs SQL on the file beside the plugin, as a person with the sqlite3 shell would.
    void sql(const std::string& text) {
        sqlite3* db = nullptr;
        ASSERT_EQ(sqlite3_open(file().c_str(), &db), SQLITE_OK);
        char* message = nullptr;
        EXPECT_EQ(sqlite3_exec(db, text.c_str(), nullptr, nullptr, &message), SQLITE_OK)
            << (message ? message : "");
        sqlite3_free(message);
        sqlite3_close(db);
    }
    /// All values of a query, as text.
    std::vector<std::string> query(const std::string& text) {
        sqlite3* db = nullptr;
        EXPECT_EQ(sqlite3_open(file().c_str(), &db), SQLITE_OK);
        std::vector<std::string> out;
        const auto collect = [](void* into, int count, char** values, char**) {
            for (int i = 0; i < count; ++i)
                static_cast<std::vector<std::string>*>(into)->emplace_back(values[i] ? values[i]
                                                                                     : "NULL");
            return 0;
        };
        EXPECT_EQ(sqlite3_exec(db, text.c_str(), collect, &out, nullptr), SQLITE_OK)
            << sqlite3_errmsg(db);
        sqlite3_close(db);
        return out;
    }

    std::filesystem::path m_folder;
    std::unique_ptr<Storage> m_storage;
};

} // namespace keymeld::test
