// One attempt to connect a stream, with a deadline, for transports. Runs on the executor given to it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/base/clock.h"
#include "core/protocol/stream_endpoint.h"

namespace keymeld::protocol {

/// Owns itself through its pending operations; calls the handler exactly once, never from inside start().
/// Errors: DeadlineExceeded, Cancelled (cancel), Disconnected (everything else: worth another try).
class ConnectAttempt : public std::enable_shared_from_this<ConnectAttempt> {
  public:
    using Socket = boost::asio::generic::stream_protocol::socket;
    using Handler = std::function<void(Result<Socket>)>;

    ConnectAttempt(boost::asio::any_io_executor executor, SteadyTime deadline, Handler done);
    virtual ~ConnectAttempt() = default;
    ConnectAttempt(const ConnectAttempt&) = delete;
    ConnectAttempt& operator=(const ConnectAttempt&) = delete;

    /// Tries the endpoints one after another. Once only.
    void start(std::vector<Endpoint> endpoints);
    void cancel();

  protected:
    /// Called with the connected, non-blocking socket; a handshake goes here and ends in finish().
    virtual void connected() { finish({}); }
    /// Success hands the socket over. Only the first call counts.
    void finish(Status status);
    bool finished() const { return !m_done; }
    /// What start() consists of, for an attempt that must find its endpoints first.
    void begin_deadline();
    void connect_to(std::vector<Endpoint> endpoints);

    Socket m_socket;

  private:
    void connect_next(Status last);

    boost::asio::steady_timer m_timer;
    SteadyTime m_deadline;
    Handler m_done;
    std::vector<Endpoint> m_endpoints; ///< not tried yet, last one first
};

/// The attempts of one transport that may be under way; destroying it cancels them.
class ConnectAttempts {
  public:
    ConnectAttempts() = default;
    ~ConnectAttempts();
    ConnectAttempts(const ConnectAttempts&) = delete;
    ConnectAttempts& operator=(const ConnectAttempts&) = delete;

    void add(const std::shared_ptr<ConnectAttempt>& attempt);

  private:
    std::vector<std::weak_ptr<ConnectAttempt>> m_attempts;
};

} // namespace keymeld::protocol
