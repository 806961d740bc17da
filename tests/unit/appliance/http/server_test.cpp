#include "appliance/http/server.h"

#include "tests/unit/appliance/http/server_fixture.h"

namespace keymeld::http::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

TEST(HttpServer, KeepsConnectionsAlive) {
    RunningServer running;
    RawClient client(running.port);
    for (int i = 0; i < 3; ++i) {
        client.get("/a");
        const Reply reply = client.reply();
        EXPECT_EQ(reply.status, 200u);
        EXPECT_EQ(reply.body, "GET /a 127.0.0.1 api ");
        EXPECT_NE(reply.head.find("Date: "), std::string::npos);
        EXPECT_EQ(reply.head.find("Connection: close"), std::string::npos);
    }
    EXPECT_EQ(running.connections(), 1u);
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
    RunningServer running;
    RawClient client(running.port);
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /c HTTP/1.1\r\n"
                "Host: a\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(client.reply().body, "GET /slow 127.0.0.1 api ");
    EXPECT_EQ(client.reply().body, "POST /b 127.0.0.1 api hi");
    const Reply last = client.reply();
    EXPECT_EQ(last.body, "GET /c 127.0.0.1 api ");
    EXPECT_NE(last.head.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(client.closed());
}

TEST(HttpServer, TellsListenersApart) {
    RunningServer running;
    RawClient client(running.operations_port);
    client.get("/a");
    EXPECT_EQ(client.reply().body, "GET /a 127.0.0.1 operations ");
}

TEST(HttpServer, HeadAndEmptyAnswersHaveNoBody) {
    RunningServer running;
    RawClient client(running.port);
    client.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
    const Reply head = client.reply(true);
    EXPECT_NE(head.head.find("Content-Length: 22"), std::string::npos) << head.head;
    client.get("/empty");
    const Reply empty = client.reply();
    EXPECT_EQ(empty.status, 204u);
    EXPECT_EQ(empty.head.find("Content-Length"), std::string::npos);
    client.get("/file");
    EXPECT_EQ(client.reply().body, std::string(100'000, 'f'));
}

TEST(HttpServer, ADefectIsA500AndNotTheEnd) {
    RunningServer running;
    RawClient client(running.port);
    client.get("/throw");
    EXPECT_EQ(client.reply().status, 500u);
    client.get("/a");
    EXPECT_EQ(client.reply().status, 200u);
}

TEST(HttpServer, TooLargeABodyIsAnsweredAndTheConnectionClosed) {
    RunningServer running({.max_body_bytes = 1000});
    RawClient client(running.port);
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x'));
    const Reply reply = client.reply();
    EXPECT_EQ(reply.body, "POST /a 127.0.0.1 api too large");
    EXPECT_NE(reply.head.find("Connection: close"), std::string::npos);
    EXPECT_EQ(client.rest(), "");
}

TEST(HttpServer, GarbageIsAnsweredAndTheConnectionClosed) {
    RunningServer running;
    RawClient client(running.port);
    client.send("\x16\x03\x01\x02garbage\r\n\r\n");
    EXPECT_EQ(client.reply().status, 400u);
    EXPECT_EQ(client.rest(), "");
    EXPECT_EQ(running.service.handled, 0);
}

TEST(HttpServer, SaysContinueBeforeTheBody) {
    RunningServer running;
    RawClient client(running.port);
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(client.reply().status, 100u);
    client.send("hi");
    EXPECT_EQ(client.reply().body, "POST /a 127.0.0.1 api hi");
}

TEST(HttpServer, BoundsRequestsInFlight) {
    RunningServer running({.max_inflight_requests = 2});
    RawClient first(running.port);
    first.get("/slow");
    std::this_thread::sleep_for(milliseconds(100));
    // Half of the places is what one client may take.
    RawClient second(running.port);
    second.get("/a");
    const Reply refused = second.reply();
    EXPECT_EQ(refused.status, 429u);
    EXPECT_NE(refused.head.find("Retry-After: 1"), std::string::npos);
    EXPECT_EQ(first.reply().status, 200u);
    second.get("/a");
    EXPECT_EQ(second.reply().status, 200u);
}

TEST(HttpServer, PacesBeforeItRefuses) {
    RunningServer running({.rate_per_client = 20, .rate_burst = 5, .rate_delay_max = milliseconds(1000)});
    RawClient client(running.port);
    const auto start = Clock::now();
    for (int i = 0; i < 15; ++i) {
        client.get("/a");
        ASSERT_EQ(client.reply().status, 200u) << i;
    }
    // Ten requests more than the burst at 20 a second.
    EXPECT_GE(Clock::now() - start, milliseconds(450));
    EXPECT_LT(Clock::now() - start, milliseconds(3000));
    // Many at the same time: those that would wait longer than a second are refused.
    std::vector<std::unique_ptr<RawClient>> crowd;
    for (int i = 0; i < 40; ++i) {
        crowd.push_back(std::make_unique<RawClient>(running.port));
        crowd.back()->get("/a");
    }
    int served = 0;
    int refused = 0;
    for (auto& one : crowd) {
        const Reply reply = one->reply();
        served += reply.status == 200 ? 1 : 0;
        refused += reply.status == 429 && reply.head.find("Retry-After: ") != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(served + refused, 40);
    EXPECT_GE(served, 15);
    EXPECT_GE(refused, 10);
}

TEST(HttpServer, OperationsAreNotPaced) {
    RunningServer running({.rate_per_client = 1, .rate_burst = 1, .rate_delay_max = milliseconds(0)});
    RawClient client(running.operations_port);
    for (int i = 0; i < 10; ++i) {
        client.get("/a");
        EXPECT_EQ(client.reply().status, 200u);
    }
}

TEST(HttpServer, SlowHeadersAndIdleConnectionsEnd) {
    RunningServer running({.header_time = seconds(1), .idle_time = seconds(1)});
    RawClient slow(running.port);
    slow.send("GET / HT");
    RawClient idle(running.port);
    idle.get("/a");
    EXPECT_EQ(idle.reply().status, 200u);
    const auto start = Clock::now();
    EXPECT_TRUE(slow.closed());
    EXPECT_TRUE(idle.closed());
    EXPECT_LT(Clock::now() - start, seconds(5));
    // The peer sees the end a moment before the server has counted it.
    for (const auto end = Clock::now() + seconds(5); running.connections() != 0 && Clock::now() < end;)
        std::this_thread::sleep_for(milliseconds(5));
    EXPECT_EQ(running.connections(), 0u);
}

TEST(HttpServer, BoundsConnections) {
    RunningServer running({.max_connections = 4});
    RawClient a(running.port);
    RawClient b(running.port);
    a.get("/a");
    b.get("/a");
    EXPECT_EQ(a.reply().status, 200u);
    EXPECT_EQ(b.reply().status, 200u);
    // One address may have half of them.
    RawClient c(running.port);
    const Reply refused = c.reply();
    EXPECT_EQ(refused.status, 503u);
    EXPECT_NE(refused.head.find("Retry-After: 1"), std::string::npos);
    EXPECT_TRUE(c.closed());
}

TEST(HttpServer, AcceptsManyConnectionsInOneTurn) {
    constexpr std::size_t kMany = 100;
    asio::io_context loop(1);
    SmallService service(loop);
    Server server(loop, service, {});
    const std::uint16_t port = server.listen("127.0.0.1", 0, Listener::Api, nullptr).value();
    std::vector<std::unique_ptr<RawClient>> clients;
    for (std::size_t i = 0; i < kMany; ++i)
        clients.push_back(std::make_unique<RawClient>(port));
    std::size_t turns = 0;
    while (server.connections() < kMany && turns < 2 * kMany && loop.poll_one() == 1)
        ++turns;
    EXPECT_EQ(server.connections(), kMany);
    // One at a time, each would wait for a turn in which those before it are served.
    EXPECT_LT(turns, kMany);
}

TEST(HttpServer, StreamsEventsAndCloses) {
    RunningServer running;
    RawClient client(running.port);
    client.get("/ticks");
    const std::string all = client.rest();
    EXPECT_NE(all.find("Connection: close"), std::string::npos);
    EXPECT_EQ(all.find("Content-Length"), std::string::npos);
    EXPECT_NE(all.find("\r\n\r\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"), std::string::npos) << all;
    EXPECT_EQ(running.service.streams, 0);
}

TEST(HttpServer, QuietStreamsGetComments) {
    RunningServer running({.comment_interval = seconds(1)});
    RawClient client(running.port);
    client.get("/endless");
    client.reply();
    std::this_thread::sleep_for(milliseconds(2500));
    running.stop(seconds(3));
    const std::string all = client.rest();
    EXPECT_EQ(all.find("data: 1\n\n:\n\n:\n\n"), 0u) << all;
    EXPECT_EQ(running.service.streams, 0);
}

TEST(HttpServer, AClientThatLeavesAStreamIsNoticedAtOnce) {
    RunningServer running;
    {
        RawClient client(running.port);
        client.get("/endless");
        client.reply();
        EXPECT_EQ(running.service.streams, 1);
    }
    const auto start = Clock::now();
    while (running.service.streams > 0 && Clock::now() - start < seconds(5))
        std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(running.service.streams, 0);
    EXPECT_LT(Clock::now() - start, seconds(2));
}

TEST(HttpServer, StreamsAreNotRequestsInFlight) {
    RunningServer running({.max_inflight_requests = 2});
    std::vector<std::unique_ptr<RawClient>> streams;
    for (int i = 0; i < 5; ++i) {
        streams.push_back(std::make_unique<RawClient>(running.port));
        streams.back()->get("/endless");
        EXPECT_EQ(streams.back()->reply().status, 200u);
    }
    RawClient client(running.port);
    client.get("/a");
    EXPECT_EQ(client.reply().status, 200u);
}

TEST(HttpServer, StopsWhenTheLastAnswerIsOut) {
    RunningServer running;
    RawClient idle(running.port);
    idle.get("/a");
    EXPECT_EQ(idle.reply().status, 200u);
    RawClient busy(running.port);
    busy.get("/slow");
    std::this_thread::sleep_for(milliseconds(100));
    const auto start = Clock::now();
    EXPECT_EQ(running.stop(seconds(5)), 0u);
    EXPECT_LT(Clock::now() - start, seconds(2));
    EXPECT_TRUE(idle.closed());
    const Reply last = busy.reply();
    EXPECT_EQ(last.status, 200u);
    EXPECT_NE(last.head.find("Connection: close"), std::string::npos);
    EXPECT_THROW(RawClient{running.port}, boost::system::system_error);
}

TEST(HttpServer, SaysWhyItCannotListen) {
    RunningServer running;
    asio::io_context loop;
    SmallService service(loop);
    Server second(loop, service, {});
    const auto taken = second.listen("127.0.0.1", running.port, Listener::Api, nullptr);
    ASSERT_FALSE(taken.has_value());
    EXPECT_EQ(taken.error().code, Errc::Io);
    EXPECT_NE(taken.error().detail.find("Address already in use"), std::string::npos);
    EXPECT_FALSE(second.listen("not an address", 0, Listener::Api, nullptr).has_value());
}

} // namespace
} // namespace keymeld::http::test
