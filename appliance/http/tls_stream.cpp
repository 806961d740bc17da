#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

#include "appliance/http/byte_stream.h"
#include "core/base/hex.h"

namespace keymeld::http {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;

class TlsStream final : public ByteStream {
  public:
    TlsStream(asio::ip::tcp::socket socket, ssl::context& context) : m_stream(std::move(socket), context) {}

    Async<bool> handshake() override {
        const auto [error] = co_await m_stream.async_handshake(ssl::stream_base::server, kValues);
        co_return !error;
    }

    Async<std::size_t> read_some(std::span<char> into) override {
        const auto [error, n] = co_await m_stream.async_read_some(asio::buffer(into.data(), into.size()), kValues);
        co_return error ? 0 : n;
    }

    Async<bool> write(std::string_view head, std::string_view body) override {
        // A record for each buffer; a short answer travels in one.
        if (body.size() <= kJoin) {
            m_joined.assign(head).append(body);
            head = m_joined;
            body = {};
        }
        const std::array<asio::const_buffer, 2> buffers{asio::buffer(head.data(), head.size()),
                                                        asio::buffer(body.data(), body.size())};
        const auto [error, n] = co_await asio::async_write(m_stream, buffers, kValues);
        co_return !error && n == head.size() + body.size();
    }

    Async<void> finish() override {
        // Sends close_notify; the client's own is waited for until the caller's deadline closes the stream.
        const auto [error] = co_await m_stream.async_shutdown(kValues);
        static_cast<void>(error);
    }

    void cancel() noexcept override {
        boost::system::error_code ignored;
        m_stream.lowest_layer().cancel(ignored);
    }

    void close() noexcept override {
        boost::system::error_code ignored;
        m_stream.lowest_layer().close(ignored);
    }

    std::string identity() const override {
        auto* handle = const_cast<ssl::stream<asio::ip::tcp::socket>&>(m_stream).native_handle();
        const std::unique_ptr<X509, decltype(&X509_free)> peer(SSL_get1_peer_certificate(handle), &X509_free);
        if (!peer)
            return {};
        ByteArray<EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        if (X509_digest(peer.get(), EVP_sha256(), digest.data(), &size) != 1)
            return {};
        return hex_encode(ByteView(digest).first(size));
    }

  private:
    static constexpr std::size_t kJoin = 8 * 1024;
    ssl::stream<asio::ip::tcp::socket> m_stream;
    std::string m_joined;
};

} // namespace

struct TlsContext::Impl {
    ssl::context context{ssl::context::tlsv13_server};
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::load(const std::filesystem::path& certificate,
                                                     const std::filesystem::path& key,
                                                     const std::filesystem::path& client_ca) {
    auto impl = std::make_unique<Impl>();
    boost::system::error_code error;
    const auto refuse = [&](const char* what, const std::filesystem::path& file) {
        return fail(Errc::ConfigInvalid, "tls " + std::string(what) + " " + file.string() + ": " + error.message());
    };
    // An encrypted key would make OpenSSL ask on the terminal.
    impl->context.set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); }, error);
    impl->context.use_certificate_chain_file(certificate.string(), error);
    if (error)
        return refuse("certificate", certificate);
    impl->context.use_private_key_file(key.string(), ssl::context::pem, error);
    if (error)
        return refuse("key", key);
    if (SSL_CTX_check_private_key(impl->context.native_handle()) != 1)
        return fail(Errc::ConfigInvalid, "tls key " + key.string() + " does not belong to certificate " + certificate.string());
    if (!client_ca.empty()) {
        impl->context.load_verify_file(client_ca.string(), error);
        if (error)
            return refuse("client_ca", client_ca);
        impl->context.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
    }
    // Tickets would let a client resume for hours after its certificate was revoked or expired.
    SSL_CTX_set_num_tickets(impl->context.native_handle(), 0);
    static constexpr unsigned char kProtocol[] = "keymeld";
    SSL_CTX_set_session_id_context(impl->context.native_handle(), kProtocol, sizeof kProtocol - 1);
    return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

std::unique_ptr<ByteStream> TlsContext::wrap(asio::ip::tcp::socket socket) const {
    return std::make_unique<TlsStream>(std::move(socket), m_impl->context);
}

} // namespace keymeld::http
