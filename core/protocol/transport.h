// A way to one signer: gives a connected stream, and nothing more.
//
// Framing, multiplexing, deadlines, reconnect and attestation are the link's work. The channel's secrecy is not relied upon.
// Transport plugins (core/plugin/transport.h) make these.
#pragma once

#include <functional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace keymeld::protocol {

/// Used on one executor only.
class Transport {
  public:
    using Socket = boost::asio::generic::stream_protocol::socket;
    using Handler = std::function<void(Result<Socket>)>;

    virtual ~Transport() = default;
    /// Connects, including any handshake, and calls `done` exactly once on `executor`, at the latest at `deadline`
    /// (`Errc::DeadlineExceeded`); `Errc::Disconnected` when nobody answers. Never blocks. Destroying the Transport cancels.
    virtual void connect(boost::asio::any_io_executor executor, SteadyTime deadline, Handler done) = 0;
    /// For logs and messages: "tcp 127.0.0.1:5000", "vsock 16:5000".
    virtual std::string describe() const = 0;
};

} // namespace keymeld::protocol
