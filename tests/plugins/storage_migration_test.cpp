// A file that version 1 of the schema wrote, made here by SQL of its own, opens and keeps
// everything.
#include "tests/plugins/storage_fixture.h"

#include "core/base/clock.h"

namespace keymeld::test {
namespace {

constexpr const char kVersion1File[] = R"sql(
PRAGMA application_id = 1263356996;
PRAGMA user_version = 1;
CREATE TABLE keygens (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE CHECK (length(id) = 16), version INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('collecting_participants', 'completed', 'failed')), created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, event_seq INTEGER NOT NULL,
    request_digest BLOB NOT NULL CHECK (length(request_digest) = 32), coordinator_enclave_id INTEGER NOT NULL,
    tweak_type TEXT NOT NULL, tweak_value BLOB CHECK (length(tweak_value) = 32),
    key_order TEXT NOT NULL CHECK (key_order IN ('user_id', 'bip327_sorted')), max_signing_sessions INTEGER NOT NULL,
    ecies_aad INTEGER NOT NULL CHECK (ecies_aad IN (0, 1)), aggregate_public_key BLOB CHECK (length(aggregate_public_key) = 33),
    untweaked_public_key BLOB CHECK (length(untweaked_public_key) = 33), aggregate_key_tag BLOB CHECK (length(aggregate_key_tag) = 32),
    failure_type TEXT, failure_message TEXT, encrypted_session_secret TEXT NOT NULL) STRICT;
CREATE INDEX keygens_active ON keygens (seq) WHERE status = 'collecting_participants';
CREATE INDEX keygens_ended ON keygens (status, updated_at) WHERE status IN ('completed', 'failed');
CREATE TABLE participants (keygen INTEGER NOT NULL REFERENCES keygens (seq) ON DELETE CASCADE, signer_index INTEGER NOT NULL,
    user_id BLOB NOT NULL CHECK (length(user_id) = 16), enclave_id INTEGER NOT NULL,
    enclave_public_key BLOB NOT NULL CHECK (length(enclave_public_key) = 33), enclave_key_epoch INTEGER NOT NULL,
    registered_rank INTEGER, public_key BLOB CHECK (length(public_key) = 33),
    approval_policy TEXT CHECK (approval_policy IN ('none', 'header', 'bound')),
    registration_tag BLOB CHECK (length(registration_tag) = 32), request_digest BLOB CHECK (length(request_digest) = 32),
    PRIMARY KEY (keygen, signer_index)) STRICT, WITHOUT ROWID;
CREATE TABLE signings (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    keygen INTEGER NOT NULL REFERENCES keygens (seq) ON DELETE CASCADE, version INTEGER NOT NULL, status TEXT NOT NULL,
    attempt INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    event_seq INTEGER NOT NULL, request_digest BLOB NOT NULL CHECK (length(request_digest) = 32),
    message_hash BLOB NOT NULL CHECK (length(message_hash) = 32), session_header TEXT NOT NULL, failure_type TEXT,
    failure_message TEXT, final_signature TEXT NOT NULL, encrypted_message TEXT) STRICT;
CREATE INDEX signings_of_keygen ON signings (keygen);
CREATE INDEX signings_active ON signings (seq) WHERE status NOT IN ('completed', 'failed');
CREATE INDEX signings_ended ON signings (updated_at) WHERE status IN ('completed', 'failed');
CREATE TABLE approvals (signing INTEGER NOT NULL REFERENCES signings (seq) ON DELETE CASCADE,
    user_id BLOB NOT NULL CHECK (length(user_id) = 16), signing_header TEXT NOT NULL,
    bound_message_hash BLOB CHECK (length(bound_message_hash) = 32), bound_expires_at INTEGER,
    bound_signature BLOB CHECK (length(bound_signature) = 64), PRIMARY KEY (signing, user_id)) STRICT, WITHOUT ROWID;
CREATE TABLE sealed (seq INTEGER PRIMARY KEY, keygen INTEGER NOT NULL REFERENCES keygens (seq) ON DELETE CASCADE,
    enclave_id INTEGER NOT NULL, version INTEGER NOT NULL, snapshot INTEGER NOT NULL CHECK (snapshot IN (0, 1)),
    state BLOB NOT NULL, UNIQUE (keygen, enclave_id, version)) STRICT;
CREATE TABLE nonces (key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    keygen INTEGER NOT NULL REFERENCES keygens (seq) ON DELETE CASCADE) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_of_keygen ON nonces (keygen);
CREATE TABLE blob_bindings (binding_id BLOB NOT NULL PRIMARY KEY CHECK (length(binding_id) = 32),
    keygen_id BLOB NOT NULL CHECK (length(keygen_id) = 16), user_id BLOB NOT NULL CHECK (length(user_id) = 16)) STRICT, WITHOUT ROWID;
CREATE TABLE retired_ids (id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('keygen', 'signing'))) STRICT, WITHOUT ROWID;
CREATE VIEW keygen_view AS SELECT id FROM keygens;
INSERT INTO keygens VALUES (7, x'0000000000000001aaaaaaaaaaaaaaaa', 4, 'completed', 1001, 2001, 3001, 5, zeroblob(32), 2,
    'unspendable_taproot', NULL, 'user_id', 10, 1, zeroblob(33), zeroblob(33), zeroblob(32), NULL, NULL, 'cafe');
INSERT INTO participants VALUES (7, 0, x'000000000000000acccccccccccccccc', 0, zeroblob(33), 1, 1, zeroblob(33), 'header',
    zeroblob(32), zeroblob(32));
INSERT INTO signings VALUES (3, x'0000000000000005bbbbbbbbbbbbbbbb', 7, 2, 'collecting_nonces', 1, 1, 2, 3, 4, zeroblob(32),
    zeroblob(32), 'header', NULL, NULL, '', NULL);
INSERT INTO approvals VALUES (3, x'000000000000000acccccccccccccccc', 'approved', NULL, NULL, NULL);
INSERT INTO sealed VALUES (1, 7, 0, 9, 1, x'010203');
INSERT INTO nonces VALUES (zeroblob(32), 7);
INSERT INTO blob_bindings VALUES (zeroblob(32), x'0000000000000001aaaaaaaaaaaaaaaa', x'000000000000000acccccccccccccccc');
INSERT INTO retired_ids VALUES (x'0000000000000099aaaaaaaaaaaaaaaa', 'keygen');
)sql";

class StorageMigration : public StorageTest {};

TEST_F(StorageMigration, AVersion1FileKeepsEverything) {
    sql(kVersion1File);
    const auto bundle = keygen(1);
    ASSERT_TRUE(bundle);
    EXPECT_EQ(bundle->record.version, 4u);
    EXPECT_EQ(bundle->record.status, session::KeygenStatus::Completed);
    EXPECT_EQ(bundle->record.tweak.type, bitcoin::TweakType::UnspendableTaproot);
    EXPECT_EQ(bundle->record.encrypted_session_secret, "cafe");
    ASSERT_EQ(bundle->participants.size(), 1u);
    EXPECT_EQ(bundle->participants[0].user_id, user_id(10));
    EXPECT_EQ(bundle->participants[0].policy, session::ApprovalPolicy::Header);
    const auto signed_one = signing(5);
    ASSERT_TRUE(signed_one);
    EXPECT_EQ(signed_one->record.status, session::SigningStatus::CollectingNonces);
    EXPECT_EQ(signed_one->approvals.at(0).signing_header, "approved");
    EXPECT_EQ(sealed_states(1, 0).at(0).blob, Bytes({1, 2, 3}));
    EXPECT_TRUE(nonce_used(Hash32{}));
    EXPECT_TRUE(read(storage(), {.binding = Hash32{}}).binding);
    EXPECT_TRUE(used(keygen_id(0x99)));
    EXPECT_EQ(stats(storage()).total_sessions, 2u);

    // And has what came later: leases, signers of nonces, views.
    EXPECT_EQ(claim(storage(), user_id(1), unix_seconds() + 100).signings.size(), 1u);
    must({UseNonce{hash_of(4), keygen_id(1), user_id(10)}});
    EXPECT_EQ(query("SELECT id FROM keygen_view"), std::vector<std::string>({keygen_id(1).text()}));
    EXPECT_EQ(query("PRAGMA user_version"), std::vector<std::string>({"4"}));
    must({DeleteKeygen{keygen_id(1)}});
    EXPECT_FALSE(signing(5));
}

TEST_F(StorageMigration, AMigratedFileHasTheSchemaOfANewOne) {
    sql(kVersion1File);
    storage();
    const std::string columns = "SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || "
                                "c.\"notnull\" || ' ' || c.pk FROM sqlite_schema m, "
                                "pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1";
    const std::string others =
        "SELECT type || ' ' || name FROM sqlite_schema WHERE type <> 'table' ORDER BY 1";
    const auto migrated_columns = query(columns);
    const auto migrated_others = query(others);
    close();
    for (const char* suffix : {"", "-wal", "-shm", ".lock"})
        std::filesystem::remove(file().string() + suffix);
    storage();
    EXPECT_EQ(query(columns), migrated_columns);
    EXPECT_EQ(query(others), migrated_others);
    EXPECT_GT(migrated_columns.size(), 60u);
}

TEST_F(StorageMigration, NoncesOfAVersion3FileStaySingleUse) {
    storage();
    close();
    sql("DROP VIEW nonce_view; DROP VIEW key_nonce_view; DROP TABLE nonces; DROP TABLE key_nonces;"
        "CREATE TABLE nonces (key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32), keygen INTEGER NOT NULL REFERENCES keygens "
        "(seq) ON DELETE CASCADE, signer BLOB CHECK (length(signer) = 16)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX nonces_of_keygen ON nonces (keygen);"
        "CREATE TABLE key_nonces (nonce BLOB NOT NULL PRIMARY KEY CHECK (length(nonce) = 32), key INTEGER NOT NULL REFERENCES "
        "single_keys (seq) ON DELETE CASCADE) STRICT, WITHOUT ROWID;"
        "CREATE INDEX key_nonces_of_key ON key_nonces (key);"
        "INSERT INTO keygens (seq, id, version, status, created_at, updated_at, expires_at, event_seq, request_digest, "
        "coordinator_enclave_id, tweak_type, key_order, max_signing_sessions, ecies_aad, encrypted_session_secret) VALUES (7, "
        "x'0000000000000001aaaaaaaaaaaaaaaa', 1, 'collecting_participants', 1, 1, 2, 1, zeroblob(32), 0, 'none', 'user_id', 1, 1, '');"
        "INSERT INTO nonces VALUES (zeroblob(32), 7, x'000000000000000acccccccccccccccc');"
        "INSERT INTO single_keys (seq, id, user_id, enclave_id, enclave_public_key, enclave_key_epoch, created_at, expires_at) VALUES "
        "(2, zeroblob(16), zeroblob(16), 0, zeroblob(33), 1, 1, 2);"
        "INSERT INTO key_nonces VALUES (zeroblob(32), 2);"
        "PRAGMA user_version = 3");
    EXPECT_TRUE(nonce_used(Hash32{}));
    EXPECT_TRUE(read(storage(), {.key_nonce = Hash32{}}).key_nonce_used);
    EXPECT_EQ(query("SELECT hex(signer) FROM nonces WHERE keygen = 7"), std::vector<std::string>({"000000000000000ACCCCCCCCCCCCCCCC"}));
    EXPECT_EQ(query("SELECT key FROM key_nonces"), std::vector<std::string>({"2"}));
    must({DeleteKeygen{keygen_id(1)}});
    EXPECT_FALSE(nonce_used(Hash32{}));
}

TEST_F(StorageMigration, AFailedStepLeavesTheOldVersion) {
    sql(kVersion1File);
    sql("CREATE INDEX participants_key ON participants (user_id)"); // in the way of step 2
    const auto opened = open_storage(file());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::StorageFailed);
    EXPECT_EQ(query("PRAGMA user_version"), std::vector<std::string>({"1"}));
    EXPECT_EQ(query("SELECT count(*) FROM pragma_table_info('nonces')"),
              std::vector<std::string>({"2"}));
    sql("DROP INDEX participants_key");
    EXPECT_TRUE(keygen(1));
}

} // namespace
} // namespace keymeld::test
