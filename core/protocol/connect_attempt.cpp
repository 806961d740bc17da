#include "core/protocol/connect_attempt.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

namespace keymeld::protocol {

namespace asio = boost::asio;
using boost::system::error_code;

ConnectAttempt::ConnectAttempt(asio::any_io_executor executor, SteadyTime deadline, Handler done)
    : m_socket(executor), m_timer(executor), m_deadline(deadline), m_done(std::move(done)) {}

void ConnectAttempt::start(std::vector<Endpoint> endpoints) {
    begin_deadline();
    connect_to(std::move(endpoints));
}

void ConnectAttempt::begin_deadline() {
    m_timer.expires_at(m_deadline);
    m_timer.async_wait([self = shared_from_this()](error_code error) {
        if (!error)
            self->finish(fail(Errc::DeadlineExceeded, "the signer did not accept the connection in time"));
    });
}

void ConnectAttempt::connect_to(std::vector<Endpoint> endpoints) {
    m_endpoints = std::move(endpoints);
    std::reverse(m_endpoints.begin(), m_endpoints.end());
    connect_next(fail(Errc::Disconnected, "no address to connect to"));
}

void ConnectAttempt::connect_next(Status last) {
    if (m_endpoints.empty())
        return finish(std::move(last));
    const Endpoint endpoint = m_endpoints.back();
    m_endpoints.pop_back();
    error_code error;
    m_socket.close(error);
    m_socket.open(endpoint.protocol(), error);
    if (error)
        return connect_next(fail(Errc::Disconnected, "no socket of this family: " + error.message()));
    m_socket.non_blocking(true, error);
    m_socket.async_connect(endpoint, [self = shared_from_this(), endpoint](error_code failed) {
        if (self->finished())
            return;
        if (failed)
            return self->connect_next(fail(Errc::Disconnected, "cannot connect: " + failed.message()));
        const int family = endpoint.protocol().family();
        if (family == AF_INET || family == AF_INET6)
            self->m_socket.set_option(asio::ip::tcp::no_delay(true), failed);
        self->connected();
    });
}

void ConnectAttempt::cancel() { finish(fail(Errc::Cancelled, "the transport was closed")); }

void ConnectAttempt::finish(Status status) {
    if (finished())
        return;
    m_timer.cancel();
    Result<Socket> result = fail(Errc::Cancelled, "");
    if (status) {
        result = std::move(m_socket);
    } else {
        result = std::move(status).error();
        error_code ignored;
        m_socket.close(ignored);
    }
    // Posted, so that the handler never runs inside start(), cancel() or a destructor.
    asio::post(m_timer.get_executor(),
               [done = std::exchange(m_done, nullptr), result = std::move(result)]() mutable { done(std::move(result)); });
}

ConnectAttempts::~ConnectAttempts() {
    for (const auto& weak : m_attempts) {
        if (const auto attempt = weak.lock())
            attempt->cancel();
    }
}

void ConnectAttempts::add(const std::shared_ptr<ConnectAttempt>& attempt) {
    std::erase_if(m_attempts, [](const auto& weak) { return weak.expired(); });
    m_attempts.push_back(attempt);
}

} // namespace keymeld::protocol
