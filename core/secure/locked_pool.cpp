#include "core/secure/locked_pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/secure/cleanse.h"

namespace keymeld::secure {
namespace {

using locked_pool::Usage;

[[maybe_unused]] std::string exhausted_text(std::size_t wanted, std::size_t locked) {
    rlimit limit{};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    const std::string allowed = limit.rlim_cur == RLIM_INFINITY
                                    ? "unlimited"
                                    : std::to_string(limit.rlim_cur / 1024) + " KiB";
    return "cannot lock " + std::to_string(wanted / 1024) +
           " KiB more memory for secrets: " + std::to_string(locked / 1024) +
           " KiB are locked and the limit (RLIMIT_MEMLOCK) is " + allowed +
           "; raise it (ulimit -l, LimitMEMLOCK= of a systemd unit, --ulimit memlock= of a "
           "container) "
           "or hold fewer keys";
}

#if !defined(KEYMELD_SANITIZED)

std::atomic<bool> g_allow_unlocked{false};

constexpr std::array<std::size_t, 17> kClasses{16,  32,  48,  64,   96,   128,  160,  192, 256,
                                               384, 512, 768, 1024, 1536, 2048, 3072, 4096};
constexpr std::size_t kFirstArena = 64 * 1024;
constexpr std::size_t kLargestArena = 1024 * 1024;

class Pool {
  public:
    Pool() : m_page(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {}

    void* allocate(std::size_t size) {
        const std::lock_guard lock(m_mutex);
        void* const block = size > kClasses.back() ? allocate_large(size) : allocate_small(size);
        ++m_usage.live_blocks;
        m_usage.live_bytes += size;
        return block;
    }

    void deallocate(void* block, std::size_t size) noexcept {
        const std::lock_guard lock(m_mutex);
        --m_usage.live_blocks;
        m_usage.live_bytes -= size;
        if (size > kClasses.back()) {
            cleanse({static_cast<std::uint8_t*>(block), size});
            unmap(block);
            return;
        }
        const std::size_t index = class_of(size);
        cleanse({static_cast<std::uint8_t*>(block), kClasses[index]});
        push_free(index, block);
    }

    void reserve(std::size_t bytes) {
        const std::lock_guard lock(m_mutex);
        if (m_bump_left < bytes)
            start_arena(round_up(bytes), round_up(bytes));
    }

    Usage usage() {
        const std::lock_guard lock(m_mutex);
        return m_usage;
    }

    void before_fork() { m_mutex.lock(); }
    void after_fork_in_parent() { m_mutex.unlock(); }
    // The child's pages are empty (MADV_WIPEONFORK), so are the links of the free lists, and memory
    // locks are not inherited.
    void after_fork_in_child() {
        m_free.fill(nullptr);
        for (const auto& [address, size] : m_mappings) {
            if (mlock(address, size) != 0 && !g_allow_unlocked)
                m_unusable = true;
        }
        m_mutex.unlock();
    }

  private:
    static std::size_t class_of(std::size_t size) {
        return static_cast<std::size_t>(std::lower_bound(kClasses.begin(), kClasses.end(), size) -
                                        kClasses.begin());
    }
    std::size_t round_up(std::size_t size) const { return (size + m_page - 1) / m_page * m_page; }

    void push_free(std::size_t index, void* block) {
        std::memcpy(block, &m_free[index], sizeof(void*));
        m_free[index] = block;
    }

    void* allocate_small(std::size_t size) {
        const std::size_t index = class_of(size);
        if (void* const block = m_free[index]; block != nullptr) {
            std::memcpy(&m_free[index], block, sizeof(void*));
            std::memset(block, 0, sizeof(void*));
            return block;
        }
        const std::size_t length = kClasses[index];
        if (m_bump_left < length)
            start_arena(std::clamp(m_usage.locked_bytes, kFirstArena, kLargestArena),
                        round_up(length));
        void* const block = m_bump;
        m_bump += length;
        m_bump_left -= length;
        return block;
    }

    // Close to the limit a smaller arena may still fit.
    void start_arena(std::size_t wanted, std::size_t least) {
        wanted = round_up(wanted);
        void* arena = map_locked(wanted);
        while (arena == nullptr && wanted > least) {
            wanted = std::max(round_up(wanted / 2), least);
            arena = map_locked(wanted);
        }
        if (arena == nullptr)
            throw LockedMemoryExhausted(exhausted_text(wanted, m_usage.locked_bytes));
        keep_rest_of_arena();
        m_bump = static_cast<std::uint8_t*>(arena);
        m_bump_left = wanted;
    }

    void keep_rest_of_arena() {
        for (std::size_t index = kClasses.size(); index-- > 0;) {
            while (m_bump_left >= kClasses[index]) {
                push_free(index, m_bump);
                m_bump += kClasses[index];
                m_bump_left -= kClasses[index];
            }
        }
    }

    void* allocate_large(std::size_t size) {
        void* const block = map_locked(round_up(size));
        if (block == nullptr)
            throw LockedMemoryExhausted(exhausted_text(round_up(size), m_usage.locked_bytes));
        return block;
    }

    // `size` bytes of whole pages with an inaccessible page on either side; null if they cannot be
    // locked.
    void* map_locked(std::size_t size) {
        if (m_unusable)
            return nullptr;
        void* const region = mmap(nullptr, size + 2 * m_page, PROT_NONE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (region == MAP_FAILED)
            return nullptr;
        std::uint8_t* const data = static_cast<std::uint8_t*>(region) + m_page;
        const bool ready = mprotect(data, size, PROT_READ | PROT_WRITE) == 0 && lock(data, size);
        // Old kernels know neither; harden_process() rules out core dumps in another way too.
        madvise(data, size, MADV_DONTDUMP);
        madvise(data, size, MADV_WIPEONFORK);
        try {
            if (ready)
                m_mappings.emplace(data, size);
        } catch (...) {
            munmap(region, size + 2 * m_page);
            throw;
        }
        if (!ready) {
            munmap(region, size + 2 * m_page);
            return nullptr;
        }
        m_usage.locked_bytes += size;
        return data;
    }

    bool lock(void* data, std::size_t size) {
        if (mlock(data, size) == 0 || g_allow_unlocked)
            return true;
#if defined(KEYMELD_DEBUG_BUILD)
        if (!m_warned)
            log::warn("secure", "memory_not_locked", {{"errno", errno}});
        m_warned = true;
        return true;
#else
        return false;
#endif
    }

    void unmap(void* data) noexcept {
        const auto mapping = m_mappings.find(data);
        const std::size_t size = mapping->second;
        m_mappings.erase(mapping);
        m_usage.locked_bytes -= size;
        munmap(static_cast<std::uint8_t*>(data) - m_page, size + 2 * m_page);
    }

    std::mutex m_mutex;
    const std::size_t m_page;
    std::array<void*, kClasses.size()> m_free{};
    std::uint8_t* m_bump = nullptr;
    std::size_t m_bump_left = 0;
    std::map<void*, std::size_t> m_mappings;
    Usage m_usage;
    bool m_unusable = false;
    [[maybe_unused]] bool m_warned = false;
};

// Never destroyed: secrets of static storage duration are wiped into it at exit.
Pool& pool() {
    static Pool* const instance = [] {
        static Pool* made = nullptr;
        made = new Pool;
        pthread_atfork([] { made->before_fork(); }, [] { made->after_fork_in_parent(); },
                       [] { made->after_fork_in_child(); });
        return made;
    }();
    return *instance;
}

#else

std::mutex g_mutex;
Usage g_usage;

#endif

} // namespace

namespace locked_pool {

#if !defined(KEYMELD_SANITIZED)

void* allocate(std::size_t size) {
    return pool().allocate(size);
}

void deallocate(void* block, std::size_t size) noexcept {
    pool().deallocate(block, size);
}

Usage usage() {
    return pool().usage();
}

void allow_unlocked() noexcept {
    g_allow_unlocked = true;
}

Status reserve(std::size_t bytes) {
    try {
        pool().reserve(bytes);
        return {};
    } catch (const LockedMemoryExhausted& exhausted) {
        return fail(Errc::Io, exhausted.what());
    }
}

#else

void* allocate(std::size_t size) {
    void* const block = std::calloc(1, size);
    if (block == nullptr)
        throw LockedMemoryExhausted("out of memory for secrets");
    const std::lock_guard lock(g_mutex);
    ++g_usage.live_blocks;
    g_usage.live_bytes += size;
    return block;
}

void deallocate(void* block, std::size_t size) noexcept {
    cleanse({static_cast<std::uint8_t*>(block), size});
    std::free(block);
    const std::lock_guard lock(g_mutex);
    --g_usage.live_blocks;
    g_usage.live_bytes -= size;
}

Usage usage() {
    const std::lock_guard lock(g_mutex);
    return g_usage;
}

void allow_unlocked() noexcept {}

Status reserve(std::size_t) {
    return {};
}

#endif

} // namespace locked_pool
} // namespace keymeld::secure
