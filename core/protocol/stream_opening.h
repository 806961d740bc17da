// Opening a stream step by step, without blocking and without an event loop.
#pragma once

#include <vector>

#include "core/base/result.h"
#include "core/protocol/stream_endpoint.h"

namespace keymeld::protocol {

/// One attempt. Whoever drives it calls step() until it says Open or fails, and waits in between as step() asks, on descriptor(),
/// which may be another one after each step. Thread-compatible.
class StreamOpening {
  public:
    enum class Step { WaitReadable, WaitWritable, Open };

    StreamOpening() = default;
    /// Closes the descriptor, unless it was released.
    virtual ~StreamOpening();
    StreamOpening(const StreamOpening&) = delete;
    StreamOpening& operator=(const StreamOpening&) = delete;

    /// Goes on as far as possible without blocking; a call too many does no harm. Errors: Disconnected, which is worth another attempt;
    /// others as the transport says.
    virtual Result<Step> step() = 0;
    /// A non-blocking socket; -1 before the first step.
    int descriptor() const { return m_descriptor; }
    /// Hands the descriptor over to the caller.
    int release();

  protected:
    /// Closes what was there.
    void replace_descriptor(int descriptor);

  private:
    int m_descriptor = -1;
};

/// Connects to the first of some endpoints that accepts. TCP gets TCP_NODELAY.
class ConnectOpening : public StreamOpening {
  public:
    explicit ConnectOpening(std::vector<Endpoint> endpoints);

    Result<Step> step() final;

  protected:
    /// Called when connected, again and again until it says Open: a handshake goes here.
    virtual Result<Step> handshake() { return Step::Open; }

  private:
    enum class State { Unconnected, Connecting, Connected };

    Result<Step> connect_next();
    Result<Step> finish_connecting();
    Result<Step> connected();

    std::vector<Endpoint> m_endpoints; ///< not tried yet, last one first
    State m_state = State::Unconnected;
    Error m_last; ///< why the endpoint tried last did not accept
};

} // namespace keymeld::protocol
