#include "enclave/image/init/heartbeat.h"

#include <cstdint>

#include <sys/socket.h>
#include <sys/time.h>

#include <linux/vm_sockets.h>

#include "enclave/image/init/console.h"

namespace keymeld::init {
namespace {

constexpr unsigned kPort = 9000;
constexpr std::uint8_t kBeat = 0xb7;

bool beat(const HeartbeatPeer& peer) {
    const int connection = ::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return failed("vsock");
    const timeval patience{.tv_sec = peer.timeout_seconds, .tv_usec = 0};
    ::setsockopt(connection, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience, sizeof patience);
    ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_vm address{};
    address.svm_family = AF_VSOCK;
    address.svm_cid = peer.cid;
    address.svm_port = kPort;
    std::uint8_t answer = 0;
    const bool beaten =
        ::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        ::send(connection, &kBeat, sizeof kBeat, MSG_NOSIGNAL) == sizeof kBeat &&
        ::recv(connection, &answer, sizeof answer, 0) == sizeof answer && answer == kBeat;
    ::close(connection);
    return beaten;
}

} // namespace

bool send_heartbeat() {
    for (const HeartbeatPeer& peer : heartbeat_peers())
        for (int attempt = 0; attempt < peer.attempts; ++attempt) {
            if (beat(peer)) {
                ::dprintf(STDERR_FILENO, "keymeld-init: heartbeat answered by CID %u\n", peer.cid);
                return true;
            }
            ::usleep(100'000);
        }
    say("nobody answers the heartbeat");
    return false;
}

} // namespace keymeld::init
