// Reader: single keys.
#include "plugins/storage-sqlite/reader.h"

namespace keymeld::storage_sqlite {
namespace {

#define KEYMELD_KEY_COLUMNS                                                                        \
    "id, user_id, enclave_id, enclave_public_key, enclave_key_epoch, created_at, expires_at, "     \
    "public_key, auth_pubkey, allowed, label, origin_keygen, request_digest"

Result<plugin::KeyRecord> key_record(Query& q) {
    plugin::KeyRecord r;
    r.id = q.id<KeyId>(0);
    r.user_id = q.id<UserId>(1);
    r.enclave_id = q.number32(2);
    r.enclave_public_key = q.array<33>(3);
    r.enclave_key_epoch = q.number(4);
    r.created_at = q.number(5);
    r.expires_at = q.number(6);
    r.held = !q.is_null(7);
    if (r.held) {
        r.public_key = q.array<33>(7);
        r.auth_pubkey = q.array<33>(8);
        const auto allowed = bitcoin::AllowedSignatures::from_bits(q.number(9));
        if (!allowed)
            return fail(Errc::StorageCorrupt, "storage: a single key has an impossible record");
        r.allowed = *allowed;
        if (!q.is_null(10))
            r.label = q.text(10);
        if (!q.is_null(11))
            r.origin_keygen = q.id<KeygenId>(11);
        r.request_digest = q.array<32>(12);
    }
    KEYMELD_CHECK(q.check("single key"));
    return r;
}

} // namespace

Status Reader::prepare_keys(Connection& connection) {
    struct Entry {
        Statement* statement;
        std::string_view sql;
    };
    const Entry entries[] = {
        {&m_key, "SELECT " KEYMELD_KEY_COLUMNS " FROM single_keys WHERE id = ?1"},
        {&m_key_signing,
         "SELECT s.id, k.id, s.created_at, s.signature_type, s.request_digest, "
         "s.encrypted_signature FROM key_signings s JOIN single_keys k ON k.seq = s.key WHERE s.id "
         "= ?1"},
        {&m_key_nonce, "SELECT 1 FROM key_nonces WHERE nonce = ?1"},
        {&m_key_sealed,
         "SELECT version, snapshot, state FROM key_sealed WHERE key = (SELECT seq FROM single_keys "
         "WHERE id = ?1) ORDER BY version"},
        {&m_sibling_keys,
         "SELECT " KEYMELD_KEY_COLUMNS " FROM single_keys WHERE public_key IS NOT NULL AND "
         "(user_id, auth_pubkey) = (SELECT user_id, auth_pubkey FROM single_keys WHERE id = ?1) "
         "ORDER BY seq LIMIT ?2"},
        {&m_old_key_signings,
         "SELECT id FROM key_signings WHERE created_at < ?1 ORDER BY created_at LIMIT ?2"},
        {&m_lapsed_keys, "SELECT id FROM single_keys WHERE public_key IS NULL AND expires_at < ?1 "
                         "ORDER BY expires_at LIMIT ?2"},
    };
    for (const Entry& entry : entries) {
        KEYMELD_TRY(*entry.statement, connection.prepare(entry.sql));
    }
    return {};
}

Result<std::optional<plugin::KeyRecord>> Reader::key(const KeyId& id) {
    Query q = m_key(id);
    KEYMELD_TRY(const bool found, q.next());
    if (!found)
        return std::optional<plugin::KeyRecord>();
    KEYMELD_TRY(auto record, key_record(q));
    return std::optional(std::move(record));
}

Status Reader::answer_keys(const plugin::ReadBatch& questions, plugin::ReadAnswer& out) {
    std::optional<KeyId> wanted = questions.key;
    if (questions.key_signing) {
        Query q = m_key_signing(*questions.key_signing);
        KEYMELD_TRY(const bool found, q.next());
        if (found) {
            plugin::KeySigningRecord& r = out.key_signing.emplace();
            r.id = q.id<SigningId>(0);
            r.key_id = q.id<KeyId>(1);
            r.created_at = q.number(2);
            r.type = q.parsed(3, bitcoin::parse_signature_type);
            r.request_digest = q.array<32>(4);
            r.encrypted_signature = q.text(5);
            KEYMELD_CHECK(q.check("signature of a single key"));
            if (!wanted)
                wanted = r.key_id;
        }
    }
    if (wanted) {
        KEYMELD_TRY(out.key, key(*wanted));
    }
    if (questions.key_nonce) {
        Query q = m_key_nonce(*questions.key_nonce);
        KEYMELD_TRY(out.key_nonce_used, q.next());
    }
    if (questions.key_sealed) {
        Query q = m_key_sealed(*questions.key_sealed);
        for (;;) {
            KEYMELD_TRY(const bool found, q.next());
            if (!found)
                break;
            out.key_sealed.push_back(
                {*questions.key_sealed, q.number(0), q.number(1) != 0, q.blob(2)});
            KEYMELD_CHECK(q.check("sealed state of a single key"));
        }
    }
    if (questions.sibling_keys) {
        Query q = m_sibling_keys(questions.sibling_keys->first, questions.sibling_keys->second);
        for (;;) {
            KEYMELD_TRY(const bool found, q.next());
            if (!found)
                break;
            KEYMELD_TRY(auto record, key_record(q));
            out.sibling_keys.push_back(std::move(record));
        }
    }
    return {};
}

} // namespace keymeld::storage_sqlite
