// HTTP/1.1 requests out of a stream of bytes (RFC 9112), bounded before anything is stored.
//
// The one place that uses Beast. Refused: anything that is not HTTP/1.x, HTTP/1.1 without Host, a header over the limit, conflicting
// lengths, bare line feeds. Trailers of a chunked body are read and dropped, so they can never pass for headers.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "appliance/http/message.h"
#include "core/base/result.h"

namespace keymeld::http {

class RequestParser {
  public:
    struct Limits {
        std::uint32_t header_bytes = 16 * 1024; ///< request line and header fields
        std::uint64_t body_bytes = 2 * 1024 * 1024;
    };

    explicit RequestParser(Limits limits);
    ~RequestParser();

    /// Takes what it can of `data` and says how much that was; the rest belongs to the next call, or to the next request once done().
    /// Stops once after the header, so that the caller can look at it before the body comes. `Errc::ValidationFailed` for what is not
    /// HTTP; the connection is then worthless. [any-thread]
    Result<std::size_t> feed(std::string_view data);

    bool header_done() const;
    /// Everything is here, or the body is over the limit: then the rest of the stream cannot be used (must_close()).
    bool done() const;
    /// Nothing of a request has been seen yet.
    bool untouched() const;

    /// The client waits for "100 Continue" before it sends the body. Valid after header_done().
    bool expects_continue() const;
    /// The connection ends after the answer: as asked for, by HTTP/1.0, or because the body was not read.
    bool must_close() const;
    bool is_head() const;
    /// What is known of the request so far.
    const Request& request() const;
    /// The request. The parser is used up.
    Request take();

  private:
    class Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace keymeld::http
