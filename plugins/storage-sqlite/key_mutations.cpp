// Mutator: single keys.
#include "plugins/storage-sqlite/mutator.h"

namespace keymeld::storage_sqlite {
namespace {

Error key_conflict(std::string detail) {
    return fail(Errc::StorageConflict, "storage: " + std::move(detail));
}

/// Runs an insertion; a uniqueness failure becomes a conflict that says of what.
Status insert(Query query, const char* what, const Uuid& id) {
    Status done = query.run();
    if (!done && done.error().code == Errc::StorageConflict)
        return key_conflict(what + id.text() + " is there already");
    return done;
}

} // namespace

Status Mutator::prepare_keys() {
    struct Entry {
        Statement* statement;
        std::string_view sql;
    };
    const Entry entries[] = {
        {&m_find_key, "SELECT seq FROM single_keys WHERE id = ?1"},
        {&m_insert_key,
         "INSERT INTO single_keys (id, user_id, enclave_id, enclave_public_key, enclave_key_epoch, "
         "created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
        {&m_hold_key,
         "UPDATE single_keys SET public_key = ?2, auth_pubkey = ?3, allowed = ?4, label = ?5, "
         "origin_keygen = ?6, request_digest = ?7, created_at = ?8, enclave_id = ?9, "
         "enclave_public_key = ?10, enclave_key_epoch = ?11 WHERE id = ?1 AND public_key IS NULL"},
        {&m_delete_key, "DELETE FROM single_keys WHERE id = ?1"},
        {&m_drop_reservation, "DELETE FROM single_keys WHERE id = ?1 AND public_key IS NULL"},
        {&m_first_key_sealed,
         "SELECT version, snapshot FROM key_sealed WHERE key = ?1 ORDER BY version LIMIT 1"},
        {&m_drop_key_sealed, "DELETE FROM key_sealed WHERE key = ?1 AND version < ?2"},
        {&m_insert_key_sealed,
         "INSERT INTO key_sealed (key, version, snapshot, state) VALUES (?1, ?2, ?3, ?4)"},
        {&m_use_key_nonce, "INSERT INTO key_nonces (nonce, key) VALUES (?1, ?2)"},
        {&m_insert_key_signing,
         "INSERT INTO key_signings (id, key, created_at, signature_type, request_digest, "
         "encrypted_signature) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
        {&m_delete_key_signing, "DELETE FROM key_signings WHERE id = ?1"},
    };
    for (const Entry& entry : entries) {
        KEYMELD_TRY(*entry.statement, m_connection->prepare(entry.sql));
    }
    return {};
}

Result<std::int64_t> Mutator::key_row(const KeyId& id) {
    KEYMELD_TRY(const auto row, find(m_find_key, id));
    if (!row)
        return key_conflict("there is no single key " + id.text());
    return *row;
}

Status Mutator::apply_one(const plugin::InsertKey& m) {
    const plugin::KeyRecord& r = m.record;
    return insert(m_insert_key(r.id, r.user_id, r.enclave_id, r.enclave_public_key,
                               r.enclave_key_epoch, r.created_at, r.expires_at),
                  "single key ", r.id);
}

Status Mutator::apply_one(const plugin::HoldKey& m) {
    const plugin::KeyRecord& r = m.record;
    KEYMELD_CHECK(m_hold_key(r.id, r.public_key, r.auth_pubkey, std::uint64_t{r.allowed.bits()},
                             or_null(r.label), or_null(r.origin_keygen), r.request_digest,
                             r.created_at, r.enclave_id, r.enclave_public_key, r.enclave_key_epoch)
                      .run());
    if (m_connection->changes() != 1)
        return key_conflict("single key " + r.id.text() + " is not reserved");
    return {};
}

Status Mutator::apply_one(const plugin::DeleteKey& m) {
    return m_delete_key(m.id).run();
}

Status Mutator::apply_one(const plugin::DropReservation& m) {
    return m_drop_reservation(m.id).run();
}

Status Mutator::apply_one(const plugin::PutKeySealed& m) {
    const plugin::KeySealedRecord& r = m.record;
    KEYMELD_TRY(const std::int64_t row, key_row(r.key_id));
    {
        Query first = m_first_key_sealed(row);
        KEYMELD_TRY(const bool found, first.next());
        if (found && first.number(1) == 1 && r.version < first.number(0))
            return {};
    }
    if (r.snapshot)
        KEYMELD_CHECK(m_drop_key_sealed(row, r.version).run());
    return insert(m_insert_key_sealed(row, r.version, r.snapshot, r.blob),
                  "a version of the sealed state of single key ", r.key_id);
}

Status Mutator::apply_one(const plugin::UseKeyNonce& m) {
    KEYMELD_TRY(const std::int64_t row, key_row(m.key_id));
    return insert(m_use_key_nonce(m.key, row), "a nonce of single key ", m.key_id);
}

Status Mutator::apply_one(const plugin::InsertKeySigning& m) {
    const plugin::KeySigningRecord& r = m.record;
    KEYMELD_TRY(const std::int64_t row, key_row(r.key_id));
    return insert(m_insert_key_signing(r.id, row, r.created_at, bitcoin::text(r.type),
                                       r.request_digest, r.encrypted_signature),
                  "signature ", r.id);
}

Status Mutator::apply_one(const plugin::DeleteKeySigning& m) {
    return m_delete_key_signing(m.id).run();
}

} // namespace keymeld::storage_sqlite
