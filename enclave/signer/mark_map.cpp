#include "enclave/signer/mark_map.h"

#include <utility>

namespace keymeld::enclave {

std::size_t MarkMap::slot_of(Mark mark) const {
    const std::size_t mask = m_slots.size() - 1;
    std::size_t at = static_cast<std::size_t>(mark) & mask;
    while (m_slots[at].mark != 0 && m_slots[at].mark != mark)
        at = (at + 1) & mask;
    return at;
}

std::optional<std::uint64_t> MarkMap::find(Mark mark) const {
    if (m_slots.empty())
        return std::nullopt;
    const Slot& slot = m_slots[slot_of(mark)];
    if (slot.mark == 0)
        return std::nullopt;
    return slot.word;
}

void MarkMap::set(Mark mark, std::uint64_t word) {
    if (m_slots.empty() || m_size + 1 > m_slots.size() / 4 * 3)
        grow();
    Slot& slot = m_slots[slot_of(mark)];
    if (slot.mark == 0) {
        slot.mark = mark;
        ++m_size;
    }
    slot.word = word;
}

void MarkMap::clear() {
    m_slots.clear();
    m_size = 0;
}

void MarkMap::grow() {
    const std::size_t wanted = m_slots.empty() ? 8 : m_slots.size() * 2;
    std::vector<Slot> old = std::exchange(m_slots, std::vector<Slot>(wanted));
    for (const Slot& slot : old)
        if (slot.mark != 0)
            m_slots[slot_of(slot.mark)] = slot;
}

} // namespace keymeld::enclave
