// Opening a stream through a hybrid vsock socket.
#pragma once

#include <string>
#include <string_view>

#include "core/protocol/stream_opening.h"

namespace keymeld::transport_vsock {

inline constexpr std::size_t kMaxOkLine = 32; ///< bytes, with the line feed

/// Connects, then does the CONNECT handshake (vsock_transport.h). One more error: MalformedFrame, when the answer is not "OK <number>".
class HybridOpening final : public protocol::ConnectOpening {
  public:
    HybridOpening(const protocol::Endpoint& endpoint, std::uint32_t port);

  private:
    Result<Step> handshake() override;
    Result<Step> send_request();
    /// Takes what has arrived of the line, and not a byte behind it: the rest belongs to the stream.
    Result<Step> read_line();

    std::string m_request; ///< what is still to be sent
    std::string m_line;
};

/// "OK ", one or more digits, line feed; nothing else.
bool is_ok_line(std::string_view line);

} // namespace keymeld::transport_vsock
