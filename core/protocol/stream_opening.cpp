#include "core/protocol/stream_opening.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace keymeld::protocol {
namespace {

Error cannot_connect(int error) {
    return fail(Errc::Disconnected, "cannot connect: " + std::generic_category().message(error));
}

} // namespace

StreamOpening::~StreamOpening() { replace_descriptor(-1); }

int StreamOpening::release() { return std::exchange(m_descriptor, -1); }

void StreamOpening::replace_descriptor(int descriptor) {
    if (m_descriptor >= 0)
        ::close(m_descriptor);
    m_descriptor = descriptor;
}

ConnectOpening::ConnectOpening(std::vector<Endpoint> endpoints)
    : m_endpoints(std::move(endpoints)), m_last(fail(Errc::Disconnected, "no address to connect to")) {
    std::reverse(m_endpoints.begin(), m_endpoints.end());
}

Result<StreamOpening::Step> ConnectOpening::step() {
    switch (m_state) {
    case State::Unconnected: return connect_next();
    case State::Connecting: return finish_connecting();
    case State::Connected: return handshake();
    }
    return fail(Errc::Internal, "no such state");
}

Result<StreamOpening::Step> ConnectOpening::connect_next() {
    m_state = State::Unconnected;
    while (!m_endpoints.empty()) {
        const Endpoint endpoint = m_endpoints.back();
        m_endpoints.pop_back();
        const int family = endpoint.protocol().family();
        replace_descriptor(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (descriptor() < 0) {
            m_last = fail(Errc::Disconnected,
                          "no socket of this family: " + std::generic_category().message(errno));
            continue;
        }
        if (family == AF_INET || family == AF_INET6) {
            const int on = 1;
            ::setsockopt(descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        }
        if (::connect(descriptor(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0)
            return connected();
        if (errno == EINPROGRESS || errno == EINTR) {
            m_state = State::Connecting;
            return Step::WaitWritable;
        }
        m_last = cannot_connect(errno);
    }
    return m_last;
}

Result<StreamOpening::Step> ConnectOpening::finish_connecting() {
    int error = 0;
    socklen_t size = sizeof(error);
    if (::getsockopt(descriptor(), SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error != 0) {
        m_last = cannot_connect(error);
        return connect_next();
    }
    sockaddr_storage peer{};
    size = sizeof(peer);
    if (::getpeername(descriptor(), reinterpret_cast<sockaddr*>(&peer), &size) != 0)
        return Step::WaitWritable; // not connected and no error: woken too early
    return connected();
}

Result<StreamOpening::Step> ConnectOpening::connected() {
    m_state = State::Connected;
    return handshake();
}

} // namespace keymeld::protocol
