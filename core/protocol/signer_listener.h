// The signer's end: accepts streams and runs their requests, one after another, on one event loop of one thread [loop].
//
// A turn reads what has arrived, hands every complete frame to the dispatcher and writes all answers at once. A stream that
// does not read its answers is not read either. The gateway is not trusted: whatever breaks the framing, is no Request,
// does not start with Hello, or says Hello twice, closes the stream.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "core/base/result.h"
#include "core/protocol/frame.h"

namespace keymeld::wire {
class Request;
class Response;
}

namespace keymeld::protocol {

struct StreamContext {
    /// Counts streams from 1 in the order of their Hello. Several may be open (an old one whose end was not noticed yet): a sealed delta
    /// may only follow an update that was answered on the same stream.
    std::uint64_t stream = 0;
};

/// Fills a result or a failure; the id is set already. The first request of a stream is a Hello of our protocol version with a
/// 32-byte nonce; if it is answered with a failure, the stream is closed. An exception becomes Internal, without its text.
using Dispatcher = std::function<void(const StreamContext&, const wire::Request&, wire::Response&)>;

struct ListenerOptions {
    /// One more closes the stream that was quiet longest, those without a Hello first.
    std::size_t max_streams = 16;
    std::size_t max_frame = kDefaultMaxFrame;       ///< both directions; a larger answer becomes FrameTooLarge
    std::size_t max_output = std::size_t{1} << 20;  ///< bytes of unsent answers at which a stream is no longer read
    std::chrono::milliseconds hello_timeout{10000}; ///< from accept to a Hello
    /// Answers are not held back longer than this while further requests run, so that the gateway works in parallel.
    std::chrono::microseconds flush_after{1000};
};

struct ListenerCounters {
    std::uint64_t accepted = 0;
    std::uint64_t open = 0;
    std::uint64_t requests = 0;
    std::uint64_t writes = 0;   ///< system calls that wrote something
    std::uint64_t refused = 0;  ///< streams closed for what they sent, or for not saying Hello
    std::uint64_t evicted = 0;  ///< streams closed for a newer one
};

class SignerListener {
  public:
    using Endpoint = boost::asio::generic::stream_protocol::endpoint;

    /// Listens at once; stream_endpoint.h makes endpoints. A stale unix socket file is replaced, a living one is not; its mode is 0600.
    /// Errors: Io. `loop` must outlive the listener.
    static Result<std::unique_ptr<SignerListener>> create(boost::asio::io_context& loop, const Endpoint& endpoint,
                                                          Dispatcher dispatcher, ListenerOptions options = {});
    /// As stop().
    ~SignerListener();
    SignerListener(const SignerListener&) = delete;
    SignerListener& operator=(const SignerListener&) = delete;

    /// Closes everything. The dispatcher is not called any more. For good.
    void stop();
    /// With the port that the system chose for port 0.
    Endpoint local_endpoint() const;
    ListenerCounters counters() const;

  private:
    class Impl;
    explicit SignerListener(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> m_impl;
};

} // namespace keymeld::protocol
