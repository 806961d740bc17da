// The file itself: who may read it, who may open it, older and newer versions, damage.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/plugins/storage_fixture.h"

namespace keymeld::test {
namespace {

unsigned mode_of(const std::filesystem::path& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
}

class StorageFile : public StorageTest {
  protected:
    void expect_refused(Errc code, const std::string& reason) {
        const auto opened = open_storage(file());
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, code);
        EXPECT_NE(opened.error().detail.find(reason), std::string::npos) << opened.error().detail;
    }
    void overwrite(std::streamoff at, const std::string& bytes) {
        std::fstream out(file(), std::ios::in | std::ios::out | std::ios::binary);
        out.seekp(at);
        out << bytes;
    }
};

TEST_F(StorageFile, IsForItsOwnerOnly) {
    const mode_t old = ::umask(0);
    must({insert_keygen(1)});
    ::umask(old);
    for (const char* suffix : {"", "-wal", "-shm", ".lock"})
        EXPECT_EQ(mode_of(file().string() + suffix), 0600u) << suffix;
    close();
    ASSERT_EQ(::chmod(file().c_str(), 0644), 0);
    reopened();
    EXPECT_EQ(mode_of(file()), 0600u);
}

TEST_F(StorageFile, MakesItsFolder) {
    const auto deep = m_folder / "a" / "b" / "k.db";
    auto opened = open_storage(deep);
    ASSERT_TRUE(opened) << opened.error().detail;
    EXPECT_TRUE(std::filesystem::exists(deep));
    EXPECT_EQ(mode_of(m_folder / "a" / "b"), 0700u);
}

TEST_F(StorageFile, ServesOneApplianceAtATime) {
    must({insert_keygen(1)});
    expect_refused(Errc::StorageFailed, file().string() + " is in use by another appliance");
    EXPECT_TRUE(keygen(1)); // the first one is not disturbed
    must({insert_keygen(2)});
    close();
    reopened();
    EXPECT_TRUE(keygen(2));
}

TEST_F(StorageFile, PeopleMayReadWhileItIsOpen) {
    must({insert_keygen(1)});
    EXPECT_EQ(query("SELECT count(*) FROM keygen_view"), std::vector<std::string>({"1"}));
    must({insert_keygen(2)});
    EXPECT_EQ(query("SELECT count(*) FROM keygen_view"), std::vector<std::string>({"2"}));
}

TEST_F(StorageFile, WaitsForALockOfAnotherProgramAndThenGivesUp) {
    close();
    auto opened = open_storage(file(), {{"busy_timeout_ms", "50"}});
    ASSERT_TRUE(opened) << opened.error().detail;
    m_storage = std::move(*opened);
    sqlite3* shell = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &shell), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(shell, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    const Status done = put({insert_keygen(1)});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::StorageFailed);
    EXPECT_NE(done.error().detail.find("another program holds a lock"), std::string::npos);
    ASSERT_EQ(sqlite3_exec(shell, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(shell);
    must({insert_keygen(1)});
}

TEST_F(StorageFile, IsAWalDatabaseOfThisApplication) {
    must({insert_keygen(1)});
    EXPECT_EQ(query("PRAGMA journal_mode"), std::vector<std::string>({"wal"}));
    EXPECT_EQ(query("PRAGMA user_version"), std::vector<std::string>({"4"}));
    EXPECT_EQ(query("PRAGMA application_id"),
              std::vector<std::string>({std::to_string(0x4b4d4c44)}));
    EXPECT_TRUE(std::filesystem::file_size(file().string() + "-wal") > 0);
    close(); // moves the WAL into the file
    EXPECT_FALSE(std::filesystem::exists(file().string() + "-wal"));
}

TEST_F(StorageFile, EveryTableIsStrictAndHasNoJson) {
    storage();
    EXPECT_TRUE(
        query("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND "
              "name NOT LIKE 'sqlite_%' AND strict = 0")
            .empty());
    EXPECT_EQ(query("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND strict = 1"),
              std::vector<std::string>({"12"}));
    EXPECT_TRUE(query("SELECT name FROM sqlite_schema WHERE lower(sql) LIKE '%json%'").empty());
}

TEST_F(StorageFile, RefusesANewerVersion) {
    must({insert_keygen(1)});
    close();
    sql("PRAGMA user_version = 5");
    expect_refused(Errc::StorageFailed,
                   "schema version 5 and this program knows up to 4; use the newer program");
    sql("PRAGMA user_version = 3");
    EXPECT_TRUE(keygen(1)); // it was not touched
}

TEST_F(StorageFile, RefusesTheDatabaseOfAnotherApplication) {
    sql("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')");
    expect_refused(Errc::StorageFailed, "database of another application");
    EXPECT_EQ(query("SELECT text FROM notes"), std::vector<std::string>({"mine"}));
    EXPECT_EQ(query("SELECT count(*) FROM sqlite_schema"), std::vector<std::string>({"1"}));
}

TEST_F(StorageFile, RefusesWhatIsNoDatabase) {
    std::ofstream(file()) << std::string(8192, 'x');
    expect_refused(Errc::StorageCorrupt, "not a database");
}

TEST_F(StorageFile, FindsDamageAtOpen) {
    std::vector<Mutation> batch;
    for (std::uint64_t n = 1; n <= 200; ++n)
        batch.push_back(insert_keygen(n));
    must(std::move(batch));
    close();
    ASSERT_GT(std::filesystem::file_size(file()), 30u * 4096);
    overwrite(20 * 4096, std::string(4096, '\x5a'));
    expect_refused(Errc::StorageCorrupt, "the database is damaged");
}

TEST_F(StorageFile, AFullCheckFindsRowsOfNoSession) {
    must({insert_keygen(1), PutSealed{sealed(1, 0, 1, true)}});
    close();
    sql("PRAGMA foreign_keys = OFF; DELETE FROM keygens");
    const auto opened = open_storage(file(), {{"check", "full"}});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::StorageCorrupt);
    EXPECT_NE(opened.error().detail.find("rows of no session"), std::string::npos)
        << opened.error().detail;
}

TEST_F(StorageFile, ReportsARowThatCannotBeReadInsteadOfInventingOne) {
    must({insert_keygen(1), InsertSigning{signing_record(5, 1)}});
    sql("UPDATE signings SET status = 'resting'");
    const auto answer = wait_for<ReadAnswer>(
        [&](auto done) { storage().read({.signing = signing_id(5)}, std::move(done)); });
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::StorageCorrupt);
}

TEST_F(StorageFile, RefusesBadOptions) {
    const auto refusal = [&](std::map<std::string, std::string> options) {
        const auto opened = open_storage(file(), std::move(options));
        return opened ? "(accepted)" : opened.error().detail;
    };
    EXPECT_EQ(refusal({{"path", ""}}), "test:1: path must be a path");
    EXPECT_EQ(refusal({{"path", "relative.db"}}), "test:1: path must be the path of a file");
    EXPECT_EQ(refusal({{"busy_timeout_ms", "60001"}}),
              "test:1: busy_timeout_ms must be a whole number from 0 to 60000");
    EXPECT_EQ(refusal({{"cache_mib", "0"}}),
              "test:1: cache_mib must be a whole number from 1 to 4096");
    EXPECT_EQ(refusal({{"check", "none"}}), "test:1: check must be quick or full");
    EXPECT_FALSE(std::filesystem::exists(file()));
    EXPECT_EQ(refusal({{"cache_mib", "1"}, {"check", "full"}, {"busy_timeout_ms", "0"}}),
              "(accepted)");
}

TEST_F(StorageFile, SaysWhyItCannotOpen) {
    std::filesystem::create_directory(file());
    expect_refused(Errc::StorageFailed, "cannot open " + file().string());
    std::ofstream(m_folder / "plain") << "x";
    const auto opened = open_storage(m_folder / "plain" / "k.db");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::StorageFailed);
}

} // namespace
} // namespace keymeld::test
