// Answers the questions of core/plugin/storage.h from the tables.
#pragma once

#include "core/plugin/storage.h"
#include "plugins/storage-sqlite/database.h"

namespace keymeld::storage_sqlite {

/// Thread rule: as its connection.
class Reader {
  public:
    /// `connection` must outlive it.
    static Result<Reader> create(Connection& connection);

    /// The caller holds a transaction if all answers must be of one state.
    Result<plugin::ReadAnswer> answer(const plugin::ReadBatch& questions);
    /// What `owner` holds.
    Result<plugin::Unfinished> unfinished(const Uuid& owner);
    Result<std::vector<Uuid>> ended_before(plugin::EndedKind kind, std::uint64_t before,
                                           std::uint32_t limit);
    Result<std::uint64_t> count_active();
    Result<std::uint64_t> database_size();

  private:
    Reader() = default;

    Result<std::optional<plugin::KeygenBundle>> keygen(const KeygenId& id);
    Result<std::optional<plugin::SigningBundle>> signing(const SigningId& id);
    Status read_participants(std::int64_t row, std::vector<plugin::ParticipantRecord>& out);
    Status read_approvals(std::int64_t row, plugin::SigningBundle& out);
    Status answer_rest(const plugin::ReadBatch& questions, plugin::ReadAnswer& out);
    // key_reads.cpp
    Status prepare_keys(Connection& connection);
    Status answer_keys(const plugin::ReadBatch& questions, plugin::ReadAnswer& out);
    Result<std::optional<plugin::KeyRecord>> key(const KeyId& id);

    Statement m_keygen, m_participants, m_signing, m_approvals;
    Statement m_nonce, m_binding, m_used_id, m_sealed;
    Statement m_own_keygens, m_own_signings;
    Statement m_ended_keygens, m_ended_signings;
    Statement m_active, m_size;
    Statement m_key, m_key_signing, m_key_nonce, m_key_sealed, m_sibling_keys;
    Statement m_old_key_signings, m_lapsed_keys;
};

} // namespace keymeld::storage_sqlite
