// HTTP/1.1 as the client library speaks it: keep-alive connections on the caller's executor, no threads, a deadline on every call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/result.h"

namespace keymeld::client {

template <class T> using Async = boost::asio::awaitable<T>;

/// Where an appliance is and how its TLS certificate is judged. TLS 1.3 only.
struct Endpoint {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8080;
    bool tls = false;
    /// Root certificates (PEM); unset: the system's, unless `certificate_sha256` is set.
    std::optional<std::filesystem::path> tls_roots;
    /// Pin: SHA-256 of the server certificate's DER. Set: the chain is not asked for, the pin alone decides.
    std::optional<ByteArray<32>> certificate_sha256;

    /// "http://127.0.0.1:8080" or "https://host[:port]", without a path. `Errc::InvalidArgument`.
    static Result<Endpoint> parse(std::string_view url);
    bool operator==(const Endpoint&) const = default;
    std::string text() const;
};

struct HttpRequest {
    std::string_view method;
    std::string target;                                    ///< "/api/v1/health"
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::optional<std::string> body = std::nullopt;        ///< sent as application/json
};

struct HttpResponse {
    unsigned status = 0;
    std::string body;                                      ///< at most kMaxResponse bytes
    std::optional<unsigned> retry_after_seconds = std::nullopt;
};
inline constexpr std::size_t kMaxResponse = 16u * 1024 * 1024;

/// A pool of connections to one endpoint. Thread rule: used on its executor's thread only.
class HttpPool {
  public:
    HttpPool(boost::asio::any_io_executor executor, Endpoint endpoint);
    ~HttpPool();
    HttpPool(const HttpPool&) = delete;
    HttpPool& operator=(const HttpPool&) = delete;

    /// One request and its answer. `Errc::Disconnected` if there is no connection or it breaks, `Errc::DeadlineExceeded`,
    /// `Errc::AuthFailed` if the TLS certificate is not the pinned or a trusted one, `Errc::BodyTooLarge`. The request may have taken effect on every
    /// error: requests carry single-use nonces, so the caller repeats with a fresh header, never this class.
    Async<Result<HttpResponse>> send(HttpRequest request, SteadyTime deadline);

    const Endpoint& endpoint() const;
    /// Drops idle connections (after a fork, or when an appliance was restarted).
    void drop_idle();

  private:
    class Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace keymeld::client
