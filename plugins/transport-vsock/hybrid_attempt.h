// Connecting through a hybrid vsock socket.
#pragma once

#include <string>

#include "core/protocol/connect_attempt.h"

namespace keymeld::transport_vsock {

inline constexpr std::size_t kMaxOkLine = 32; ///< bytes, with the line feed

/// ConnectAttempt with the CONNECT handshake. One more error: MalformedFrame, when the answer is not "OK <number>".
class HybridAttempt final : public protocol::ConnectAttempt {
  public:
    HybridAttempt(boost::asio::any_io_executor executor, SteadyTime deadline, Handler done, std::uint32_t port);

  private:
    void connected() override;
    void send_request();
    void await_line();
    /// Takes what has arrived of the line, and not a byte behind it: the rest belongs to the stream.
    void read_line();

    std::string m_request;
    std::string m_line;
};

/// "OK ", one or more digits, line feed; nothing else.
bool is_ok_line(std::string_view line);

} // namespace keymeld::transport_vsock
