// How far the sealed states of one enclave have got, in a form that its peers can remember.
//
// States are known by their marks under the enclave's own mark key, so this says nothing to who
// does not have that key, and a life that takes it over finds them again.
#pragma once

#include "core/base/result.h"
#include "enclave/signer/mark_map.h"

namespace keymeld::enclave {

class StateVersions {
  public:
    enum class Kind : std::uint8_t { Keygen = 0, SingleKey = 1 };
    /// Of both kinds; what comes after is not remembered. So many fit into a frame.
    static constexpr std::size_t kMaxEntries = 200'000;
    /// No state has a higher version (sealed_chain.cpp).
    static constexpr std::uint64_t kMaxVersion = std::uint64_t{1} << 60;

    explicit StateVersions(std::size_t capacity = kMaxEntries) : m_capacity(capacity) {}

    /// Never goes back; a deleted state stays deleted.
    void note(Kind kind, Mark mark, std::uint64_t version, bool deleted);
    std::size_t size() const { return m_words[0].size() + m_words[1].size(); }
    template <class F> void for_each(Kind kind, F&& f) const {
        m_words[static_cast<std::size_t>(kind)].for_each(
            [&](Mark mark, std::uint64_t word) { f(mark, word & ~kDeleted, word >= kDeleted); });
    }

    /// For each kind the number of entries (4 bytes), then mark and word (8 each), big-endian.
    Bytes encode() const;
    /// `Errc::InvalidArgument` unless it is exactly of that form.
    static Result<StateVersions> decode(ByteView bytes);
    void merge(const StateVersions& other);

  private:
    static constexpr std::uint64_t kDeleted = std::uint64_t{1} << 63;
    std::size_t m_capacity;
    MarkMap m_words[2]; // version, and kDeleted
};

} // namespace keymeld::enclave
