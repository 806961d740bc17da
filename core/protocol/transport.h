// A way to one signer: gives a connected stream, and nothing more.
//
// Framing, multiplexing, deadlines, reconnect and attestation are the link's work. The channel's secrecy is not relied upon.
// Transport plugins (core/plugin/transport.h) make these. A plugin only says how a stream is opened (StreamOpening); all waiting
// is done by connect(), in the program. That is not taste: Asio keeps state per thread that a plugin has a copy of its own of, so
// an event loop that enters a plugin's copy of Asio crashes sooner or later.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/protocol/stream_opening.h"

namespace keymeld::protocol {

/// Used on one executor only, and destroyed before its loop.
class Transport {
  public:
    using Socket = boost::asio::generic::stream_protocol::socket;
    using Handler = std::function<void(Result<Socket>)>;

    Transport() = default;
    virtual ~Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    /// Connects, including any handshake, and calls `done` exactly once on `executor` (never from inside connect), at the latest at
    /// `deadline` (`Errc::DeadlineExceeded`); `Errc::Disconnected` when nobody answers. Never blocks. Destroying the Transport cancels
    /// (`Errc::Cancelled`). The socket does not block.
    void connect(boost::asio::any_io_executor executor, SteadyTime deadline, Handler done);
    /// For logs and messages: "tcp 127.0.0.1:5000", "vsock 16:5000".
    virtual std::string describe() const = 0;

  protected:
    /// One attempt. Must not touch an event loop (see above).
    virtual std::unique_ptr<StreamOpening> open() = 0;

  private:
    /// Attempts under way. Type-erased, so that a destructor compiled into a plugin runs the program's code.
    std::shared_ptr<void> m_attempts;
};

} // namespace keymeld::protocol
