// Applies the mutations of core/plugin/storage.h to the tables, inside a transaction of the caller.
#pragma once

#include "core/plugin/storage.h"
#include "plugins/storage-sqlite/database.h"

namespace keymeld::storage_sqlite {

/// Whose sessions new ones are.
struct Lease {
    Uuid owner;
    std::uint64_t until = 0;
};

/// What a batch changes in the totals; counting the tables would take longer each day.
struct Totals {
    std::int64_t sessions = 0;
    std::int64_t participants = 0;

    Totals& operator+=(const Totals& other) {
        sessions += other.sessions;
        participants += other.participants;
        return *this;
    }
};

/// Thread rule: as its connection.
class Mutator {
  public:
    /// `connection` must outlive it.
    static Result<Mutator> create(Connection& connection);

    /// One after the other up to the first error, after which the caller must roll back.
    /// StorageConflict and InvalidArgument concern this batch alone, any other code the whole
    /// transaction.
    Status apply(const std::vector<plugin::Mutation>& batch, const std::optional<Lease>& lease);
    /// Of the last apply().
    const Totals& totals() const { return m_totals; }

    /// Takes every unfinished session without an owner, of this owner, or whose lease has ended at
    /// `now`.
    Status claim(const Lease& lease, std::uint64_t now);

  private:
    explicit Mutator(Connection& connection) : m_connection(&connection) {}

    Status apply_one(const plugin::InsertKeygen& m);
    Status apply_one(const plugin::UpdateKeygen& m);
    Status apply_one(const plugin::UpdateParticipant& m);
    Status apply_one(const plugin::InsertSigning& m);
    Status apply_one(const plugin::UpdateSigning& m);
    Status apply_one(const plugin::PutApproval& m);
    Status apply_one(const plugin::DeleteApproval& m);
    Status apply_one(const plugin::PutSealed& m);
    Status apply_one(const plugin::UseNonce& m);
    Status apply_one(const plugin::BindBlob& m);
    Status apply_one(const plugin::DeleteKeygen& m);
    Status apply_one(const plugin::DeleteSigning& m);
    // key_mutations.cpp
    Status apply_one(const plugin::InsertKey& m);
    Status apply_one(const plugin::HoldKey& m);
    Status apply_one(const plugin::DeleteKey& m);
    Status apply_one(const plugin::DropReservation& m);
    Status apply_one(const plugin::PutKeySealed& m);
    Status apply_one(const plugin::UseKeyNonce& m);
    Status apply_one(const plugin::InsertKeySigning& m);
    Status apply_one(const plugin::DeleteKeySigning& m);
    Status prepare_keys();
    Result<std::int64_t> key_row(const KeyId& id);

    Status refuse_used_id(const Uuid& id);
    /// The row of a session; nullopt if it is not there.
    Result<std::optional<std::int64_t>> find(Statement& statement, const Uuid& id);
    Result<std::int64_t> keygen_row(const KeygenId& id);
    Result<std::int64_t> signing_row(const SigningId& id);

    Connection* m_connection;
    std::optional<Lease> m_lease;
    Totals m_totals;
    /// The keygen that was looked up last: the mutations of a batch mostly concern the same one.
    std::optional<std::pair<KeygenId, std::int64_t>> m_known_keygen;

    Statement m_id_used, m_find_keygen, m_find_signing;
    Statement m_insert_keygen, m_insert_participant, m_update_keygen, m_update_participant;
    Statement m_insert_signing, m_update_signing, m_put_approval, m_delete_approval;
    Statement m_first_sealed, m_drop_sealed, m_insert_sealed;
    Statement m_use_nonce, m_bind_blob, m_find_binding;
    Statement m_retire_signings, m_retire_id, m_keep_nonces, m_count_members;
    Statement m_delete_keygen, m_delete_signing;
    Statement m_find_key, m_insert_key, m_hold_key, m_delete_key, m_drop_reservation;
    Statement m_first_key_sealed, m_drop_key_sealed, m_insert_key_sealed;
    Statement m_use_key_nonce, m_insert_key_signing, m_delete_key_signing;
    Statement m_claim_keygens, m_claim_signings;
};

} // namespace keymeld::storage_sqlite
