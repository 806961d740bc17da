#include "appliance/client/http.h"

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace keymeld::client {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

/// Takes one connection, reads its first bytes, says `answer` and hangs up.
Async<void> hang_up(tcp::acceptor& acceptor, std::string answer) {
    tcp::socket peer = co_await acceptor.async_accept(asio::use_awaitable);
    ByteArray<64> ignored{};
    co_await peer.async_read_some(asio::buffer(ignored), asio::use_awaitable);
    if (!answer.empty())
        co_await asio::async_write(peer, asio::buffer(answer), asio::use_awaitable);
}

Errc error_of_tls_with(const std::string& answer) {
    asio::io_context loop;
    tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0});
    asio::co_spawn(loop, hang_up(acceptor, answer), asio::detached);
    Endpoint endpoint;
    endpoint.port = acceptor.local_endpoint().port();
    endpoint.tls = true;
    endpoint.certificate_sha256 = ByteArray<32>{};
    HttpPool pool(loop.get_executor(), endpoint);
    std::optional<Result<HttpResponse>> outcome;
    asio::co_spawn(loop, pool.send({"GET", "/"}, std::chrono::steady_clock::now() + std::chrono::seconds(20)),
                   [&](std::exception_ptr, Result<HttpResponse> result) { outcome.emplace(std::move(result)); });
    loop.run();
    return outcome && !*outcome ? outcome->error().code : Errc::Internal;
}

TEST(HttpPool, TellsABrokenWayFromAWrongCertificate) {
    EXPECT_EQ(error_of_tls_with(""), Errc::Disconnected) << "an appliance that restarts";
    EXPECT_EQ(error_of_tls_with("HTTP/1.1 400 Bad Request\r\n\r\n"), Errc::AuthFailed) << "no TLS at all";
}

} // namespace
} // namespace keymeld::client
