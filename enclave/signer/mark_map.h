// A map from marks to 64-bit words in 16 bytes an entry: open addressing, no removal but clear().
// Marks are keyed fingerprints, so nobody can choose them to collide in the table. Not thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "enclave/signer/mark.h"

namespace keymeld::enclave {

class MarkMap {
  public:
    std::size_t size() const { return m_size; }
    std::optional<std::uint64_t> find(Mark mark) const;
    /// Adds or replaces. `mark` is not zero.
    void set(Mark mark, std::uint64_t word);
    void clear();

    template <class F> void for_each(F&& f) const {
        for (const Slot& slot : m_slots)
            if (slot.mark != 0)
                f(slot.mark, slot.word);
    }

  private:
    struct Slot {
        Mark mark = 0;
        std::uint64_t word = 0;
    };
    std::size_t slot_of(Mark mark) const;
    void grow();

    std::vector<Slot> m_slots; // power of two, at most 3/4 full
    std::size_t m_size = 0;
};

} // namespace keymeld::enclave
