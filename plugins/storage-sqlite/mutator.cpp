#include "plugins/storage-sqlite/mutator.h"

#include <unordered_set>

namespace keymeld::storage_sqlite {
namespace {

using session::text;

Error conflict(std::string detail) {
    return fail(Errc::StorageConflict, "storage: " + std::move(detail));
}

Error missing(std::string_view kind, const Uuid& id) {
    return conflict("there is no " + std::string(kind) + " " + id.text());
}

/// Runs an insertion; a uniqueness failure becomes a conflict that names the record.
Status insert(Query query, const auto& name_of_conflict) {
    Status done = query.run();
    if (!done && done.error().code == Errc::StorageConflict)
        return conflict(name_of_conflict());
    return done;
}

/// The columns failure_type and failure_message.
class FailureColumns {
  public:
    explicit FailureColumns(const std::optional<plugin::FailureRecord>& failure)
        : m_type(failure ? std::optional(text(failure->type)) : std::nullopt),
          m_message(failure ? &failure->message : nullptr) {}
    OrNull<std::string_view> type() const { return or_null(m_type); }
    OrNull<std::string> message() const { return {m_message}; }

  private:
    std::optional<std::string_view> m_type;
    const std::string* m_message;
};

} // namespace

Result<Mutator> Mutator::create(Connection& connection) {
    Mutator out(connection);
    struct Entry {
        Statement* statement;
        std::string_view sql;
    };
    const Entry entries[] = {
        {&out.m_id_used, "SELECT 1 FROM keygens WHERE id = ?1 UNION ALL SELECT 1 FROM signings "
                         "WHERE id = ?1 UNION ALL SELECT 1 FROM retired_ids WHERE id = ?1 LIMIT 1"},
        {&out.m_find_keygen, "SELECT seq FROM keygens WHERE id = ?1"},
        {&out.m_find_signing, "SELECT seq FROM signings WHERE id = ?1"},
        {&out.m_insert_keygen,
         "INSERT INTO keygens (id, version, status, created_at, updated_at, expires_at, event_seq, "
         "request_digest, coordinator_enclave_id, tweak_type, tweak_value, key_order, "
         "max_signing_sessions, ecies_aad, aggregate_public_key, untweaked_public_key, "
         "aggregate_key_tag, failure_type, failure_message, encrypted_session_secret, owner, "
         "lease_until) VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
         "?15, ?16, ?17, ?18, ?19, ?20, ?21)"},
        {&out.m_insert_participant,
         "INSERT INTO participants (keygen, signer_index, user_id, enclave_id, enclave_public_key, "
         "enclave_key_epoch, registered_rank, public_key, approval_policy, registration_tag, "
         "request_digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"},
        {&out.m_update_keygen,
         "UPDATE keygens SET version = version + 1, status = ?3, updated_at = ?4, event_seq = ?5, "
         "aggregate_public_key = ?6, untweaked_public_key = ?7, aggregate_key_tag = ?8, "
         "failure_type = ?9, failure_message = ?10 WHERE id = ?1 AND version = ?2"},
        {&out.m_update_participant,
         "UPDATE participants SET registered_rank = ?4, public_key = ?5, approval_policy = ?6, "
         "registration_tag = ?7, request_digest = ?8 WHERE keygen = ?1 AND signer_index = ?2 AND "
         "user_id = ?3"},
        {&out.m_insert_signing,
         "INSERT INTO signings (id, keygen, version, status, attempt, created_at, updated_at, "
         "expires_at, event_seq, request_digest, message_hash, session_header, failure_type, "
         "failure_message, final_signature, encrypted_message, owner, lease_until) VALUES (?1, ?2, "
         "1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"},
        {&out.m_update_signing,
         "UPDATE signings SET version = version + 1, status = ?3, attempt = ?4, updated_at = ?5, "
         "event_seq = ?6, failure_type = ?7, failure_message = ?8, final_signature = ?9 WHERE id = "
         "?1 AND version = ?2"},
        {&out.m_put_approval,
         "INSERT OR REPLACE INTO approvals (signing, user_id, signing_header, bound_message_hash, "
         "bound_expires_at, bound_signature) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
        {&out.m_delete_approval, "DELETE FROM approvals WHERE signing = ?1 AND user_id = ?2"},
        {&out.m_first_sealed, "SELECT version, snapshot FROM sealed WHERE keygen = ?1 AND "
                              "enclave_id = ?2 ORDER BY version LIMIT 1"},
        {&out.m_drop_sealed,
         "DELETE FROM sealed WHERE keygen = ?1 AND enclave_id = ?2 AND version < ?3"},
        {&out.m_insert_sealed, "INSERT INTO sealed (keygen, enclave_id, version, snapshot, state) "
                               "VALUES (?1, ?2, ?3, ?4, ?5)"},
        {&out.m_use_nonce, "INSERT INTO nonces (key, keygen, signer) VALUES (?1, ?2, ?3)"},
        {&out.m_bind_blob, "INSERT OR IGNORE INTO blob_bindings (binding_id, keygen_id, user_id) "
                           "VALUES (?1, ?2, ?3)"},
        {&out.m_find_binding, "SELECT keygen_id, user_id FROM blob_bindings WHERE binding_id = ?1"},
        {&out.m_retire_signings, "INSERT OR IGNORE INTO retired_ids (id, kind) SELECT id, "
                                 "'signing' FROM signings WHERE keygen = ?1"},
        {&out.m_retire_id, "INSERT OR IGNORE INTO retired_ids (id, kind) VALUES (?1, ?2)"},
        // A signer's nonces move to the newest other keygen in which the same user registered the
        // same key.
        {&out.m_keep_nonces,
         "UPDATE nonces SET keygen = other.heir FROM (SELECT mine.user_id AS user_id, "
         "max(theirs.keygen) AS heir FROM participants mine JOIN participants theirs ON "
         "theirs.public_key = mine.public_key AND theirs.user_id = mine.user_id AND theirs.keygen "
         "<> mine.keygen WHERE mine.keygen = ?1 GROUP BY mine.user_id) AS other WHERE "
         "nonces.keygen = ?1 AND nonces.signer = other.user_id"},
        {&out.m_count_members, "SELECT (SELECT count(*) FROM signings WHERE keygen = ?1), (SELECT "
                               "count(*) FROM participants WHERE keygen = ?1)"},
        {&out.m_delete_keygen, "DELETE FROM keygens WHERE seq = ?1"},
        {&out.m_delete_signing, "DELETE FROM signings WHERE seq = ?1"},
        // Taking a session over from another owner changes its version, so that what that one still
        // writes is refused.
        {&out.m_claim_keygens,
         "UPDATE keygens SET version = version + (owner IS NOT NULL AND owner <> ?1), owner = ?1, "
         "lease_until = ?2 WHERE status = 'collecting_participants' AND (owner IS NULL OR owner = "
         "?1 OR lease_until <= ?3)"},
        {&out.m_claim_signings,
         "UPDATE signings SET version = version + (owner IS NOT NULL AND owner <> ?1), owner = ?1, "
         "lease_until = ?2 WHERE status NOT IN ('completed', 'failed') AND (owner IS NULL OR owner "
         "= ?1 OR lease_until <= ?3)"},
    };
    for (const Entry& entry : entries) {
        KEYMELD_TRY(*entry.statement, connection.prepare(entry.sql));
    }
    KEYMELD_CHECK(out.prepare_keys());
    return out;
}

Status Mutator::apply(const std::vector<plugin::Mutation>& batch,
                      const std::optional<Lease>& lease) {
    m_totals = {};
    m_lease = lease;
    // Another batch, rolled back or deleting, may have made it wrong.
    m_known_keygen.reset();
    for (const plugin::Mutation& mutation : batch)
        KEYMELD_CHECK(std::visit([&](const auto& m) { return apply_one(m); }, mutation));
    return {};
}

Status Mutator::refuse_used_id(const Uuid& id) {
    Query query = m_id_used(id);
    KEYMELD_TRY(const bool used, query.next());
    if (used)
        return conflict("id " + id.text() + " was used before");
    return {};
}

Result<std::optional<std::int64_t>> Mutator::find(Statement& statement, const Uuid& id) {
    Query query = statement(id);
    KEYMELD_TRY(const bool found, query.next());
    if (!found)
        return std::optional<std::int64_t>();
    return std::optional(static_cast<std::int64_t>(query.number(0)));
}

Result<std::int64_t> Mutator::keygen_row(const KeygenId& id) {
    if (m_known_keygen && m_known_keygen->first == id)
        return m_known_keygen->second;
    KEYMELD_TRY(const auto row, find(m_find_keygen, id));
    if (!row)
        return missing("keygen", id);
    m_known_keygen = {id, *row};
    return *row;
}

Result<std::int64_t> Mutator::signing_row(const SigningId& id) {
    KEYMELD_TRY(const auto row, find(m_find_signing, id));
    if (!row)
        return missing("signing", id);
    return *row;
}

Status Mutator::apply_one(const plugin::InsertKeygen& m) {
    const plugin::KeygenRecord& r = m.record;
    KEYMELD_CHECK(refuse_used_id(r.id));
    const FailureColumns failure(r.failure);
    const bool has_value = r.tweak.has_value();
    KEYMELD_CHECK(m_insert_keygen(r.id, text(r.status), r.created_at, r.updated_at, r.expires_at,
                                  r.event_seq, r.request_digest, r.coordinator_enclave_id,
                                  bitcoin::text(r.tweak.type), when(has_value, r.tweak.value32),
                                  bitcoin::text(r.key_order), r.max_signing_sessions, r.ecies_aad,
                                  or_null(r.aggregate_public_key), or_null(r.untweaked_public_key),
                                  or_null(r.aggregate_key_tag), failure.type(), failure.message(),
                                  r.encrypted_session_secret,
                                  OrNull<Uuid>{m_lease ? &m_lease->owner : nullptr},
                                  OrNull<std::uint64_t>{m_lease ? &m_lease->until : nullptr})
                      .run());
    const std::int64_t row = m_connection->last_row();
    m_known_keygen = {r.id, row};
    std::unordered_set<Uuid> users;
    for (const plugin::ParticipantRecord& p : m.participants) {
        if (!users.insert(p.user_id).second)
            return conflict("user " + p.user_id.text() + " is twice in keygen " + r.id.text());
        const std::string_view policy = text(p.policy);
        KEYMELD_CHECK(insert(
            m_insert_participant(row, p.signer_index, p.user_id, p.enclave_id, p.enclave_public_key,
                                 p.enclave_key_epoch, when(p.registered, p.registered_rank),
                                 when(p.registered, p.public_key), when(p.registered, policy),
                                 when(p.registered, p.registration_tag),
                                 when(p.registered, p.request_digest)),
            [&] {
                return "signer index " + std::to_string(p.signer_index) + " is twice in keygen " +
                       r.id.text();
            }));
    }
    m_totals.sessions += 1;
    m_totals.participants += static_cast<std::int64_t>(m.participants.size());
    return {};
}

Status Mutator::apply_one(const plugin::UpdateKeygen& m) {
    const plugin::KeygenRecord& r = m.record;
    const FailureColumns failure(r.failure);
    KEYMELD_CHECK(m_update_keygen(r.id, r.version, text(r.status), r.updated_at, r.event_seq,
                                  or_null(r.aggregate_public_key), or_null(r.untweaked_public_key),
                                  or_null(r.aggregate_key_tag), failure.type(), failure.message())
                      .run());
    if (m_connection->changes() != 1)
        return conflict("keygen " + r.id.text() + " is not at version " +
                        std::to_string(r.version));
    return {};
}

Status Mutator::apply_one(const plugin::UpdateParticipant& m) {
    const plugin::ParticipantRecord& p = m.record;
    KEYMELD_TRY(const std::int64_t row, keygen_row(m.keygen_id));
    const std::string_view policy = text(p.policy);
    KEYMELD_CHECK(m_update_participant(
                      row, p.signer_index, p.user_id, when(p.registered, p.registered_rank),
                      when(p.registered, p.public_key), when(p.registered, policy),
                      when(p.registered, p.registration_tag), when(p.registered, p.request_digest))
                      .run());
    if (m_connection->changes() != 1)
        return conflict("user " + p.user_id.text() + " is not at signer index " +
                        std::to_string(p.signer_index) + " of keygen " + m.keygen_id.text());
    return {};
}

Status Mutator::apply_one(const plugin::InsertSigning& m) {
    const plugin::SigningRecord& r = m.record;
    KEYMELD_CHECK(refuse_used_id(r.id));
    KEYMELD_TRY(const std::int64_t keygen, keygen_row(r.keygen_id));
    const FailureColumns failure(r.failure);
    KEYMELD_CHECK(m_insert_signing(r.id, keygen, text(r.status), r.attempt, r.created_at,
                                   r.updated_at, r.expires_at, r.event_seq, r.request_digest,
                                   r.message_hash, r.session_header, failure.type(),
                                   failure.message(), r.final_signature,
                                   or_null(r.encrypted_message),
                                   OrNull<Uuid>{m_lease ? &m_lease->owner : nullptr},
                                   OrNull<std::uint64_t>{m_lease ? &m_lease->until : nullptr})
                      .run());
    m_totals.sessions += 1;
    return {};
}

Status Mutator::apply_one(const plugin::UpdateSigning& m) {
    const plugin::SigningRecord& r = m.record;
    const FailureColumns failure(r.failure);
    KEYMELD_CHECK(m_update_signing(r.id, r.version, text(r.status), r.attempt, r.updated_at,
                                   r.event_seq, failure.type(), failure.message(),
                                   r.final_signature)
                      .run());
    if (m_connection->changes() != 1)
        return conflict("signing " + r.id.text() + " is not at version " +
                        std::to_string(r.version));
    return {};
}

Status Mutator::apply_one(const plugin::PutApproval& m) {
    const plugin::ApprovalRecord& r = m.record;
    KEYMELD_TRY(const std::int64_t row, signing_row(r.signing_id));
    const auto* const bound = r.bound ? &*r.bound : nullptr;
    return m_put_approval(row, r.user_id, r.signing_header,
                          OrNull<plugin::Hash32>{bound ? &bound->message_hash : nullptr},
                          OrNull<std::uint64_t>{bound ? &bound->expires_at : nullptr},
                          OrNull<ByteArray<64>>{bound ? &bound->signature : nullptr})
        .run();
}

Status Mutator::apply_one(const plugin::DeleteApproval& m) {
    KEYMELD_TRY(const auto row, find(m_find_signing, m.signing_id));
    return row ? m_delete_approval(*row, m.user_id).run() : Status();
}

Status Mutator::apply_one(const plugin::PutSealed& m) {
    const plugin::SealedRecord& r = m.record;
    KEYMELD_TRY(const std::int64_t row, keygen_row(r.keygen_id));
    {
        // Everything below a snapshot is deleted with it, so if there is one it is the first.
        Query first = m_first_sealed(row, r.enclave_id);
        KEYMELD_TRY(const bool found, first.next());
        if (found && first.number(1) == 1 && r.version < first.number(0))
            return {};
    }
    if (r.snapshot)
        KEYMELD_CHECK(m_drop_sealed(row, r.enclave_id, r.version).run());
    return insert(m_insert_sealed(row, r.enclave_id, r.version, r.snapshot, r.blob), [&] {
        return "sealed state " + std::to_string(r.version) + " of enclave " +
               std::to_string(r.enclave_id) + " for keygen " + r.keygen_id.text() +
               " is there already";
    });
}

Status Mutator::apply_one(const plugin::UseNonce& m) {
    KEYMELD_TRY(const std::int64_t row, keygen_row(m.keygen_id));
    return insert(m_use_nonce(m.key, row, or_null(m.signer)),
                  [&] { return "a nonce of keygen " + m.keygen_id.text() + " was used before"; });
}

Status Mutator::apply_one(const plugin::BindBlob& m) {
    KEYMELD_CHECK(m_bind_blob(m.binding_id, m.keygen_id, m.user_id).run());
    if (m_connection->changes() == 1)
        return {};
    Query query = m_find_binding(m.binding_id);
    KEYMELD_TRY(const bool found, query.next());
    const bool same =
        found && query.id<KeygenId>(0) == m.keygen_id && query.id<UserId>(1) == m.user_id;
    if (!same)
        return conflict("a blob of keygen " + m.keygen_id.text() +
                        " was first used for another participant");
    return {};
}

Status Mutator::apply_one(const plugin::DeleteKeygen& m) {
    KEYMELD_TRY(const auto row, find(m_find_keygen, m.id));
    if (!row)
        return {};
    {
        Query counted = m_count_members(*row);
        KEYMELD_CHECK(counted.next());
        m_totals.sessions -= 1 + static_cast<std::int64_t>(counted.number(0));
        m_totals.participants -= static_cast<std::int64_t>(counted.number(1));
    }
    KEYMELD_CHECK(m_retire_signings(*row).run());
    KEYMELD_CHECK(m_retire_id(m.id, std::string_view("keygen")).run());
    KEYMELD_CHECK(m_keep_nonces(*row).run());
    m_known_keygen.reset();
    return m_delete_keygen(*row).run();
}

Status Mutator::apply_one(const plugin::DeleteSigning& m) {
    KEYMELD_TRY(const auto row, find(m_find_signing, m.id));
    if (!row)
        return {};
    m_totals.sessions -= 1;
    KEYMELD_CHECK(m_retire_id(m.id, std::string_view("signing")).run());
    return m_delete_signing(*row).run();
}

Status Mutator::claim(const Lease& lease, std::uint64_t now) {
    KEYMELD_CHECK(m_claim_keygens(lease.owner, lease.until, now).run());
    return m_claim_signings(lease.owner, lease.until, now).run();
}

} // namespace keymeld::storage_sqlite
