#include "plugins/storage-sqlite/schema.h"

#include <iterator>
#include <string>

namespace keymeld::storage_sqlite {
namespace {

// Rows are appended in the order of time (INTEGER PRIMARY KEY), and children stand under the row
// number of their session: that keeps the pages that are written few. Only the indexes on ids and
// nonces are in random order; ids that our clients make grow with time.
constexpr const char kVersion1[] = R"sql(
CREATE TABLE keygens (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    version INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('collecting_participants', 'completed', 'failed')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    event_seq INTEGER NOT NULL,
    request_digest BLOB NOT NULL CHECK (length(request_digest) = 32),
    coordinator_enclave_id INTEGER NOT NULL,
    tweak_type TEXT NOT NULL,
    tweak_value BLOB CHECK (length(tweak_value) = 32),
    key_order TEXT NOT NULL CHECK (key_order IN ('user_id', 'bip327_sorted')),
    max_signing_sessions INTEGER NOT NULL,
    ecies_aad INTEGER NOT NULL CHECK (ecies_aad IN (0, 1)),
    aggregate_public_key BLOB CHECK (length(aggregate_public_key) = 33),
    untweaked_public_key BLOB CHECK (length(untweaked_public_key) = 33),
    aggregate_key_tag BLOB CHECK (length(aggregate_key_tag) = 32),
    failure_type TEXT,
    failure_message TEXT,
    encrypted_session_secret TEXT NOT NULL
) STRICT;
CREATE INDEX keygens_active ON keygens (seq) WHERE status = 'collecting_participants';
CREATE INDEX keygens_ended ON keygens (status, updated_at) WHERE status IN ('completed', 'failed');

CREATE TABLE participants (
    keygen INTEGER NOT NULL REFERENCES keygens (seq) ON DELETE CASCADE,
    signer_index INTEGER NOT NULL,
    user_id BLOB NOT NULL CHECK (length(user_id) = 16),
    enclave_id INTEGER NOT NULL,
    enclave_public_key BLOB NOT NULL CHECK (length(enclave_public_key) = 33),
    enclave_key_epoch INTEGER NOT NULL,
    registered_rank INTEGER,
    public_key BLOB CHECK (length(public_key) = 33),
    approval_policy TEXT CHECK (approval_policy IN ('none', 'header', 'bound')),
    registration_tag BLOB CHECK (length(registration_tag) = 32),
    request_digest BLOB CHECK (length(request_digest) = 32),
    PRIMARY KEY (keygen, signer_index)
) STRICT, WITHOUT ROWID;

CREATE TABLE signings (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    keygen INTEGER NOT NULL REFERENCES keygens (seq) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    event_seq INTEGER NOT NULL,
    request_digest BLOB NOT NULL CHECK (length(request_digest) = 32),
    message_hash BLOB NOT NULL CHECK (length(message_hash) = 32),
    session_header TEXT NOT NULL,
    failure_type TEXT,
    failure_message TEXT,
    final_signature TEXT NOT NULL,
    encrypted_message TEXT
) STRICT;
CREATE INDEX signings_of_keygen ON signings (keygen);
CREATE INDEX signings_active ON signings (seq) WHERE status NOT IN ('completed', 'failed');
CREATE INDEX signings_ended ON signings (updated_at) WHERE status IN ('completed', 'failed');

CREATE TABLE approvals (
    signing INTEGER NOT NULL REFERENCES signings (seq) ON DELETE CASCADE,
    user_id BLOB NOT NULL CHECK (length(user_id) = 16),
    signing_header TEXT NOT NULL,
    bound_message_hash BLOB CHECK (length(bound_message_hash) = 32),
    bound_expires_at INTEGER,
    bound_signature BLOB CHECK (length(bound_signature) = 64),
    PRIMARY KEY (signing, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE sealed (
    seq INTEGER PRIMARY KEY,
    keygen INTEGER NOT NULL REFERENCES keygens (seq) ON DELETE CASCADE,
    enclave_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    snapshot INTEGER NOT NULL CHECK (snapshot IN (0, 1)),
    state BLOB NOT NULL,
    UNIQUE (keygen, enclave_id, version)
) STRICT;

CREATE TABLE nonces (
    key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    keygen INTEGER NOT NULL REFERENCES keygens (seq) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_of_keygen ON nonces (keygen);

CREATE TABLE blob_bindings (
    binding_id BLOB NOT NULL PRIMARY KEY CHECK (length(binding_id) = 32),
    keygen_id BLOB NOT NULL CHECK (length(keygen_id) = 16),
    user_id BLOB NOT NULL CHECK (length(user_id) = 16)
) STRICT, WITHOUT ROWID;

CREATE TABLE retired_ids (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('keygen', 'signing'))
) STRICT, WITHOUT ROWID;
)sql";

// Leases; whose a nonce of X-Signing-HMAC is, so that it can outlive its keygen.
constexpr const char kVersion2[] = R"sql(
ALTER TABLE keygens ADD COLUMN owner BLOB CHECK (length(owner) = 16);
ALTER TABLE keygens ADD COLUMN lease_until INTEGER;
ALTER TABLE signings ADD COLUMN owner BLOB CHECK (length(owner) = 16);
ALTER TABLE signings ADD COLUMN lease_until INTEGER;
ALTER TABLE nonces ADD COLUMN signer BLOB CHECK (length(signer) = 16);
CREATE INDEX participants_key ON participants (public_key) WHERE public_key IS NOT NULL;
)sql";

// Single keys. A signature belongs to its key, and goes with it.
constexpr const char kVersion3[] = R"sql(
CREATE TABLE single_keys (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    user_id BLOB NOT NULL CHECK (length(user_id) = 16),
    enclave_id INTEGER NOT NULL,
    enclave_public_key BLOB NOT NULL CHECK (length(enclave_public_key) = 33),
    enclave_key_epoch INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    public_key BLOB CHECK (length(public_key) = 33),
    auth_pubkey BLOB CHECK (length(auth_pubkey) = 33),
    allowed INTEGER CHECK (allowed BETWEEN 1 AND 3),
    label TEXT,
    origin_keygen BLOB CHECK (length(origin_keygen) = 16),
    request_digest BLOB CHECK (length(request_digest) = 32)
) STRICT;
CREATE INDEX single_keys_of_owner ON single_keys (user_id, auth_pubkey) WHERE public_key IS NOT NULL;
CREATE INDEX single_keys_reserved ON single_keys (expires_at) WHERE public_key IS NULL;

CREATE TABLE key_sealed (
    seq INTEGER PRIMARY KEY,
    key INTEGER NOT NULL REFERENCES single_keys (seq) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    snapshot INTEGER NOT NULL CHECK (snapshot IN (0, 1)),
    state BLOB NOT NULL,
    UNIQUE (key, version)
) STRICT;

CREATE TABLE key_nonces (
    nonce BLOB NOT NULL PRIMARY KEY CHECK (length(nonce) = 32),
    key INTEGER NOT NULL REFERENCES single_keys (seq) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX key_nonces_of_key ON key_nonces (key);

CREATE TABLE key_signings (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    key INTEGER NOT NULL REFERENCES single_keys (seq) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    signature_type TEXT NOT NULL CHECK (signature_type IN ('ecdsa', 'schnorr_bip340')),
    request_digest BLOB NOT NULL CHECK (length(request_digest) = 32),
    encrypted_signature TEXT NOT NULL
) STRICT;
CREATE INDEX key_signings_of_key ON key_signings (key);
CREATE INDEX key_signings_by_time ON key_signings (created_at);
)sql";

// A nonce is written into one place in random order only, the index that makes it single use. Its row and the index that
// finds the nonces of a keygen or key grow at their ends.
constexpr const char kVersion4[] = R"sql(
CREATE TABLE nonces_in_time (
    seq INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
    keygen INTEGER NOT NULL REFERENCES keygens (seq) ON DELETE CASCADE,
    signer BLOB CHECK (length(signer) = 16)
) STRICT;
INSERT INTO nonces_in_time (key, keygen, signer) SELECT key, keygen, signer FROM nonces;
DROP TABLE nonces;
ALTER TABLE nonces_in_time RENAME TO nonces;
CREATE INDEX nonces_of_keygen ON nonces (keygen);

CREATE TABLE key_nonces_in_time (
    seq INTEGER PRIMARY KEY,
    nonce BLOB NOT NULL UNIQUE CHECK (length(nonce) = 32),
    key INTEGER NOT NULL REFERENCES single_keys (seq) ON DELETE CASCADE
) STRICT;
INSERT INTO key_nonces_in_time (nonce, key) SELECT nonce, key FROM key_nonces;
DROP TABLE key_nonces;
ALTER TABLE key_nonces_in_time RENAME TO key_nonces;
CREATE INDEX key_nonces_of_key ON key_nonces (key);
)sql";

constexpr const char* kSteps[] = {kVersion1, kVersion2, kVersion3, kVersion4};
static_assert(std::size(kSteps) == kSchemaVersion);

std::string uuid(const std::string& column) {
    const std::string h = "lower(hex(" + column + "))";
    return "substr(" + h + ",1,8)||'-'||substr(" + h + ",9,4)||'-'||substr(" + h +
           ",13,4)||'-'||substr(" + h + ",17,4)||'-'||substr(" + h + ",21)";
}
std::string hex(const std::string& column) {
    return "iif(" + column + " IS NULL, NULL, lower(hex(" + column + ")))";
}
std::string date(const std::string& column) {
    return "datetime(" + column + ", 'unixepoch')";
}

/// For people; the program never reads them. Made anew by each migration, after the tables.
std::string views() {
    const std::string of_keygen = " JOIN keygens k ON k.seq = t.keygen";
    return "CREATE VIEW keygen_view AS SELECT " + uuid("id") +
           " AS id, status, version, event_seq, " + date("created_at") + " AS created_at, " +
           date("updated_at") + " AS updated_at, " + date("expires_at") +
           " AS expires_at, coordinator_enclave_id, tweak_type, " + hex("tweak_value") +
           " AS tweak_value, key_order, max_signing_sessions, ecies_aad, " +
           hex("aggregate_public_key") + " AS aggregate_public_key, " +
           hex("untweaked_public_key") + " AS untweaked_public_key, " + hex("aggregate_key_tag") +
           " AS aggregate_key_tag, failure_type, failure_message, (SELECT count(*) FROM "
           "participants p WHERE p.keygen = keygens.seq) AS participants, (SELECT count(*) FROM "
           "participants p WHERE p.keygen = keygens.seq AND p.public_key IS NOT NULL) AS "
           "registered FROM keygens;\n"
           "CREATE VIEW participant_view AS SELECT " +
           uuid("k.id") + " AS keygen_id, t.signer_index, " + uuid("t.user_id") +
           " AS user_id, t.enclave_id, " + hex("t.enclave_public_key") +
           " AS enclave_public_key, t.enclave_key_epoch, t.registered_rank, " +
           hex("t.public_key") + " AS public_key, t.approval_policy FROM participants t" +
           of_keygen +
           ";\n"
           "CREATE VIEW signing_view AS SELECT " +
           uuid("t.id") + " AS id, " + uuid("k.id") +
           " AS keygen_id, t.status, t.version, t.attempt, t.event_seq, " + date("t.created_at") +
           " AS created_at, " + date("t.updated_at") + " AS updated_at, " + date("t.expires_at") +
           " AS expires_at, " + hex("t.message_hash") +
           " AS message_hash, t.failure_type, t.failure_message FROM signings t" + of_keygen +
           ";\n"
           "CREATE VIEW approval_view AS SELECT " +
           uuid("s.id") + " AS signing_id, " + uuid("t.user_id") +
           " AS user_id, iif(t.bound_signature IS NULL, 'header', 'bound') AS policy, " +
           date("t.bound_expires_at") +
           " AS expires_at FROM approvals t JOIN signings s ON s.seq = t.signing;\n"
           "CREATE VIEW sealed_view AS SELECT " +
           uuid("k.id") +
           " AS keygen_id, t.enclave_id, t.version, iif(t.snapshot, 'snapshot', 'delta') AS kind, "
           "length(t.state) AS bytes FROM sealed t" +
           of_keygen +
           ";\n"
           "CREATE VIEW nonce_view AS SELECT " +
           hex("t.key") + " AS key, " + uuid("k.id") +
           " AS keygen_id, iif(t.signer IS NULL, NULL, " + uuid("t.signer") +
           ") AS signer FROM nonces t" + of_keygen +
           ";\n"
           "CREATE VIEW blob_binding_view AS SELECT " +
           hex("binding_id") + " AS binding_id, " + uuid("keygen_id") + " AS keygen_id, " +
           uuid("user_id") +
           " AS user_id FROM blob_bindings;\n"
           "CREATE VIEW retired_id_view AS SELECT " +
           uuid("id") +
           " AS id, kind FROM retired_ids;\n"
           "CREATE VIEW single_key_view AS SELECT " +
           uuid("id") + " AS id, " + uuid("user_id") +
           " AS user_id, iif(public_key IS NULL, 'reserved', 'held') AS status, enclave_id, " +
           hex("enclave_public_key") + " AS enclave_public_key, enclave_key_epoch, " +
           date("created_at") + " AS created_at, " + date("expires_at") + " AS expires_at, " +
           hex("public_key") + " AS public_key, " + hex("auth_pubkey") +
           " AS auth_pubkey, allowed, label, iif(origin_keygen IS NULL, NULL, " +
           uuid("origin_keygen") +
           ") AS origin_keygen FROM single_keys;\n"
           "CREATE VIEW key_signing_view AS SELECT " +
           uuid("t.id") + " AS id, " + uuid("k.id") + " AS key_id, " + date("t.created_at") +
           " AS created_at, t.signature_type FROM key_signings t JOIN single_keys k ON k.seq = "
           "t.key;\n"
           "CREATE VIEW key_sealed_view AS SELECT " +
           uuid("k.id") +
           " AS key_id, t.version, iif(t.snapshot, 'snapshot', 'delta') AS kind, length(t.state) "
           "AS bytes FROM key_sealed t JOIN single_keys k ON k.seq = t.key;\n"
           "CREATE VIEW key_nonce_view AS SELECT " +
           hex("t.nonce") + " AS nonce, " + uuid("k.id") +
           " AS key_id FROM key_nonces t JOIN single_keys k ON k.seq = t.key;\n";
}

Status drop_views(Connection& connection) {
    for (;;) {
        KEYMELD_TRY(const auto name,
                    connection.first_text("SELECT name FROM sqlite_schema WHERE type = 'view'"));
        if (!name)
            return {};
        KEYMELD_CHECK(connection.exec("DROP VIEW \"" + *name + "\""));
    }
}

Status one_step(Connection& connection, std::uint32_t from) {
    KEYMELD_CHECK(drop_views(connection));
    KEYMELD_CHECK(connection.exec(kSteps[from]));
    if (from + 1 == kSchemaVersion)
        KEYMELD_CHECK(connection.exec(views()));
    KEYMELD_CHECK(connection.exec("PRAGMA application_id = " + std::to_string(kApplicationId)));
    return connection.exec("PRAGMA user_version = " + std::to_string(from + 1));
}

} // namespace

Status migrate(Connection& connection) {
    KEYMELD_TRY(const std::uint64_t version, connection.first_number("PRAGMA user_version"));
    KEYMELD_TRY(const std::uint64_t owner, connection.first_number("PRAGMA application_id"));
    KEYMELD_TRY(const std::uint64_t objects,
                connection.first_number("SELECT count(*) FROM sqlite_schema"));
    if (objects != 0 && owner != kApplicationId)
        return fail(Errc::StorageFailed,
                    "storage: the file is a database of another application; give another path");
    if (version > kSchemaVersion)
        return fail(Errc::StorageFailed,
                    "storage: the database has schema version " + std::to_string(version) +
                        " and this program knows up to " + std::to_string(kSchemaVersion) +
                        "; use the newer program that wrote it");
    for (auto from = static_cast<std::uint32_t>(version); from < kSchemaVersion; ++from) {
        KEYMELD_CHECK(connection.exec("BEGIN IMMEDIATE"));
        const Status done = one_step(connection, from);
        if (!done) {
            (void)connection.exec("ROLLBACK"); // what failed first is what is reported
            return done;
        }
        KEYMELD_CHECK(connection.exec("COMMIT"));
    }
    return {};
}

Status check_integrity(Connection& connection, CheckDepth depth) {
    KEYMELD_TRY(const auto verdict,
                connection.first_text(depth == CheckDepth::Full ? "PRAGMA integrity_check(1)"
                                                                : "PRAGMA quick_check(1)"));
    if (verdict != "ok")
        return fail(Errc::StorageCorrupt, "storage: the database is damaged (" +
                                              verdict.value_or("no answer") +
                                              "); restore it from a backup");
    if (depth == CheckDepth::Full) {
        KEYMELD_TRY(const auto orphan, connection.first_text("PRAGMA foreign_key_check"));
        if (orphan)
            return fail(Errc::StorageCorrupt, "storage: the database is damaged (table " + *orphan +
                                                  " has rows of no session); restore it from a "
                                                  "backup");
    }
    return {};
}

} // namespace keymeld::storage_sqlite
