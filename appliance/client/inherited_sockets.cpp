#include "appliance/client/inherited_sockets.h"

#include <array>
#include <atomic>

#include <unistd.h>

namespace keymeld::client::inherited_sockets {
namespace {

// 0: free; otherwise descriptor + 1.
std::array<std::atomic<int>, 1024> g_sockets{};

} // namespace

void opened(int fd) noexcept {
    for (auto& place : g_sockets) {
        int free = 0;
        if (place.load(std::memory_order_relaxed) == 0 && place.compare_exchange_strong(free, fd + 1))
            return;
    }
}

void closing(int fd) noexcept {
    for (auto& place : g_sockets) {
        int mine = fd + 1;
        if (place.load(std::memory_order_relaxed) == mine && place.compare_exchange_strong(mine, 0))
            return;
    }
}

void close_all() noexcept {
    for (auto& place : g_sockets)
        if (const int fd = place.exchange(0) - 1; fd >= 0)
            ::close(fd);
}

} // namespace keymeld::client::inherited_sockets
