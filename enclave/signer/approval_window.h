// Which approvals of a single key's signatures were used, and with which header nonces: each
// approval is good for one signature (rest-keys.md).
//
// An approval older than 300 s is refused anyway, so older ones need not be remembered. What is
// forgotten leaves a floor: nothing that was approved at or before it is ever accepted, whatever
// the clock says later. Marks only, nothing secret.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "enclave/signer/mark_map.h"
#include "enclave/signer/secret_codec.h"

namespace keymeld::enclave {

struct ApprovalUsed {
    std::uint64_t timestamp = 0; ///< of the approval, Unix seconds
    Mark approval = 0;
    Mark nonce = 0; ///< of the header it came with

    void encode(SecretWriter& out) const;
    /// Fails the reader for marks that are zero.
    static ApprovalUsed decode(SecretReader& in);
};

class ApprovalWindow {
  public:
    explicit ApprovalWindow(std::size_t capacity) : m_capacity(capacity) {}

    /// Approvals with a timestamp up to this are too old to be judged. 0 at first.
    std::uint64_t floor() const { return m_floor; }
    /// What an approval or a header nonce was used for. After a restart: for something else than
    /// anybody can ask for now.
    std::optional<NonceUse> find(Mark mark) const;
    /// `fact` holds; whether it may is the caller's to decide. Forgets the oldest if there are too
    /// many.
    void note(const ApprovalUsed& fact, NonceUse use);
    /// The same from sealed state, where nothing says for which request it was.
    void note_restored(const ApprovalUsed& fact);
    /// Forgets what was approved before.
    void forget_before(std::uint64_t timestamp);

    std::size_t size() const { return m_size; }
    std::size_t encoded_size() const { return 12 + m_size * kFactSize; }
    void encode(SecretWriter& out) const;
    /// Replaces the content.
    void decode(SecretReader& in);

    static constexpr std::size_t kFactSize = 24;

  private:
    struct Entry {
        Mark approval = 0;
        Mark nonce = 0;
        NonceUse use = NonceUse::from_word(0);
    };
    void forget_oldest();
    void rebuild();

    std::size_t m_capacity;
    std::uint64_t m_floor = 0;
    std::size_t m_size = 0;
    std::map<std::uint64_t, std::vector<Entry>> m_by_time;
    MarkMap m_uses;          // also of forgotten ones, until the next rebuild
    std::size_t m_stale = 0; // of them
};

} // namespace keymeld::enclave
