#include "plugins/transport-vsock/hybrid_attempt.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

namespace keymeld::transport_vsock {

namespace asio = boost::asio;
using boost::system::error_code;

bool is_ok_line(std::string_view line) {
    constexpr std::string_view kPrefix = "OK ";
    if (line.size() < kPrefix.size() + 2 || !line.starts_with(kPrefix) || line.back() != '\n')
        return false;
    const std::string_view number = line.substr(kPrefix.size(), line.size() - kPrefix.size() - 1);
    return std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

HybridAttempt::HybridAttempt(asio::any_io_executor executor, SteadyTime deadline, Handler done, std::uint32_t port)
    : ConnectAttempt(std::move(executor), deadline, std::move(done)),
      m_request("CONNECT " + std::to_string(port) + "\n") {}

void HybridAttempt::connected() { send_request(); }

void HybridAttempt::send_request() {
    m_socket.async_send(asio::buffer(m_request), [self = shared_from_this(), this](error_code error, std::size_t sent) {
        if (finished())
            return;
        if (error)
            return finish(fail(Errc::Disconnected, "the vsock device closed the connection: " + error.message()));
        m_request.erase(0, sent);
        if (!m_request.empty())
            return send_request();
        await_line();
    });
}

void HybridAttempt::await_line() {
    m_socket.async_wait(Socket::wait_read, [self = shared_from_this(), this](error_code error) {
        if (finished())
            return;
        if (error)
            return finish(fail(Errc::Disconnected, "the vsock device closed the connection: " + error.message()));
        read_line();
    });
}

void HybridAttempt::read_line() {
    std::array<char, kMaxOkLine> seen{};
    const std::size_t wanted = kMaxOkLine - m_line.size();
    error_code error;
    std::size_t size = m_socket.receive(asio::buffer(seen.data(), wanted), MSG_PEEK, error);
    if (error == asio::error::would_block || error == asio::error::try_again)
        return await_line();
    if (error)
        return finish(fail(Errc::Disconnected, "nobody listens on this vsock port"));
    const auto* end = std::find(seen.data(), seen.data() + size, '\n');
    const bool complete = end != seen.data() + size;
    if (complete)
        size = static_cast<std::size_t>(end - seen.data()) + 1;
    size = m_socket.receive(asio::buffer(seen.data(), size), 0, error);
    if (error)
        return finish(fail(Errc::Disconnected, "nobody listens on this vsock port"));
    m_line.append(seen.data(), size);
    if (m_line.ends_with('\n') && is_ok_line(m_line))
        return finish({});
    if (m_line.ends_with('\n') || m_line.size() >= kMaxOkLine)
        return finish(fail(Errc::MalformedFrame, "the vsock device did not answer CONNECT with OK"));
    await_line();
}

} // namespace keymeld::transport_vsock
