// Many threads at once: order, common commits, conflicts that hurt nobody else, reads after
// callbacks.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/plugins/fault_vfs.h"
#include "tests/plugins/storage_fixture.h"

namespace keymeld::test {
namespace {

/// Counts callbacks, and waits for all of them.
class Countdown {
  public:
    explicit Countdown(int count) : m_left(count) {}
    void one() {
        const std::lock_guard lock(m_mutex);
        if (--m_left == 0)
            m_done.notify_all();
    }
    void wait() {
        std::unique_lock lock(m_mutex);
        m_done.wait(lock, [this] { return m_left == 0; });
    }

  private:
    std::mutex m_mutex;
    std::condition_variable m_done;
    int m_left;
};

class StorageConcurrency : public StorageTest {};

TEST_F(StorageConcurrency, BatchesAreAppliedAndAnsweredInTheOrderOfSubmission) {
    constexpr int kBatches = 3000; // more than one group
    must({insert_keygen(1)});
    Countdown left(kBatches);
    std::vector<int> order;
    int failed = 0;
    for (int i = 0; i < kBatches; ++i) {
        KeygenRecord update = keygen_record(1);
        update.version =
            static_cast<std::uint64_t>(i) + 1; // right only if all before it were applied
        storage().write({UpdateKeygen{update}}, [&, i](Status done) {
            failed += !done;
            order.push_back(i);
            left.one();
        });
    }
    left.wait();
    EXPECT_EQ(failed, 0);
    EXPECT_EQ(keygen(1)->record.version, static_cast<std::uint64_t>(kBatches) + 1);
    EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_F(StorageConcurrency, BatchesThatWaitShareACommit) {
    FaultVfs vfs;
    constexpr int kBatches = 2000;
    storage();
    Countdown left(kBatches);
    const int before = FaultVfs::s_wal_syncs;
    for (int i = 0; i < kBatches; ++i)
        storage().write({insert_keygen(static_cast<std::uint64_t>(i))},
                        [&](Status) { left.one(); });
    left.wait();
    const int commits = FaultVfs::s_wal_syncs - before;
    EXPECT_GE(commits, 2);
    EXPECT_LT(commits, kBatches / 4);
    EXPECT_EQ(stats(storage()).total_sessions, static_cast<std::uint64_t>(kBatches));
    close();
}

TEST_F(StorageConcurrency, TheLogIsMovedIntoTheFileWhileCommitsGoOn) {
    constexpr std::uint64_t kBatches = 1000, kAtOnce = 20;
    constexpr std::size_t kBlob = 100 * 1000; // 100 MB in all: six times what makes a log long
    std::uint64_t failed = 0;
    for (std::uint64_t n = 0; n < kBatches; n += kAtOnce) {
        Countdown left(kAtOnce);
        for (std::uint64_t i = n; i < n + kAtOnce; ++i)
            storage().write(
                {insert_keygen(i),
                 PutSealed{{keygen_id(i), 0, 1, true, Bytes(kBlob, static_cast<std::uint8_t>(i))}}},
                [&](Status done) {
                    failed += !done;
                    left.one();
                });
        EXPECT_TRUE(n == 0 || sealed_states(n - 1, 0).size() == 1); // beside the commits
        left.wait();
    }
    EXPECT_EQ(failed, 0u);
    EXPECT_GT(std::filesystem::file_size(file()), kBatches * kBlob / 4);
    EXPECT_LT(std::filesystem::file_size(file().string() + "-wal"), 70'000'000u);
    reopened();
    for (std::uint64_t n = 0; n < kBatches; n += 37) {
        const auto states = sealed_states(n, 0);
        ASSERT_EQ(states.size(), 1u) << n;
        EXPECT_EQ(states[0].blob, Bytes(kBlob, static_cast<std::uint8_t>(n)));
    }
    EXPECT_EQ(query("PRAGMA integrity_check"), std::vector<std::string>({"ok"}));
}

TEST_F(StorageConcurrency, AConflictHurtsNobodyElseInTheGroup) {
    constexpr int kBatches = 1000;
    must({insert_keygen(0)});
    Countdown left(kBatches);
    std::vector<int> outcome(kBatches, -1);
    for (int i = 0; i < kBatches; ++i) {
        const auto n = static_cast<std::uint64_t>(i);
        // Every third batch uses the nonce of the one before it again, after it has written other
        // things.
        const Hash32 nonce = hash_of(i % 3 == 2 ? n - 1 : n);
        storage().write({insert_keygen(n + 1), PutSealed{sealed(0, 0, n + 1, false)},
                         UseNonce{nonce, keygen_id(0)}},
                        [&, i](Status done) {
                            outcome[static_cast<std::size_t>(i)] =
                                done                                         ? 1
                                : done.error().code == Errc::StorageConflict ? 0
                                                                             : 2;
                            left.one();
                        });
    }
    left.wait();
    std::size_t good = 0;
    for (int i = 0; i < kBatches; ++i) {
        EXPECT_EQ(outcome[static_cast<std::size_t>(i)], i % 3 == 2 ? 0 : 1) << i;
        good += i % 3 != 2;
        EXPECT_EQ(used(keygen_id(static_cast<std::uint64_t>(i) + 1)), i % 3 != 2) << i;
    }
    EXPECT_EQ(sealed_states(0, 0).size(), good);
    EXPECT_EQ(stats(storage()).total_sessions, good + 1);
}

TEST_F(StorageConcurrency, EightThreadsCompareAndSwap) {
    constexpr int kThreads = 8;
    constexpr int kEach = 150;
    must({insert_keygen(1)});
    Storage& shared = storage();
    std::atomic<int> conflicts = 0;
    std::atomic<int> nonce_winners = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < kEach;) {
                KeygenRecord record = read(shared, {.keygen = keygen_id(1)}).keygen->record;
                record.event_seq += 1;
                const Status done = write(
                    shared,
                    {UpdateKeygen{record},
                     InsertSigning{signing_record(static_cast<std::uint64_t>(t * 1000 + i), 1)}});
                if (done) {
                    ++i;
                    // Reads see what was answered.
                    EXPECT_TRUE(read(shared, {.signing = signing_id(
                                                  static_cast<std::uint64_t>(t * 1000 + i - 1))})
                                    .signing);
                    EXPECT_GT(read(shared, {.keygen = keygen_id(1)}).keygen->record.version,
                              record.version);
                    // One thread wins each nonce.
                    nonce_winners +=
                        write(shared,
                              {UseNonce{hash_of(static_cast<std::uint64_t>(i)), keygen_id(1)}})
                            .has_value();
                } else {
                    EXPECT_EQ(done.error().code, Errc::StorageConflict);
                    ++conflicts;
                }
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    const auto final = keygen(1)->record;
    EXPECT_EQ(final.version, 1u + kThreads * kEach);
    EXPECT_EQ(final.event_seq, 1u + kThreads * kEach); // no update was lost
    EXPECT_EQ(stats(shared).total_sessions, 1u + kThreads * kEach);
    EXPECT_EQ(nonce_winners, kEach);
    EXPECT_GT(conflicts, 0);
}

TEST_F(StorageConcurrency, OneReadIsOneState) {
    // Writers move version of the keygen and of the signing together; no read may see one without
    // the other.
    must({insert_keygen(1), InsertSigning{signing_record(5, 1)}});
    Storage& shared = storage();
    std::atomic<bool> stop = false;
    std::thread writer([&] {
        for (std::uint64_t version = 1; !stop; ++version) {
            KeygenRecord k = keygen_record(1);
            SigningRecord s = signing_record(5, 1);
            k.version = s.version = version;
            EXPECT_TRUE(write(shared, {UpdateKeygen{k}, UpdateSigning{s}}));
        }
    });
    for (int i = 0; i < 2000; ++i) {
        const ReadAnswer answer = read(shared, {.signing = signing_id(5)});
        EXPECT_EQ(answer.keygen->record.version, answer.signing->record.version);
    }
    stop = true;
    writer.join();
}

TEST_F(StorageConcurrency, ClosingFinishesWhatWasSubmitted) {
    std::atomic<int> written = 0, read_back = 0;
    storage();
    for (std::uint64_t n = 0; n < 500; ++n) {
        storage().write({insert_keygen(n)}, [&](Status done) { written += done.has_value(); });
        storage().read({.keygen = keygen_id(n)},
                       [&](Result<ReadAnswer> answer) { read_back += answer.has_value(); });
    }
    close();
    EXPECT_EQ(written, 500);
    EXPECT_EQ(read_back, 500);
    EXPECT_EQ(stats(storage()).total_sessions, 500u);
}

} // namespace
} // namespace keymeld::test
