// Which header nonces were used, and for what (rest-v1.md 3.1). A nonce serves one use; the same
// evidence again for the same use is no replay.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/base/result.h"
#include "enclave/signer/mark_map.h"

namespace keymeld::enclave {

/// What is known of a nonce.
enum class NonceVerdict {
    Fresh,
    SameUse, ///< used, for exactly this
    Replayed,
};

/// Judges `wanted` against what is recorded. A read may be repeated on a later stream: its answer
/// may have been lost with the old one.
NonceVerdict judge_use(NonceUse recorded, NonceUse wanted);

/// The latest session nonces of one keygen session that are not ledger facts: reads, and requests
/// that were authentic but failed. In memory only; the gateway keeps the long memory of reads.
class RecentNonces {
  public:
    explicit RecentNonces(std::size_t capacity) : m_capacity(capacity) {}
    std::optional<NonceUse> find(Mark nonce) const;
    void note(Mark nonce, NonceUse use);
    std::size_t size() const { return m_entries.size(); }

  private:
    struct Entry {
        Mark nonce = 0;
        std::uint64_t use = 0;
    };
    std::size_t m_capacity;
    std::size_t m_next = 0;
    std::vector<Entry> m_entries; // a ring once full
};

/// Signing nonces over all sessions of this enclave, because a participant may use one key in
/// several: the latest `generation` to 2 * `generation` of them. In memory only; a session's ledger
/// holds its own approvals and rejections for as long as it lives.
class SigningNonces {
  public:
    explicit SigningNonces(std::size_t generation) : m_generation(generation) {}
    std::optional<NonceUse> find(Mark nonce) const;
    void note(Mark nonce, NonceUse use);
    std::size_t size() const { return m_young.size() + m_old.size(); }

  private:
    std::size_t m_generation;
    MarkMap m_young;
    MarkMap m_old;
};

} // namespace keymeld::enclave
