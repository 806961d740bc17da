#include "enclave/nsm/vhost/guest_memory.h"

#include <cerrno>
#include <cstring>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keymeld::nsm {

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
    if (this != &other) {
        if (m_fd >= 0)
            ::close(m_fd);
        m_fd = std::exchange(other.m_fd, -1);
    }
    return *this;
}

OwnedFd::~OwnedFd() {
    if (m_fd >= 0)
        ::close(m_fd);
}

GuestMemory::Mapping::~Mapping() {
    if (m_base != nullptr)
        ::munmap(m_base, m_length);
}

std::uint8_t* GuestMemory::Mapping::bytes() const {
    return static_cast<std::uint8_t*>(m_base) + m_region.file_offset;
}

Result<GuestMemory> GuestMemory::map(std::span<const MemoryRegion> regions,
                                     std::vector<OwnedFd> files) {
    if (regions.size() != files.size())
        return fail(Errc::InvalidArgument, "memory regions and files differ in number");
    GuestMemory memory;
    for (std::size_t i = 0; i < regions.size(); ++i) {
        const MemoryRegion& region = regions[i];
        std::uint64_t end_in_file = 0;
        std::uint64_t ignored = 0;
        struct stat status {};
        if (__builtin_add_overflow(region.file_offset, region.size, &end_in_file) ||
            __builtin_add_overflow(region.guest_address, region.size, &ignored) ||
            __builtin_add_overflow(region.user_address, region.size, &ignored) ||
            region.size == 0 || ::fstat(files[i].get(), &status) != 0 ||
            end_in_file > static_cast<std::uint64_t>(status.st_size))
            return fail(Errc::InvalidArgument, "a memory region is not inside its file");
        // From the start of the file: an offset need not be a multiple of the page size.
        const auto length = static_cast<std::size_t>(end_in_file);
        void* const base =
            ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, files[i].get(), 0);
        if (base == MAP_FAILED)
            return fail(Errc::Io,
                        std::string("guest memory cannot be mapped: ") + std::strerror(errno));
        memory.m_mappings.emplace_back(region, base, length);
    }
    return memory;
}

MutableByteView GuestMemory::find(std::uint64_t address, std::uint64_t size,
                                  std::uint64_t MemoryRegion::*start) const {
    for (const Mapping& mapping : m_mappings) {
        const MemoryRegion& region = mapping.region();
        if (address < region.*start)
            continue;
        const std::uint64_t offset = address - region.*start;
        if (offset <= region.size && size <= region.size - offset)
            return {mapping.bytes() + offset, static_cast<std::size_t>(size)};
    }
    return {};
}

MutableByteView GuestMemory::at_guest(std::uint64_t address, std::uint64_t size) const {
    return find(address, size, &MemoryRegion::guest_address);
}

MutableByteView GuestMemory::at_user(std::uint64_t address, std::uint64_t size) const {
    return find(address, size, &MemoryRegion::user_address);
}

} // namespace keymeld::nsm
