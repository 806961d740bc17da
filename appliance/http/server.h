// The HTTP/1.1 server: listeners, connections, limits. Speaks for one Service on the appliance's event loop.
//
// A connection is one coroutine that reads, asks the Service and writes, one request after the other, so pipelined requests are
// answered in order. Every wait has a deadline; a sweep once a second closes what has passed its own. Bounded: connections in total
// and per client, requests in flight, header, body, and bytes of bodies held at the same time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "appliance/http/byte_stream.h"
#include "appliance/http/message.h"
#include "core/base/result.h"

namespace keymeld::http {

struct ServerLimits {
    std::uint64_t max_body_bytes = 2u * 1024 * 1024;
    std::uint32_t max_header_bytes = 16 * 1024;
    std::uint32_t max_inflight_requests = 4096;
    std::uint32_t max_connections = 8192;
    std::uint32_t rate_per_client = 200;
    std::uint32_t rate_burst = 400;
    std::chrono::milliseconds rate_delay_max{2000};
    std::chrono::seconds header_time{15};     ///< from the first byte of a request to the end of its header
    std::chrono::seconds body_time{60};
    std::chrono::seconds idle_time{75};       ///< between requests
    std::chrono::seconds write_time{30};      ///< for one answer, or one piece of a stream
    std::chrono::seconds comment_interval{10}; ///< of event streams: rest-v1.md 4.8 asks for one every 15 s
};

class Server {
  public:
    /// `service` must outlive the server.
    Server(boost::asio::io_context& loop, Service& service, ServerLimits limits);
    /// All connections must have ended (drain) or the loop must not run any more.
    ~Server();

    /// Listens on an address literal; port 0 takes a free one. Returns the port. `tls` null: plain HTTP. `Errc::Io` says what to do.
    /// [startup]
    Result<std::uint16_t> listen(const std::string& host, std::uint16_t port, Listener listener,
                                 std::shared_ptr<TlsContext> tls);

    /// No new connections; idle ones are closed, the others after their next answer; event streams end.
    void stop();
    /// Ends when every connection has, at the latest at `deadline`; then those left are cut. Returns how many were cut.
    Async<std::size_t> drain(SteadyTime deadline);

    std::size_t connections() const;
    std::size_t requests_in_flight() const;
    /// CPU time spent so far on parsing requests and writing answers.
    std::chrono::nanoseconds busy() const;

  private:
    class Impl;
    std::shared_ptr<Impl> m_impl;
};

} // namespace keymeld::http
