#include "appliance/client/http.h"

#include <charconv>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <fcntl.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "appliance/client/inherited_sockets.h"
#include "core/base/hex.h"
#include "core/secure/compare.h"

namespace keymeld::client {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

Result<Endpoint> Endpoint::parse(std::string_view url) {
    Endpoint endpoint;
    const auto bad = [] {
        return fail(Errc::InvalidArgument, "not a URL of the form http://HOST:PORT or https://HOST[:PORT]");
    };
    if (url.starts_with("https://")) {
        endpoint.tls = true;
        endpoint.port = 443;
        url.remove_prefix(8);
    } else if (url.starts_with("http://")) {
        endpoint.port = 80;
        url.remove_prefix(7);
    } else {
        return bad();
    }
    if (url.ends_with('/'))
        url.remove_suffix(1);
    std::string_view host = url;
    std::optional<std::string_view> port;
    if (url.starts_with('[')) {
        const auto end = url.find(']');
        if (end == std::string_view::npos)
            return bad();
        host = url.substr(1, end - 1);
        if (end + 1 < url.size()) {
            if (url[end + 1] != ':')
                return bad();
            port = url.substr(end + 2);
        }
    } else if (const auto colon = url.find(':'); colon != std::string_view::npos) {
        host = url.substr(0, colon);
        port = url.substr(colon + 1);
    }
    if (port) {
        const auto [end, error] =
            std::from_chars(port->data(), port->data() + port->size(), endpoint.port);
        if (error != std::errc() || end != port->data() + port->size() || endpoint.port == 0)
            return bad();
    }
    if (host.empty() || host.find_first_of("/?#@ \t\r\n[]") != std::string_view::npos)
        return bad();
    endpoint.host = host;
    return endpoint;
}

std::string Endpoint::text() const {
    const bool v6 = host.find(':') != std::string::npos;
    return (tls ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

namespace {

using Plain = beast::tcp_stream;
using Tls = beast::ssl_stream<beast::tcp_stream>;
using Parser = http::response_parser<http::string_body>;

/// Bytes of an answer that the parser cannot use yet. It limits header and body, but neither the line of a chunk nor a trailer.
constexpr std::size_t kMaxUnparsed = 128 * 1024;

struct Connection {
    explicit Connection(const asio::any_io_executor& executor) : plain(std::make_unique<Plain>(executor)) {}
    Connection(const asio::any_io_executor& executor, asio::ssl::context& context)
        : tls(std::make_unique<Tls>(executor, context)) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        if (remembered >= 0)
            inherited_sockets::closing(remembered);
    }

    /// Opens the socket, so that a program that the process may start does not inherit it.
    void open(const tcp& protocol, ErrorCode& error) {
        auto& socket = lowest().socket();
        if (socket.is_open()) {
            if (remembered >= 0)
                inherited_sockets::closing(std::exchange(remembered, -1));
            socket.close(error);
        }
        socket.open(protocol, error);
        if (error)
            return;
        remembered = socket.native_handle();
        inherited_sockets::opened(remembered);
        ErrorCode ignored;
        ::fcntl(remembered, F_SETFD, FD_CLOEXEC);
        socket.set_option(asio::socket_base::keep_alive(true), ignored);
        socket.set_option(tcp::no_delay(true), ignored);
    }

    std::unique_ptr<Plain> plain;
    std::unique_ptr<Tls> tls;
    beast::flat_buffer buffer{kMaxUnparsed};
    int remembered = -1;

    Plain& lowest() { return tls ? beast::get_lowest_layer(*tls) : *plain; }
};

Error broken(const ErrorCode& error, std::string_view doing) {
    if (error == beast::error::timeout)
        return fail(Errc::DeadlineExceeded, "the appliance did not answer in time while " + std::string(doing));
    if (error == http::error::body_limit || error == http::error::buffer_overflow || error == http::error::header_limit)
        return fail(Errc::BodyTooLarge, "the appliance's answer is larger than this client accepts");
    return fail(Errc::Disconnected, std::string(doing) + ": " + error.message());
}

bool matches_pin(X509* certificate, const ByteArray<32>& pin) {
    ByteArray<32> digest{};
    unsigned size = 0;
    return certificate != nullptr &&
           X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1 && size == digest.size() &&
           secure::ct_equal(digest, pin);
}

} // namespace

class HttpPool::Impl {
  public:
    Impl(asio::any_io_executor executor, Endpoint endpoint)
        : m_executor(std::move(executor)), m_endpoint(std::move(endpoint)) {}

    Async<Result<HttpResponse>> send(HttpRequest request, SteadyTime deadline) {
        std::unique_ptr<Connection> connection = take_idle();
        if (!connection) {
            auto made = co_await connect(deadline);
            if (!made)
                co_return std::move(made).error();
            connection = std::move(*made);
        }
        const http::request<http::string_body> message = make_message(std::move(request));
        connection->lowest().expires_at(deadline);
        ErrorCode error;
        if (connection->tls)
            co_await http::async_write(*connection->tls, message, asio::redirect_error(asio::use_awaitable, error));
        else
            co_await http::async_write(*connection->plain, message, asio::redirect_error(asio::use_awaitable, error));
        if (error)
            co_return broken(error, "sending the request");
        Parser parser;
        parser.body_limit(kMaxResponse);
        if (connection->tls)
            co_await http::async_read(*connection->tls, connection->buffer, parser,
                                      asio::redirect_error(asio::use_awaitable, error));
        else
            co_await http::async_read(*connection->plain, connection->buffer, parser,
                                      asio::redirect_error(asio::use_awaitable, error));
        if (error)
            co_return broken(error, "waiting for the answer");
        HttpResponse response;
        response.status = parser.get().result_int();
        if (const auto found = parser.get().find(http::field::retry_after); found != parser.get().end()) {
            unsigned seconds = 0;
            const std::string_view text(found->value().data(), found->value().size());
            if (std::from_chars(text.data(), text.data() + text.size(), seconds).ec == std::errc())
                response.retry_after_seconds = seconds;
        }
        const bool keep = parser.get().keep_alive();
        response.body = std::move(parser.get().body());
        if (keep && m_idle.size() < kMaxIdle) {
            connection->lowest().expires_never();
            m_idle.push_back(std::move(connection));
        }
        co_return response;
    }

    const Endpoint& endpoint() const { return m_endpoint; }
    void drop_idle() { m_idle.clear(); }

  private:
    static constexpr std::size_t kMaxIdle = 256;

    /// An idle connection that the appliance has not closed meanwhile: it would be readable.
    std::unique_ptr<Connection> take_idle() {
        while (!m_idle.empty()) {
            std::unique_ptr<Connection> connection = std::move(m_idle.back());
            m_idle.pop_back();
            ErrorCode error;
            auto& socket = connection->lowest().socket();
            socket.non_blocking(true, error);
            std::uint8_t byte = 0;
            socket.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, error);
            if (error == asio::error::would_block || error == asio::error::try_again)
                return connection;
        }
        return nullptr;
    }

    Async<Result<std::unique_ptr<Connection>>> connect(SteadyTime deadline) {
        if (m_endpoint.tls && !m_tls_context) {
            if (Status ready = make_tls_context(); !ready)
                co_return std::move(ready).error();
        }
        auto connection = m_endpoint.tls ? std::make_unique<Connection>(m_executor, *m_tls_context)
                                         : std::make_unique<Connection>(m_executor);
        connection->lowest().expires_at(std::min(deadline, std::chrono::steady_clock::now() + kConnectTime));
        ErrorCode error;
        std::vector<tcp::endpoint> found;
        const asio::ip::address address = asio::ip::make_address(m_endpoint.host, error);
        if (!error) {
            found.emplace_back(address, m_endpoint.port);
        } else {
            // In line rather than async_resolve, whose background thread would outlive a dlclose of the PKCS#11 module.
            error = {};
            tcp::resolver resolver(m_executor);
            for (const auto& entry : resolver.resolve(m_endpoint.host, std::to_string(m_endpoint.port), error))
                found.push_back(entry.endpoint());
            if (error || found.empty())
                co_return fail(Errc::Disconnected, "no address for " + m_endpoint.host);
        }
        for (const tcp::endpoint& to : found) {
            connection->open(to.protocol(), error);
            if (error)
                continue;
            co_await connection->lowest().async_connect(to, asio::redirect_error(asio::use_awaitable, error));
            if (!error || error == beast::error::timeout)
                break;
        }
        if (error)
            co_return broken(error, "connecting to " + m_endpoint.text());
        if (connection->tls) {
            if (!m_endpoint.certificate_sha256)
                connection->tls->set_verify_callback(asio::ssl::host_name_verification(m_endpoint.host));
            if (SSL_set_tlsext_host_name(connection->tls->native_handle(), m_endpoint.host.c_str()) != 1)
                co_return fail(Errc::Internal, "TLS server name could not be set");
            co_await connection->tls->async_handshake(asio::ssl::stream_base::client,
                                                      asio::redirect_error(asio::use_awaitable, error));
            // TLS itself complains in its own category; what else there is, is a connection that broke.
            if (error && error.category() != asio::error::get_ssl_category())
                co_return broken(error, "opening TLS");
            if (error)
                co_return fail(Errc::AuthFailed, "TLS with " + m_endpoint.text() + " failed: " + error.message());
            if (m_endpoint.certificate_sha256) {
                X509* certificate = SSL_get1_peer_certificate(connection->tls->native_handle());
                const bool pinned = matches_pin(certificate, *m_endpoint.certificate_sha256);
                X509_free(certificate);
                if (!pinned)
                    co_return fail(Errc::AuthFailed, "the TLS certificate of " + m_endpoint.text() + " is not the pinned one");
            }
        }
        co_return connection;
    }

    Status make_tls_context() {
        m_tls_context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
        ErrorCode error;
        SSL_CTX_set_min_proto_version(m_tls_context->native_handle(), TLS1_3_VERSION);
        if (m_endpoint.certificate_sha256) {
            m_tls_context->set_verify_mode(asio::ssl::verify_none, error); // the pin is checked after the handshake
        } else {
            m_tls_context->set_verify_mode(asio::ssl::verify_peer, error);
            if (m_endpoint.tls_roots)
                m_tls_context->load_verify_file(m_endpoint.tls_roots->string(), error);
            else
                m_tls_context->set_default_verify_paths(error);
        }
        if (error)
            return fail(Errc::Io, "TLS root certificates cannot be read: " + error.message());
        return {};
    }

    http::request<http::string_body> make_message(HttpRequest request) const {
        http::request<http::string_body> message;
        message.version(11);
        message.method_string({request.method.data(), request.method.size()});
        message.target(request.target);
        message.set(http::field::host, m_endpoint.host);
        for (auto& [name, value] : request.headers)
            message.set(name, value);
        if (request.body) {
            message.set(http::field::content_type, "application/json");
            message.body() = std::move(*request.body);
        }
        message.prepare_payload();
        return message;
    }

    static constexpr std::chrono::seconds kConnectTime{3};

    asio::any_io_executor m_executor;
    Endpoint m_endpoint;
    std::unique_ptr<asio::ssl::context> m_tls_context;
    std::vector<std::unique_ptr<Connection>> m_idle;
};

HttpPool::HttpPool(asio::any_io_executor executor, Endpoint endpoint)
    : m_impl(std::make_unique<Impl>(std::move(executor), std::move(endpoint))) {}
HttpPool::~HttpPool() = default;
Async<Result<HttpResponse>> HttpPool::send(HttpRequest request, SteadyTime deadline) {
    return m_impl->send(std::move(request), deadline);
}
const Endpoint& HttpPool::endpoint() const { return m_impl->endpoint(); }
void HttpPool::drop_idle() { m_impl->drop_idle(); }

} // namespace keymeld::client
