// The memory of a virtual machine, shared with a vhost-user back-end. Library keymeld_nsm_vhost
// only: a tool for tests and the demo, never part of an image.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::nsm {

/// A file descriptor that is closed once.
class OwnedFd {
  public:
    OwnedFd() = default;
    explicit OwnedFd(int fd) : m_fd(fd) {}
    OwnedFd(OwnedFd&& other) noexcept : m_fd(std::exchange(other.m_fd, -1)) {}
    OwnedFd& operator=(OwnedFd&& other) noexcept;
    OwnedFd(const OwnedFd&) = delete;
    OwnedFd& operator=(const OwnedFd&) = delete;
    ~OwnedFd();

    int get() const { return m_fd; }
    bool open() const { return m_fd >= 0; }

  private:
    int m_fd = -1;
};

/// One region of SET_MEM_TABLE.
struct MemoryRegion {
    std::uint64_t guest_address = 0; ///< where the guest sees it
    std::uint64_t size = 0;
    std::uint64_t user_address = 0; ///< where the front-end has it: rings are given by these
    std::uint64_t file_offset = 0;
};

/// Mapped regions. Everything in them may change at any time: copy first, then look.
class GuestMemory {
  public:
    GuestMemory() = default;
    GuestMemory(GuestMemory&&) noexcept = default;
    GuestMemory& operator=(GuestMemory&&) noexcept = default;

    /// Maps `files[i]` for `regions[i]`. `Errc::Io`; `Errc::InvalidArgument` for a region that its
    /// file does not hold, or that wraps around.
    static Result<GuestMemory> map(std::span<const MemoryRegion> regions,
                                   std::vector<OwnedFd> files);

    /// The bytes at a guest or front-end address; empty unless one region holds all of them.
    MutableByteView at_guest(std::uint64_t address, std::uint64_t size) const;
    MutableByteView at_user(std::uint64_t address, std::uint64_t size) const;

  private:
    class Mapping {
      public:
        Mapping(MemoryRegion region, void* base, std::size_t length)
            : m_region(region), m_base(base), m_length(length) {}
        Mapping(Mapping&& other) noexcept
            : m_region(other.m_region), m_base(std::exchange(other.m_base, nullptr)),
              m_length(other.m_length) {}
        Mapping& operator=(Mapping&&) = delete;
        ~Mapping();

        const MemoryRegion& region() const { return m_region; }
        std::uint8_t* bytes() const;

      private:
        MemoryRegion m_region;
        void* m_base;
        std::size_t m_length;
    };

    MutableByteView find(std::uint64_t address, std::uint64_t size,
                         std::uint64_t MemoryRegion::*start) const;

    std::vector<Mapping> m_mappings;
};

} // namespace keymeld::nsm
