#include "appliance/client/http.h"
#include "appliance/client/rest.h"

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
    ByteArray<4096> ignored{}; // all of it: what is left unread resets the connection
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

/// Answers with something that has no end; how much of it was taken.
Async<void> go_on_forever(tcp::acceptor& acceptor, std::string begin, std::size_t& taken) {
    tcp::socket peer = co_await acceptor.async_accept(asio::use_awaitable);
    ByteArray<4096> ignored{};
    co_await peer.async_read_some(asio::buffer(ignored), asio::use_awaitable);
    co_await asio::async_write(peer, asio::buffer(begin), asio::use_awaitable);
    const std::string more(64 * 1024, 'x');
    while (taken < 64u * 1024 * 1024)
        taken += co_await asio::async_write(peer, asio::buffer(more), asio::use_awaitable);
}

TEST(HttpPool, TakesNoMoreOfAnEndlessAnswerThanItCanUse) {
    for (const std::string begin : {"HTTP/1.1 200 OK\r\nX-Long: ", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x",
                                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", "HTTP/1.1 200 "}) {
        asio::io_context loop;
        tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0});
        std::size_t taken = 0;
        asio::co_spawn(loop, go_on_forever(acceptor, begin, taken), asio::detached);
        Endpoint endpoint;
        endpoint.port = acceptor.local_endpoint().port();
        std::optional<Result<HttpResponse>> outcome;
        HttpPool pool(loop.get_executor(), endpoint);
        asio::co_spawn(loop, pool.send({"GET", "/"}, std::chrono::steady_clock::now() + std::chrono::seconds(20)),
                       [&](std::exception_ptr, Result<HttpResponse> result) { outcome.emplace(std::move(result)); });
        while (!outcome && loop.run_one() > 0) {
        }
        ASSERT_TRUE(outcome && !*outcome) << begin;
        EXPECT_LT(taken, 16u * 1024 * 1024) << begin;
        EXPECT_NE(outcome->error().code, Errc::DeadlineExceeded) << begin << ": " << outcome->error().detail;
    }
}

TEST(HttpPool, TellsABrokenWayFromAWrongCertificate) {
    EXPECT_EQ(error_of_tls_with(""), Errc::Disconnected) << "an appliance that restarts";
    EXPECT_EQ(error_of_tls_with("HTTP/1.1 400 Bad Request\r\n\r\n"), Errc::AuthFailed) << "no TLS at all";
}

TEST(HttpPool, ReadsALargeAnswerInEitherForm) {
    const std::string body(8u * 1024 * 1024, 'a');
    for (const std::string& answer : {"Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
                                      "Transfer-Encoding: chunked\r\n\r\n800000\r\n" + body + "\r\n0\r\n\r\n"}) {
        asio::io_context loop;
        tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0});
        asio::co_spawn(loop, hang_up(acceptor, "HTTP/1.1 200 OK\r\n" + answer), asio::detached);
        Endpoint endpoint;
        endpoint.port = acceptor.local_endpoint().port();
        HttpPool pool(loop.get_executor(), endpoint);
        std::optional<Result<HttpResponse>> outcome;
        asio::co_spawn(loop, pool.send({"GET", "/"}, std::chrono::steady_clock::now() + std::chrono::seconds(20)),
                       [&](std::exception_ptr, Result<HttpResponse> result) { outcome.emplace(std::move(result)); });
        loop.run();
        ASSERT_TRUE(outcome && *outcome) << outcome->error().detail;
        EXPECT_TRUE((*outcome)->body == body);
    }
}

/// What `read` makes of an appliance that answers every request with this body.
template <class T> Result<T> answered(const std::string& body, unsigned status, std::function<Async<Result<T>>(RestClient&)> read) {
    asio::io_context loop;
    tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0});
    asio::co_spawn(loop,
                   hang_up(acceptor, "HTTP/1.1 " + std::to_string(status) + " x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                                         body),
                   asio::detached);
    Endpoint endpoint;
    endpoint.port = acceptor.local_endpoint().port();
    RestClient rest(loop.get_executor(), endpoint);
    std::optional<Result<T>> outcome;
    asio::co_spawn(loop, read(rest), [&](std::exception_ptr, Result<T> result) { outcome.emplace(std::move(result)); });
    loop.run();
    return std::move(outcome).value();
}

TEST(RestClient, LetsNoAppliancePutALineOfItsOwnBeforePeople) {
    const auto health = [](RestClient& rest) { return rest.health(); };
    const auto good = answered<Health>(R"({"status":"ok\nsignature: 00","version":"1\u001b[2J","healthy_enclaves":1,"total_enclaves":1})", 200, health);
    ASSERT_TRUE(good) << good.error().detail;
    EXPECT_EQ(good->status, "ok?signature: 00");
    EXPECT_EQ(good->version, "1?[2J");
    const auto bad = answered<Health>(R"({"error":{"type":"not_found","message":"no\r\nsession: 1","details":{"pointer":"/a\tb"}}})", 404, health);
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code, Errc::NotFound);
    EXPECT_EQ(bad.error().detail, "no??session: 1");
    EXPECT_EQ(bad.error().facts.at("pointer"), "/a?b");
    const auto status = answered<SigningStatusEntry>(
        R"({"status":"failed\u0085","keygen_session_id":"019a0000-0000-7000-8000-000000000000","expected_participants":1,"expires_at":1,)"
        R"("participants_requiring_approval":[],"approved_participants":[],"failure":{"type":"re\njected","message":"no\nsignature: 00"}})",
        200, [](RestClient& rest) { return rest.signing_status(SigningId(), [] { return Result<std::string>("x"); }); });
    ASSERT_TRUE(status) << status.error().detail;
    EXPECT_EQ(status->status, "failed?");
    EXPECT_EQ(status->failure->type, "re?jected");
    EXPECT_EQ(status->failure->message, "no?signature: 00");
}

} // namespace
} // namespace keymeld::client
