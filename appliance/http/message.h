// An HTTP request and its answer as the rest of the appliance sees them: no Beast, no sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "core/base/clock.h"
#include "core/base/error.h"

namespace keymeld::http {

template <class T> using Async = boost::asio::awaitable<T>;

/// Which listener a request came in by (rest-v1.md 4.14: operators may separate operations from the API).
enum class Listener { Api, Operations };

struct Request {
    std::string method;                 ///< as sent
    std::string path;                   ///< of the target, still percent-encoded: "/api/v1/health"
    std::string query;                  ///< after "?", still encoded
    std::vector<std::pair<std::string, std::string>> headers; ///< in the order of the request; values trimmed
    std::string body;
    bool body_too_large = false;        ///< more than max_body_bytes were announced or sent; `body` is empty then
    Listener listener = Listener::Api;
    /// Who is asking, for limits: address, or fingerprint of the client certificate. Never logged with a session id.
    std::string client;

    /// Value of the first header of that name (any letter case), null if there is none.
    const std::string* header(std::string_view name) const;
};

/// The body of an answer that goes on: server-sent events.
class EventStream {
  public:
    virtual ~EventStream() = default;
    /// The next events as text; "" when `until` came first; nullopt when the stream is over. [loop]
    virtual Async<std::optional<std::string>> next(SteadyTime until) = 0;
    /// The client has gone while next() was under way: gives back what others could use. [loop]
    virtual void abandon() = 0;
};

struct Response {
    unsigned status = 200;
    std::string content_type;           ///< empty: none is sent
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    /// Sent instead of `body` if set: files that every answer shares.
    std::shared_ptr<const std::string> file;
    std::unique_ptr<EventStream> stream; ///< if set, the body is what it gives
};

/// What the server runs for each request.
class Service {
  public:
    virtual ~Service() = default;
    /// Never throws for anything in the request. [loop]
    virtual Async<Response> handle(Request request) = 0;
    /// The answer for a failure that the server itself found (limits, syntax); `request` may be incomplete. [loop]
    virtual Response failure(const Request& request, const Error& error) = 0;
};

/// "Not Found" for 404. [any-thread]
std::string_view reason_phrase(unsigned status);

/// True if both are equal but for ASCII letter case. [any-thread]
bool iequals(std::string_view a, std::string_view b);

} // namespace keymeld::http
