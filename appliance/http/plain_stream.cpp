#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include "appliance/http/byte_stream.h"

namespace keymeld::http {
namespace {

namespace asio = boost::asio;

class PlainStream final : public ByteStream {
  public:
    explicit PlainStream(asio::ip::tcp::socket socket) : m_socket(std::move(socket)) {
        boost::system::error_code ignored; // write_now() then waits, which is slow but right
        m_socket.non_blocking(true, ignored);
    }

    Async<bool> handshake() override { co_return true; }

    Async<std::size_t> read_some(std::span<char> into) override {
        const auto [error, n] = co_await m_socket.async_read_some(asio::buffer(into.data(), into.size()), kValues);
        co_return error ? 0 : n;
    }

    std::size_t write_now(std::string_view head, std::string_view body) override {
        boost::system::error_code failed; // found again by the write that follows
        return m_socket.write_some(buffers_of(head, body), failed);
    }

    Async<bool> write(std::string_view head, std::string_view body) override {
        const auto [error, n] = co_await asio::async_write(m_socket, buffers_of(head, body), kValues);
        co_return !error && n == head.size() + body.size();
    }

    Async<void> finish() override {
        boost::system::error_code ignored;
        m_socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
        co_return;
    }

    void cancel() noexcept override {
        boost::system::error_code ignored;
        m_socket.cancel(ignored);
    }

    void close() noexcept override {
        boost::system::error_code ignored;
        m_socket.close(ignored);
    }

    std::string identity() const override { return {}; }

  private:
    static std::array<asio::const_buffer, 2> buffers_of(std::string_view head, std::string_view body) {
        return {asio::buffer(head.data(), head.size()), asio::buffer(body.data(), body.size())};
    }

    asio::ip::tcp::socket m_socket;
};

} // namespace

std::unique_ptr<ByteStream> make_plain_stream(asio::ip::tcp::socket socket) {
    return std::make_unique<PlainStream>(std::move(socket));
}

} // namespace keymeld::http
