// A connected client: plain TCP or TLS behind one interface.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/http/message.h"
#include "core/base/result.h"

namespace keymeld::http {

/// For `co_await operation(…, kValues)`: the error code is a value beside the result.
inline constexpr auto kValues = boost::asio::as_tuple(boost::asio::use_awaitable);

/// Every wait on it ends at the latest when close() is called; whoever waits sets a deadline for that. One read and one write at a time.
/// Failures are values: the peer's faults are nobody's exception. [loop]
class ByteStream {
  public:
    virtual ~ByteStream() = default;
    /// False: the client did not get through (TLS).
    virtual Async<bool> handshake() = 0;
    /// At least one byte; 0 when the stream is over.
    virtual Async<std::size_t> read_some(std::span<char> into) = 0;
    /// As much of both as can be written without waiting, which for a short answer is all; 0 where that cannot be known.
    virtual std::size_t write_now(std::string_view, std::string_view) { return 0; }
    /// All of both, in one go where possible.
    virtual Async<bool> write(std::string_view head, std::string_view body) = 0;
    /// Says that nothing more will be sent.
    virtual Async<void> finish() = 0;
    /// Ends waits that are under way; the stream stays open.
    virtual void cancel() noexcept = 0;
    virtual void close() noexcept = 0;
    /// Fingerprint of the client's certificate, "" without one.
    virtual std::string identity() const = 0;
};

std::unique_ptr<ByteStream> make_plain_stream(boost::asio::ip::tcp::socket socket);

/// TLS 1.3 only; with a client CA every client must show a certificate under it.
class TlsContext {
  public:
    /// PEM files: chain (leaf first), private key, CA of the clients (empty: none). `Errc::ConfigInvalid` names the file and the reason.
    /// [startup]
    static Result<std::shared_ptr<TlsContext>> load(const std::filesystem::path& certificate,
                                                    const std::filesystem::path& key,
                                                    const std::filesystem::path& client_ca);
    ~TlsContext();
    std::unique_ptr<ByteStream> wrap(boost::asio::ip::tcp::socket socket) const;

  private:
    struct Impl;
    explicit TlsContext(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace keymeld::http
