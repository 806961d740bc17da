// The device's end of one split virtqueue in guest memory. Source: virtio 1.2, section 2.7.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "enclave/nsm/vhost/guest_memory.h"

namespace keymeld::nsm {

// The layout of linux/virtio_ring.h, which C++ cannot include everywhere.
struct RingDescriptor {
    static constexpr std::uint16_t kNext = 1;
    static constexpr std::uint16_t kDeviceWrites = 2;
    static constexpr std::uint16_t kIndirect = 4;
    std::uint64_t address = 0;
    std::uint32_t size = 0;
    std::uint16_t flags = 0;
    std::uint16_t next = 0;
};
static_assert(sizeof(RingDescriptor) == 16);

struct RingUsed {
    std::uint32_t head = 0;
    std::uint32_t written = 0;
};
static_assert(sizeof(RingUsed) == 8);

/// A buffer that the driver made available.
struct Chain {
    struct Part {
        std::uint64_t guest_address = 0;
        std::uint32_t size = 0;
        bool device_writes = false;
    };
    std::uint16_t head = 0;
    std::vector<Part> parts;

    /// True if the device writes to every part, or to none.
    bool all(bool device_writes) const;
};

/// Thread rule: one thread. The driver is not trusted: what it wrote is bounded before it is used.
class VirtQueue {
  public:
    static constexpr std::uint32_t kMaxSize = 256;

    /// SET_VRING_NUM: a power of two up to kMaxSize. `Errc::InvalidArgument`.
    Status set_size(std::uint32_t size);
    /// SET_VRING_ADDR: addresses of the front-end.
    void set_addresses(std::uint64_t descriptors, std::uint64_t available, std::uint64_t used);
    void set_base(std::uint16_t next) { m_next_available = next; }
    std::uint16_t base() const { return m_next_available; }

    /// Finds the rings in `memory` again, after SET_MEM_TABLE or SET_VRING_ADDR.
    /// `Errc::InvalidArgument` if it does not hold them.
    Status locate(const GuestMemory& memory);

    /// The next available buffer, left in the ring; nullopt: none. `Errc::InvalidArgument` for a
    /// broken ring.
    Result<std::optional<Chain>> peek(std::uint16_t ahead = 0) const;
    /// Takes the buffer that peek(0) gave and hands it back with `written` bytes in it.
    void give_back(const Chain& chain, std::uint32_t written);
    /// Whether the driver wants to be told.
    bool wants_interrupt() const;

  private:
    std::uint32_t m_size = 0;
    std::uint64_t m_descriptor_address = 0;
    std::uint64_t m_available_address = 0;
    std::uint64_t m_used_address = 0;
    MutableByteView m_descriptors;
    MutableByteView m_available;
    MutableByteView m_used;
    std::uint16_t m_next_available = 0;
};

} // namespace keymeld::nsm
