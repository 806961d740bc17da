// A server with a small service on a loop thread of its own, and a client that speaks raw bytes to it.
#pragma once

#include <atomic>
#include <thread>

#include <sys/time.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include "appliance/http/server.h"

namespace keymeld::http::test {

namespace asio = boost::asio;
using asio::ip::tcp;

/// Sends `count` events, one each 20 ms, and then is quiet until it is stopped, or over if `ends`.
class Ticks final : public EventStream {
  public:
    Ticks(asio::io_context& loop, int count, bool ends, std::atomic<int>& open)
        : m_timer(loop), m_count(count), m_ends(ends), m_open(open) {
        ++m_open;
    }
    ~Ticks() override { m_open -= m_abandoned ? 0 : 1; }
    Async<std::optional<std::string>> next(SteadyTime until) override {
        if (m_sent < m_count) {
            m_timer.expires_after(std::chrono::milliseconds(20));
            co_await m_timer.async_wait(asio::use_awaitable);
            co_return "data: " + std::to_string(++m_sent) + "\n\n";
        }
        if (m_ends)
            co_return std::nullopt;
        m_timer.expires_at(until);
        co_await m_timer.async_wait(asio::use_awaitable);
        co_return std::string();
    }

    void abandon() override { --m_open; m_abandoned = true; }

  private:
    asio::steady_timer m_timer;
    bool m_abandoned = false;
    int m_count;
    bool m_ends;
    int m_sent = 0;
    std::atomic<int>& m_open;
};

class SmallService final : public Service {
  public:
    explicit SmallService(asio::io_context& loop) : m_loop(loop) {}

    Async<Response> handle(Request request) override {
        ++handled;
        Response response;
        response.content_type = "text/plain";
        if (request.path == "/slow") {
            asio::steady_timer timer(m_loop, std::chrono::milliseconds(300));
            co_await timer.async_wait(asio::use_awaitable);
        }
        if (request.path == "/throw")
            throw std::runtime_error("a defect");
        if (request.path == "/empty")
            response.status = 204;
        else if (request.path == "/ticks")
            response.stream = std::make_unique<Ticks>(m_loop, 3, true, streams);
        else if (request.path == "/endless")
            response.stream = std::make_unique<Ticks>(m_loop, 1, false, streams);
        else if (request.path == "/file")
            response.file = std::make_shared<const std::string>(100'000, 'f');
        else
            response.body = request.method + " " + request.path + " " + request.client + " " +
                            (request.listener == Listener::Api ? "api" : "operations") + " " +
                            (request.body_too_large ? "too large" : request.body);
        co_return response;
    }

    Response failure(const Request& request, const Error& error) override {
        Response response;
        response.status = error.code == Errc::RateLimited    ? 429
                          : error.code == Errc::Overloaded   ? 503
                          : error.code == Errc::Internal     ? 500
                                                             : 400;
        response.body = std::string(errc_name(error.code)) + " " + request.path;
        if (const auto after = error.facts.find("retry_after"); after != error.facts.end())
            response.headers.emplace_back("Retry-After", after->second);
        return response;
    }

    std::atomic<int> handled = 0;
    std::atomic<int> streams = 0;

  private:
    asio::io_context& m_loop;
};

/// Ends with everything that it started.
class RunningServer {
  public:
    explicit RunningServer(ServerLimits limits = {}, std::shared_ptr<TlsContext> tls = nullptr)
        : service(m_loop), server(m_loop, service, limits) {
        port = server.listen("127.0.0.1", 0, Listener::Api, tls).value();
        operations_port = server.listen("127.0.0.1", 0, Listener::Operations, nullptr).value();
        m_thread = std::thread([this] {
            const auto keep = asio::make_work_guard(m_loop);
            m_loop.run();
        });
    }
    ~RunningServer() {
        stop(std::chrono::milliseconds(500));
        m_loop.stop();
        m_thread.join();
    }
    std::size_t stop(std::chrono::milliseconds grace) {
        return asio::co_spawn(
                   m_loop,
                   [](Server& s, std::chrono::milliseconds g) -> Async<std::size_t> {
                       s.stop();
                       co_return co_await s.drain(std::chrono::steady_clock::now() + g);
                   }(server, grace),
                   asio::use_future)
            .get();
    }
    std::size_t connections() {
        return asio::co_spawn(
                   m_loop, [](Server& s) -> Async<std::size_t> { co_return s.connections(); }(server), asio::use_future)
            .get();
    }

  private:
    asio::io_context m_loop{1};

  public:
    SmallService service;
    Server server;
    std::uint16_t port = 0;
    std::uint16_t operations_port = 0;

  private:
    std::thread m_thread;
};

struct Reply {
    unsigned status = 0;
    std::string head;
    std::string body;
};

/// Blocking, with a time limit so that no test hangs.
class RawClient {
  public:
    explicit RawClient(std::uint16_t port) : m_socket(m_loop) {
        m_socket.connect({asio::ip::address_v4::loopback(), port});
        const timeval limit{10, 0};
        setsockopt(m_socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    void send(std::string_view text) {
        boost::system::error_code ignored;
        asio::write(m_socket, asio::buffer(text.data(), text.size()), ignored);
    }
    void get(const std::string& path, const std::string& more = "") {
        send("GET " + path + " HTTP/1.1\r\nHost: a\r\n" + more + "\r\n");
    }
    /// One answer with a Content-Length or none. status 0: the connection ended before.
    Reply reply(bool head_only = false) {
        Reply out;
        while (m_buffer.find("\r\n\r\n") == std::string::npos)
            if (!more())
                return out;
        const std::size_t end = m_buffer.find("\r\n\r\n") + 4;
        out.head = m_buffer.substr(0, end);
        m_buffer.erase(0, end);
        out.status = static_cast<unsigned>(std::stoul(out.head.substr(9, 3)));
        const std::size_t at = out.head.find("Content-Length: ");
        const std::size_t size = at == std::string::npos || head_only ? 0 : std::stoul(out.head.substr(at + 16));
        while (m_buffer.size() < size)
            if (!more())
                return out;
        out.body = m_buffer.substr(0, size);
        m_buffer.erase(0, size);
        return out;
    }
    /// Everything until the server closes.
    std::string rest() {
        while (more()) {
        }
        return std::exchange(m_buffer, {});
    }
    bool closed() { return m_buffer.empty() && !more(); }
    void close() { m_socket.close(); }

  private:
    bool more() {
        char data[4096];
        boost::system::error_code error;
        // Not through Asio's own wait, which would ignore the time limit.
        const auto n = ::recv(m_socket.native_handle(), data, sizeof data, 0);
        if (n <= 0)
            return false;
        m_buffer.append(data, static_cast<std::size_t>(n));
        return true;
    }

    asio::io_context m_loop;
    tcp::socket m_socket;
    std::string m_buffer;
};

} // namespace keymeld::http::test
