// Memory for secrets: never swapped, never in a core dump, empty in a forked child, between guard
// pages.
//
// Small blocks share a few locked arenas that grow as needed (a lock costs whole pages and
// RLIMIT_MEMLOCK is often 8 MB), large blocks have mappings of their own. A freed block is wiped at
// once. Use SecretBytes and SecretArray, not this. In builds with a sanitizer (KEYMELD_SANITIZED)
// the pool is off and blocks come from the heap, so that the sanitizer sees every overrun.
#pragma once

#include <cstddef>
#include <new>
#include <string>

#include "core/base/result.h"

namespace keymeld::secure {

/// No more memory can be locked. what() says how much is in use, what the limit is and how to raise
/// it.
class LockedMemoryExhausted : public std::bad_alloc {
  public:
    explicit LockedMemoryExhausted(std::string message) : m_message(std::move(message)) {}
    const char* what() const noexcept override { return m_message.c_str(); }

  private:
    std::string m_message;
};

namespace locked_pool {

/// `size` > 0 zeroed bytes, aligned to 16. Throws LockedMemoryExhausted. [any-thread]
void* allocate(std::size_t size);
/// Wipes and gives back a block; `size` as it was asked for. [any-thread]
void deallocate(void* block, std::size_t size) noexcept;

struct Usage {
    std::size_t live_blocks = 0;
    std::size_t live_bytes = 0;   ///< as asked for
    std::size_t locked_bytes = 0; ///< whole pages
};
Usage usage();

/// From now on memory that cannot be locked is used all the same, still out of core dumps and empty
/// in a forked child. For a library in a process of somebody else, which can neither raise the limit
/// nor refuse to run because of it; programs of ours never call this. [startup]
void allow_unlocked() noexcept;

/// Locks at least `bytes` ahead of need, so that a limit that is too low shows at start-up.
/// `Errc::Io` with the text of LockedMemoryExhausted. [startup]
Status reserve(std::size_t bytes);

} // namespace locked_pool
} // namespace keymeld::secure
