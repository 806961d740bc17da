#include "plugins/transport-vsock/hybrid_opening.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace keymeld::transport_vsock {
namespace {

bool must_wait() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

Error nobody_listens() { return fail(Errc::Disconnected, "nobody listens on this vsock port"); }

} // namespace

bool is_ok_line(std::string_view line) {
    constexpr std::string_view kPrefix = "OK ";
    if (line.size() < kPrefix.size() + 2 || !line.starts_with(kPrefix) || line.back() != '\n')
        return false;
    const std::string_view number = line.substr(kPrefix.size(), line.size() - kPrefix.size() - 1);
    return std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

HybridOpening::HybridOpening(const protocol::Endpoint& endpoint, std::uint32_t port)
    : ConnectOpening({endpoint}), m_request("CONNECT " + std::to_string(port) + "\n") {}

Result<HybridOpening::Step> HybridOpening::handshake() { return m_request.empty() ? read_line() : send_request(); }

Result<HybridOpening::Step> HybridOpening::send_request() {
    while (!m_request.empty()) {
        const auto sent = ::send(descriptor(), m_request.data(), m_request.size(), MSG_NOSIGNAL);
        if (sent < 0 && must_wait())
            return Step::WaitWritable;
        if (sent <= 0)
            return nobody_listens();
        m_request.erase(0, static_cast<std::size_t>(sent));
    }
    return read_line();
}

Result<HybridOpening::Step> HybridOpening::read_line() {
    std::array<char, kMaxOkLine> seen{};
    while (m_line.size() < kMaxOkLine) {
        auto size = ::recv(descriptor(), seen.data(), kMaxOkLine - m_line.size(), MSG_PEEK);
        if (size < 0 && must_wait())
            return Step::WaitReadable;
        if (size <= 0)
            return nobody_listens();
        const auto end = std::find(seen.begin(), seen.begin() + size, '\n');
        if (end != seen.begin() + size)
            size = end - seen.begin() + 1;
        size = ::recv(descriptor(), seen.data(), static_cast<std::size_t>(size), 0);
        if (size <= 0)
            return nobody_listens();
        m_line.append(seen.data(), static_cast<std::size_t>(size));
        if (m_line.ends_with('\n'))
            break;
    }
    if (!is_ok_line(m_line))
        return fail(Errc::MalformedFrame, "the vsock device did not answer CONNECT with OK");
    return Step::Open;
}

} // namespace keymeld::transport_vsock
