// A full disk, a disk that fails to flush, and when the callback comes.
#include "tests/plugins/fault_vfs.h"
#include "tests/plugins/storage_fixture.h"

namespace keymeld::test {
namespace {

class StorageFaults : public StorageTest {
  protected:
    // Made before and destroyed after the storage that uses it.
    void SetUp() override {
        StorageTest::SetUp();
        m_vfs = std::make_unique<FaultVfs>();
    }
    void TearDown() override {
        FaultVfs::s_write_error = FaultVfs::s_sync_error = 0;
        StorageTest::TearDown();
        m_vfs.reset();
    }
    std::unique_ptr<FaultVfs> m_vfs;
};

TEST_F(StorageFaults, EveryCommitIsFlushedBeforeItsCallback) {
    storage();
    int before = FaultVfs::s_wal_syncs;
    for (std::uint64_t n = 1; n <= 20; ++n) {
        must({insert_keygen(n)});
        const int after = FaultVfs::s_wal_syncs;
        EXPECT_GT(after, before) << n;
        before = after;
    }
}

TEST_F(StorageFaults, AFullDiskRefusesWritesAndKeepsWhatIsThere) {
    must({insert_keygen(1)});
    FaultVfs::s_write_error = SQLITE_FULL;
    for (std::uint64_t n = 2; n < 5; ++n) {
        const Status done = put({insert_keygen(n), UseNonce{hash_of(n), keygen_id(1)}});
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, Errc::StorageFailed);
        EXPECT_NE(done.error().detail.find("disk is full"), std::string::npos)
            << done.error().detail;
    }
    EXPECT_TRUE(keygen(1)); // reading goes on
    EXPECT_FALSE(keygen(2));
    EXPECT_FALSE(nonce_used(hash_of(2)));
    EXPECT_EQ(stats(storage()).total_sessions, 1u);
    FaultVfs::s_write_error = 0;
    must({insert_keygen(2)}); // and so does writing, when there is room again
    EXPECT_EQ(stats(storage()).total_sessions, 2u);
    reopened();
    EXPECT_TRUE(keygen(1));
    EXPECT_TRUE(keygen(2));
    EXPECT_FALSE(keygen(3));
}

TEST_F(StorageFaults, EveryBatchOfAFailedCommitFails) {
    must({insert_keygen(1)});
    FaultVfs::s_write_error = SQLITE_FULL;
    std::vector<std::future<Status>> outcomes;
    for (std::uint64_t n = 2; n < 102; ++n) {
        auto promise = std::make_shared<std::promise<Status>>();
        outcomes.push_back(promise->get_future());
        storage().write({insert_keygen(n)}, [promise](Status done) { promise->set_value(done); });
    }
    for (auto& outcome : outcomes)
        EXPECT_EQ(outcome.get().error().code, Errc::StorageFailed);
    // A failed claim is not remembered either.
    const auto claimed = wait_for<Unfinished>(
        [&](auto done) { storage().claim_unfinished(user_id(1), INT64_MAX, std::move(done)); });
    EXPECT_FALSE(claimed);
    FaultVfs::s_write_error = 0;
    EXPECT_EQ(stats(storage()).total_sessions, 1u);
    must({insert_keygen(2)});
    EXPECT_EQ(claim(storage(), user_id(2), INT64_MAX).keygens.size(), 2u);
}

TEST_F(StorageFaults, AfterAFailedFlushNothingIsWrittenUntilTheNextStart) {
    must({insert_keygen(1)});
    FaultVfs::s_sync_error = SQLITE_IOERR_FSYNC;
    Status done = put({insert_keygen(2)});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::StorageFailed);
    FaultVfs::s_sync_error = 0;
    // The disk says that it is well again, but what it did with the pages of before nobody knows.
    done = put({insert_keygen(3)});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::StorageFailed);
    EXPECT_NE(done.error().detail.find("could not be flushed"), std::string::npos);
    EXPECT_TRUE(keygen(1));
    EXPECT_FALSE(keygen(2));
    reopened();
    EXPECT_TRUE(keygen(1));
    EXPECT_FALSE(keygen(3));
    must({insert_keygen(3)});
    EXPECT_TRUE(keygen(3));
}

TEST_F(StorageFaults, AnIoErrorInABatchFailsIt) {
    must({insert_keygen(1)});
    FaultVfs::s_write_error = SQLITE_IOERR_WRITE;
    const Status done = put({PutSealed{{keygen_id(1), 0, 1, true, Bytes(3 * 1024 * 1024, 7)}}});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::StorageFailed);
    FaultVfs::s_write_error = 0;
    EXPECT_TRUE(sealed_states(1, 0).empty());
    must({PutSealed{{keygen_id(1), 0, 1, true, Bytes(3 * 1024 * 1024, 7)}}});
    EXPECT_EQ(sealed_states(1, 0).at(0).blob, Bytes(3 * 1024 * 1024, 7));
}

} // namespace
} // namespace keymeld::test
