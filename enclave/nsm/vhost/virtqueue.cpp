#include "enclave/nsm/vhost/virtqueue.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

namespace keymeld::nsm {
namespace {

static_assert(std::endian::native == std::endian::little, "virtio is little-endian");
constexpr std::size_t kIndex = 2;         // of the next entry, in both rings
constexpr std::size_t kRingHead = 4;      // flags, index
constexpr std::uint16_t kNoInterrupt = 1; // in the flags of the available ring

template <class T> T read(MutableByteView memory, std::size_t offset) {
    T value;
    std::memcpy(&value, memory.data() + offset, sizeof value);
    return value;
}

template <class T> void write(MutableByteView memory, std::size_t offset, T value) {
    std::memcpy(memory.data() + offset, &value, sizeof value);
}

/// A field that the driver and we read and write at the same time. locate() has seen to its
/// alignment.
std::atomic_ref<std::uint16_t> shared(MutableByteView ring, std::size_t offset) {
    return std::atomic_ref<std::uint16_t>(*reinterpret_cast<std::uint16_t*>(ring.data() + offset));
}

bool aligned(MutableByteView memory, std::uintptr_t to) {
    return reinterpret_cast<std::uintptr_t>(memory.data()) % to == 0;
}

Error broken(const char* what) {
    return fail(Errc::InvalidArgument, std::string("the virtqueue is broken: ") + what);
}

} // namespace

bool Chain::all(bool device_writes) const {
    return std::ranges::all_of(
        parts, [&](const Part& part) { return part.device_writes == device_writes; });
}

Status VirtQueue::set_size(std::uint32_t size) {
    if (size == 0 || size > kMaxSize || !std::has_single_bit(size))
        return broken("its size");
    m_size = size;
    return {};
}

void VirtQueue::set_addresses(std::uint64_t descriptors, std::uint64_t available,
                              std::uint64_t used) {
    m_descriptor_address = descriptors;
    m_available_address = available;
    m_used_address = used;
}

Status VirtQueue::locate(const GuestMemory& memory) {
    m_descriptors = memory.at_user(m_descriptor_address, m_size * sizeof(RingDescriptor));
    m_available = memory.at_user(m_available_address, kRingHead + m_size * sizeof(std::uint16_t));
    m_used = memory.at_user(m_used_address, kRingHead + m_size * sizeof(RingUsed));
    if (m_size == 0 || m_descriptors.empty() || m_available.empty() || m_used.empty() ||
        !aligned(m_descriptors, 16) || !aligned(m_available, 2) || !aligned(m_used, 4)) {
        m_size = 0;
        return broken("its rings are not in the guest's memory");
    }
    return {};
}

Result<std::optional<Chain>> VirtQueue::peek(std::uint16_t ahead) const {
    if (m_size == 0)
        return broken("it was not set up");
    const std::uint16_t published =
        shared(m_available, kIndex).load(std::memory_order_acquire); // before its entries
    const auto waiting = static_cast<std::uint16_t>(published - m_next_available);
    if (waiting > m_size)
        return broken("more is available than it holds");
    if (ahead >= waiting)
        return std::optional<Chain>();
    const auto slot = static_cast<std::uint16_t>(m_next_available + ahead) % m_size;
    Chain chain;
    chain.head = read<std::uint16_t>(m_available, kRingHead + slot * sizeof(std::uint16_t));
    std::uint16_t index = chain.head;
    for (;;) {
        if (index >= m_size || chain.parts.size() >= m_size)
            return broken("a chain leads out of it, or in a circle");
        const auto descriptor = read<RingDescriptor>(m_descriptors, index * sizeof(RingDescriptor));
        if ((descriptor.flags & RingDescriptor::kIndirect) != 0)
            return broken("an indirect descriptor, which was not offered");
        chain.parts.push_back({descriptor.address, descriptor.size,
                               (descriptor.flags & RingDescriptor::kDeviceWrites) != 0});
        if ((descriptor.flags & RingDescriptor::kNext) == 0)
            return std::optional(std::move(chain));
        index = descriptor.next;
    }
}

void VirtQueue::give_back(const Chain& chain, std::uint32_t written) {
    const std::uint16_t next = shared(m_used, kIndex).load(std::memory_order_relaxed);
    write(m_used, kRingHead + (next % m_size) * sizeof(RingUsed), RingUsed{chain.head, written});
    // The entry before its announcement, and that before a look at the driver's wish to be told.
    shared(m_used, kIndex).store(static_cast<std::uint16_t>(next + 1), std::memory_order_seq_cst);
    ++m_next_available;
}

bool VirtQueue::wants_interrupt() const {
    return (shared(m_available, 0).load(std::memory_order_seq_cst) & kNoInterrupt) == 0;
}

} // namespace keymeld::nsm
