#include "plugins/storage-sqlite/reader.h"

#include <limits>

namespace keymeld::storage_sqlite {
namespace {

#define KEYMELD_KEYGEN_COLUMNS                                                                     \
    "seq, id, version, status, created_at, updated_at, expires_at, event_seq, request_digest, "    \
    "coordinator_enclave_id, encrypted_session_secret, tweak_type, tweak_value, key_order, "       \
    "max_signing_sessions, ecies_aad, aggregate_public_key, untweaked_public_key, "                \
    "aggregate_key_tag, failure_type, failure_message"
#define KEYMELD_SIGNING_COLUMNS                                                                    \
    "s.seq, s.id, k.id, s.version, s.status, s.attempt, s.created_at, s.updated_at, "              \
    "s.expires_at, s.event_seq, s.request_digest, s.session_header, s.message_hash, "              \
    "s.encrypted_message, s.final_signature, s.failure_type, s.failure_message"

std::optional<plugin::FailureRecord> failure(Query& q, int type_column) {
    if (q.is_null(type_column))
        return std::nullopt;
    return plugin::FailureRecord{q.parsed(type_column, session::parse_failure_type),
                                 q.text(type_column + 1)};
}

plugin::KeygenRecord keygen_record(Query& q) {
    plugin::KeygenRecord r;
    r.id = q.id<KeygenId>(1);
    r.version = q.number(2);
    r.status = q.parsed(3, session::parse_keygen_status);
    r.created_at = q.number(4);
    r.updated_at = q.number(5);
    r.expires_at = q.number(6);
    r.event_seq = q.number(7);
    r.request_digest = q.array<32>(8);
    r.coordinator_enclave_id = q.number32(9);
    r.encrypted_session_secret = q.text(10);
    r.tweak.type = q.parsed(11, bitcoin::parse_tweak_type);
    if (!q.is_null(12))
        r.tweak.value32 = q.array<32>(12);
    r.key_order = q.parsed(13, bitcoin::parse_key_order);
    r.max_signing_sessions = q.number32(14);
    r.ecies_aad = q.number(15) != 0;
    r.aggregate_public_key = q.optional_array<33>(16);
    r.untweaked_public_key = q.optional_array<33>(17);
    r.aggregate_key_tag = q.optional_array<32>(18);
    r.failure = failure(q, 19);
    return r;
}

plugin::SigningRecord signing_record(Query& q) {
    plugin::SigningRecord r;
    r.id = q.id<SigningId>(1);
    r.keygen_id = q.id<KeygenId>(2);
    r.version = q.number(3);
    r.status = q.parsed(4, session::parse_signing_status);
    r.attempt = q.number32(5);
    r.created_at = q.number(6);
    r.updated_at = q.number(7);
    r.expires_at = q.number(8);
    r.event_seq = q.number(9);
    r.request_digest = q.array<32>(10);
    r.session_header = q.text(11);
    r.message_hash = q.array<32>(12);
    if (!q.is_null(13))
        r.encrypted_message = q.text(13);
    r.final_signature = q.text(14);
    r.failure = failure(q, 15);
    return r;
}

} // namespace

Result<Reader> Reader::create(Connection& connection) {
    Reader out;
    struct Entry {
        Statement* statement;
        std::string_view sql;
    };
    const Entry entries[] = {
        {&out.m_keygen, "SELECT " KEYMELD_KEYGEN_COLUMNS " FROM keygens WHERE id = ?1"},
        {&out.m_participants,
         "SELECT user_id, signer_index, enclave_id, enclave_public_key, enclave_key_epoch, "
         "public_key, approval_policy, registration_tag, registered_rank, request_digest FROM "
         "participants WHERE keygen = ?1 ORDER BY signer_index"},
        {&out.m_signing, "SELECT " KEYMELD_SIGNING_COLUMNS
                         " FROM signings s JOIN keygens k ON k.seq = s.keygen WHERE s.id = ?1"},
        {&out.m_approvals, "SELECT user_id, signing_header, bound_message_hash, bound_expires_at, "
                           "bound_signature FROM approvals WHERE signing = ?1 ORDER BY user_id"},
        {&out.m_nonce, "SELECT 1 FROM nonces WHERE key = ?1"},
        {&out.m_binding, "SELECT keygen_id, user_id FROM blob_bindings WHERE binding_id = ?1"},
        {&out.m_used_id, "SELECT 1 FROM keygens WHERE id = ?1 UNION ALL SELECT 1 FROM signings "
                         "WHERE id = ?1 UNION ALL SELECT 1 FROM retired_ids WHERE id = ?1 LIMIT 1"},
        {&out.m_sealed,
         "SELECT version, snapshot, state FROM sealed WHERE keygen = (SELECT seq FROM keygens "
         "WHERE id = ?1) AND enclave_id = ?2 ORDER BY version"},
        {&out.m_own_keygens, "SELECT " KEYMELD_KEYGEN_COLUMNS
                             " FROM keygens WHERE status = 'collecting_participants' AND owner = "
                             "?1 ORDER BY seq"},
        {&out.m_own_signings,
         "SELECT " KEYMELD_SIGNING_COLUMNS " FROM signings s JOIN keygens k ON k.seq = s.keygen "
         "WHERE s.status NOT IN ('completed', 'failed') AND s.owner = ?1 ORDER BY s.seq"},
        // One state at a time: with both, SQLite would sort all of them.
        {&out.m_ended_keygens,
         "SELECT id FROM keygens WHERE status = ?1 AND status IN ('completed', 'failed') AND "
         "updated_at < ?2 ORDER BY updated_at LIMIT ?3"},
        {&out.m_ended_signings,
         "SELECT id FROM signings WHERE status IN ('completed', 'failed') AND updated_at < ?1 "
         "ORDER BY updated_at LIMIT ?2"},
        {&out.m_active,
         "SELECT (SELECT count(*) FROM keygens WHERE status = 'collecting_participants') + (SELECT "
         "count(*) FROM signings WHERE status NOT IN ('completed', 'failed'))"},
        {&out.m_size, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"},
    };
    for (const Entry& entry : entries) {
        KEYMELD_TRY(*entry.statement, connection.prepare(entry.sql));
    }
    KEYMELD_CHECK(out.prepare_keys(connection));
    return out;
}

Status Reader::read_participants(std::int64_t row, std::vector<plugin::ParticipantRecord>& out) {
    Query q = m_participants(row);
    for (;;) {
        KEYMELD_TRY(const bool found, q.next());
        if (!found)
            return {};
        plugin::ParticipantRecord p;
        p.user_id = q.id<UserId>(0);
        p.signer_index = q.number32(1);
        p.enclave_id = q.number32(2);
        p.enclave_public_key = q.array<33>(3);
        p.enclave_key_epoch = q.number(4);
        p.registered = !q.is_null(5);
        if (p.registered) {
            p.public_key = q.array<33>(5);
            p.policy = q.parsed(6, session::parse_approval_policy);
            p.registration_tag = q.array<32>(7);
            p.registered_rank = q.number32(8);
            p.request_digest = q.array<32>(9);
        }
        KEYMELD_CHECK(q.check("participant"));
        out.push_back(std::move(p));
    }
}

Status Reader::read_approvals(std::int64_t row, plugin::SigningBundle& out) {
    Query q = m_approvals(row);
    for (;;) {
        KEYMELD_TRY(const bool found, q.next());
        if (!found)
            return {};
        plugin::ApprovalRecord a;
        a.signing_id = out.record.id;
        a.user_id = q.id<UserId>(0);
        a.signing_header = q.text(1);
        if (!q.is_null(4))
            a.bound = plugin::ApprovalRecord::Bound{q.array<32>(2), q.number(3), q.array<64>(4)};
        KEYMELD_CHECK(q.check("approval"));
        out.approvals.push_back(std::move(a));
    }
}

Result<std::optional<plugin::KeygenBundle>> Reader::keygen(const KeygenId& id) {
    Query q = m_keygen(id);
    KEYMELD_TRY(const bool found, q.next());
    if (!found)
        return std::optional<plugin::KeygenBundle>();
    std::optional<plugin::KeygenBundle> out(std::in_place);
    out->record = keygen_record(q);
    KEYMELD_CHECK(q.check("keygen"));
    KEYMELD_CHECK(read_participants(static_cast<std::int64_t>(q.number(0)), out->participants));
    return out;
}

Result<std::optional<plugin::SigningBundle>> Reader::signing(const SigningId& id) {
    Query q = m_signing(id);
    KEYMELD_TRY(const bool found, q.next());
    if (!found)
        return std::optional<plugin::SigningBundle>();
    std::optional<plugin::SigningBundle> out(std::in_place);
    out->record = signing_record(q);
    KEYMELD_CHECK(q.check("signing"));
    KEYMELD_CHECK(read_approvals(static_cast<std::int64_t>(q.number(0)), *out));
    return out;
}

Result<plugin::ReadAnswer> Reader::answer(const plugin::ReadBatch& questions) {
    plugin::ReadAnswer out;
    std::optional<KeygenId> wanted = questions.keygen;
    if (questions.signing) {
        KEYMELD_TRY(out.signing, signing(*questions.signing));
        if (!wanted && out.signing)
            wanted = out.signing->record.keygen_id;
    }
    if (wanted) {
        KEYMELD_TRY(out.keygen, keygen(*wanted));
    }
    KEYMELD_CHECK(answer_rest(questions, out));
    KEYMELD_CHECK(answer_keys(questions, out));
    return out;
}

Status Reader::answer_rest(const plugin::ReadBatch& questions, plugin::ReadAnswer& out) {
    for (const plugin::Hash32& key : questions.nonces) {
        Query q = m_nonce(key);
        KEYMELD_TRY(const bool used, q.next());
        out.nonces_used.push_back(used);
    }
    if (questions.binding) {
        Query q = m_binding(*questions.binding);
        KEYMELD_TRY(const bool found, q.next());
        if (found)
            out.binding = {q.id<KeygenId>(0), q.id<UserId>(1)};
        KEYMELD_CHECK(q.check("blob binding"));
    }
    if (questions.used_id) {
        Query q = m_used_id(*questions.used_id);
        KEYMELD_TRY(out.used_id, q.next());
    }
    if (questions.sealed) {
        const auto& [keygen_id, enclave_id] = *questions.sealed;
        Query q = m_sealed(keygen_id, enclave_id);
        for (;;) {
            KEYMELD_TRY(const bool found, q.next());
            if (!found)
                break;
            out.sealed.push_back({keygen_id, enclave_id, q.number(0), q.number(1) != 0, q.blob(2)});
            KEYMELD_CHECK(q.check("sealed state"));
        }
    }
    return {};
}

Result<plugin::Unfinished> Reader::unfinished(const Uuid& owner) {
    plugin::Unfinished out;
    {
        Query q = m_own_keygens(owner);
        for (;;) {
            KEYMELD_TRY(const bool found, q.next());
            if (!found)
                break;
            plugin::KeygenBundle bundle{keygen_record(q), {}};
            KEYMELD_CHECK(q.check("keygen"));
            KEYMELD_CHECK(
                read_participants(static_cast<std::int64_t>(q.number(0)), bundle.participants));
            out.keygens.push_back(std::move(bundle));
        }
    }
    Query q = m_own_signings(owner);
    for (;;) {
        KEYMELD_TRY(const bool found, q.next());
        if (!found)
            return out;
        plugin::SigningBundle bundle{signing_record(q), {}};
        KEYMELD_CHECK(q.check("signing"));
        KEYMELD_CHECK(read_approvals(static_cast<std::int64_t>(q.number(0)), bundle));
        out.signings.push_back(std::move(bundle));
    }
}

Result<std::vector<Uuid>> Reader::ended_before(plugin::EndedKind kind, std::uint64_t before,
                                               std::uint32_t limit) {
    using enum plugin::EndedKind;
    // "Before the end of time" is a fair question.
    const auto time = std::min<std::uint64_t>(before, std::numeric_limits<std::int64_t>::max());
    Query q = [&] {
        switch (kind) {
        case FinishedSignings:
            return m_ended_signings(time, limit);
        case KeySignings:
            return m_old_key_signings(time, limit);
        case LapsedReservations:
            return m_lapsed_keys(time, limit);
        case FailedKeygens:
            return m_ended_keygens(text(session::KeygenStatus::Failed), time, limit);
        case CompletedKeygens:
            break;
        }
        return m_ended_keygens(text(session::KeygenStatus::Completed), time, limit);
    }();
    std::vector<Uuid> out;
    for (;;) {
        KEYMELD_TRY(const bool found, q.next());
        if (!found)
            return out;
        out.push_back(q.id<Uuid>(0));
        KEYMELD_CHECK(q.check("id"));
    }
}

Result<std::uint64_t> Reader::count_active() {
    Query q = m_active();
    KEYMELD_CHECK(q.next());
    return q.number(0);
}

Result<std::uint64_t> Reader::database_size() {
    Query q = m_size();
    KEYMELD_CHECK(q.next());
    return q.number(0);
}

} // namespace keymeld::storage_sqlite
