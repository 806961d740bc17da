#include "appliance/http/server.h"

#include <ctime>
#include <list>
#include <unordered_map>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>

#include "appliance/http/byte_stream.h"
#include "appliance/http/rate_limiter.h"
#include "appliance/http/request_parser.h"
#include "core/base/log.h"
#include "core/base/stopwatch.h"

namespace keymeld::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using std::chrono::seconds;
constexpr std::size_t kReadBytes = 16 * 1024;
/// Room for a usual request. Room is cleared before it is read into, so there is not more of it than is used.
constexpr std::size_t kFirstReadBytes = 4 * 1024;
constexpr int kAcceptAtOnce = 64;
/// Bodies under way together may take this many times the largest single one.
constexpr std::uint64_t kBodiesAtOnce = 64;

/// Counts one thing up for as long as it lives.
class Count {
  public:
    explicit Count(std::size_t& counter) : m_counter(&counter) { ++counter; }
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    ~Count() { --*m_counter; }

  private:
    std::size_t* m_counter;
};

std::string address_key(const tcp::endpoint& peer) {
    if (peer.address().is_v4())
        return peer.address().to_string();
    const auto bytes = peer.address().to_v6().to_bytes();
    std::uint8_t raw[16];
    std::copy(bytes.begin(), bytes.end(), raw);
    return client_key_of_v6(raw);
}

/// RFC 9110 date, made once a second.
const std::string& http_date() {
    static std::string text;
    static std::time_t made = 0;
    const std::time_t now = std::time(nullptr);
    if (now != made) {
        std::tm parts{};
        gmtime_r(&now, &parts);
        static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        char out[64];
        std::snprintf(out, sizeof out, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[parts.tm_wday], parts.tm_mday,
                      kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
        text = out;
        made = now;
    }
    return text;
}

std::string_view body_of(const Response& response) { return response.file ? *response.file : response.body; }

std::string write_head(const Response& response, bool close) {
    std::string head;
    head.reserve(512);
    head.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
    head.append(reason_phrase(response.status)).append("\r\nDate: ").append(http_date()).append("\r\n");
    if (!response.content_type.empty())
        head.append("Content-Type: ").append(response.content_type).append("\r\n");
    if (!response.stream && response.status != 204)
        head.append("Content-Length: ").append(std::to_string(body_of(response).size())).append("\r\n");
    for (const auto& [name, value] : response.headers)
        head.append(name).append(": ").append(value).append("\r\n");
    if (close)
        head.append("Connection: close\r\n");
    head.append("\r\n");
    return head;
}

Error overloaded(const char* what) {
    return fail(Errc::Overloaded, std::string("too many ") + what + ", try again").with("retry_after", "1");
}

} // namespace

class Server::Impl : public std::enable_shared_from_this<Server::Impl> {
  public:
    Impl(asio::io_context& loop, Service& service, ServerLimits limits)
        : m_loop(loop), m_service(service), m_limits(limits), m_sweep(loop), m_drained(loop),
          m_limiter({.rate = limits.rate_per_client,
                     .burst = std::max(limits.rate_burst, 1u),
                     .delay_max = limits.rate_delay_max}) {}

    Result<std::uint16_t> listen(const std::string& host, std::uint16_t port, Listener listener,
                                 std::shared_ptr<TlsContext> tls);
    void stop();
    Async<std::size_t> drain(SteadyTime deadline);

    std::size_t connections() const { return m_connections.size(); }
    std::size_t in_flight() const { return m_in_flight; }
    std::chrono::nanoseconds busy() const { return m_busy.total(); }

  private:
    struct Acceptor {
        tcp::acceptor socket;
        Listener listener;
        std::shared_ptr<TlsContext> tls;
    };
    struct Connection {
        std::unique_ptr<ByteStream> stream;
        Listener listener = Listener::Api;
        std::string address;
        std::string client;            ///< address, or certificate
        SteadyTime deadline = SteadyTime::max();
        bool idle = true;              ///< may be closed at once when the server stops
        bool streaming = false;
        bool dead = false;             ///< the peer is gone or deaf: nothing to say good-bye to
        bool unread = false;           ///< the peer may still be sending what will not be read
        std::string buffer;            ///< bytes read and not yet used
        std::size_t used = 0;
    };
    using Connections = std::list<Connection>;
    /// Notices that the peer of a stream has gone, which a server that only writes learns late.
    struct Watch {
        explicit Watch(asio::io_context& loop) : over(loop, SteadyTime::max()) {}
        bool gone = false;
        bool ended = false;
        asio::steady_timer over; ///< cancelled when the watch has ended
    };

    static Async<void> accept(std::shared_ptr<Impl> self, std::size_t index);
    static Async<void> run(std::shared_ptr<Impl> self, Connections::iterator at);
    void admit(tcp::socket socket, const Acceptor& acceptor);
    void admit_waiting(Acceptor& acceptor);
    Async<void> serve(Connection& connection);
    Async<bool> read_request(Connection& connection, RequestParser& parser);
    Async<bool> serve_request(Connection& connection, RequestParser& parser);
    Async<bool> answer_request(Connection& connection, RequestParser& parser, Response& response);
    Async<bool> feed(Connection& connection, RequestParser& parser, std::optional<Error>& bad);
    Async<Response> answer(Request request);
    Async<bool> send(Connection& connection, Response& response, bool head_only, bool close);
    Async<void> send_stream(Connection& connection, EventStream& stream);
    Async<void> send_events(Connection& connection, EventStream& stream, const Watch& watch);
    static Async<void> watch_peer(Connection& connection, EventStream& stream, Watch& watch);
    Async<void> linger(Connection& connection);
    void forget(Connections::iterator at);
    void set_deadline(Connection& connection, seconds time) { connection.deadline = Clock::now() + time; }
    void start_sweep();
    static Async<void> sweep(std::shared_ptr<Impl> self);

    asio::io_context& m_loop;
    Service& m_service;
    ServerLimits m_limits;
    std::vector<std::unique_ptr<Acceptor>> m_acceptors;
    Connections m_connections;
    std::unordered_map<std::string, std::uint32_t> m_per_address;
    std::unordered_map<std::string, std::uint32_t> m_in_flight_of;
    asio::steady_timer m_sweep;
    asio::steady_timer m_drained;
    bool m_sweeping = false;
    bool m_stopping = false;
    std::size_t m_in_flight = 0;
    BusyTime m_busy;
    std::uint64_t m_body_bytes = 0;
    RateLimiter m_limiter;
};

Result<std::uint16_t> Server::Impl::listen(const std::string& host, std::uint16_t port, Listener listener,
                                           std::shared_ptr<TlsContext> tls) {
    const std::string where = host + ":" + std::to_string(port);
    boost::system::error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (error)
        return fail(Errc::ConfigInvalid, "cannot listen on " + where + ": not an address");
    const tcp::endpoint endpoint(address, port);
    auto acceptor = std::make_unique<Acceptor>(Acceptor{tcp::acceptor(m_loop), listener, std::move(tls)});
    const auto step = [&](auto&& call) {
        if (!error)
            call();
    };
    step([&] { acceptor->socket.open(endpoint.protocol(), error); });
    step([&] { acceptor->socket.set_option(tcp::acceptor::reuse_address(true), error); });
    if (endpoint.protocol() == tcp::v6())
        step([&] { acceptor->socket.set_option(asio::ip::v6_only(true), error); });
    step([&] { acceptor->socket.bind(endpoint, error); });
    step([&] { acceptor->socket.listen(asio::socket_base::max_listen_connections, error); });
    step([&] { acceptor->socket.non_blocking(true, error); });
    if (error)
        return fail(Errc::Io, "cannot listen on " + where + ": " + error.message() +
                                  "; set another port, or stop the program that has this one");
    const std::uint16_t bound = acceptor->socket.local_endpoint().port();
    m_acceptors.push_back(std::move(acceptor));
    asio::co_spawn(m_loop, accept(shared_from_this(), m_acceptors.size() - 1), asio::detached);
    return bound;
}

Async<void> Server::Impl::accept(std::shared_ptr<Impl> self, std::size_t index) {
    Acceptor& acceptor = *self->m_acceptors[index];
    while (!self->m_stopping) {
        auto [error, socket] = co_await acceptor.socket.async_accept(kValues);
        if (self->m_stopping)
            co_return;
        if (!error) {
            self->admit(std::move(socket), acceptor);
            self->admit_waiting(acceptor);
            continue;
        }
        if (error == asio::error::operation_aborted)
            co_return;
        // Out of descriptors, most likely: connections that end give some back.
        log::warn("http", "accept failed", {{"why", error.message()}});
        asio::steady_timer pause(self->m_loop, std::chrono::milliseconds(200));
        const auto [ignored] = co_await pause.async_wait(kValues);
        static_cast<void>(ignored);
    }
}

/// A turn of a busy loop is long, and the kernel drops what waits too long to be accepted; a client then tries again after one, three and seven
/// seconds. So not one connection a turn.
void Server::Impl::admit_waiting(Acceptor& acceptor) {
    for (int more = 0; more < kAcceptAtOnce && !m_stopping; ++more) {
        boost::system::error_code error;
        tcp::socket socket(m_loop);
        acceptor.socket.accept(socket, error);
        if (error)
            return; // none waits; anything worse is met again by the one that waits
        admit(std::move(socket), acceptor);
    }
}

void Server::Impl::admit(tcp::socket socket, const Acceptor& acceptor) {
    boost::system::error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error)
        return;
    std::string address = address_key(peer);
    const auto known = m_per_address.find(address);
    const std::uint32_t of_client = known == m_per_address.end() ? 0 : known->second;
    // One address may take half, so that it alone cannot shut out the others.
    if (m_connections.size() >= m_limits.max_connections || of_client >= (m_limits.max_connections + 1) / 2) {
        if (!acceptor.tls) {
            const Response response = m_service.failure({}, overloaded("connections"));
            const std::string all = write_head(response, true) + response.body;
            socket.non_blocking(true, error);
            socket.write_some(asio::buffer(all), error);
        }
        return;
    }
    socket.set_option(tcp::no_delay(true), error);
    m_connections.emplace_back();
    const auto at = std::prev(m_connections.end());
    at->stream = acceptor.tls ? acceptor.tls->wrap(std::move(socket)) : make_plain_stream(std::move(socket));
    at->listener = acceptor.listener;
    at->address = std::move(address);
    at->client = at->address;
    ++m_per_address[at->address];
    start_sweep();
    asio::co_spawn(m_loop, run(shared_from_this(), at), asio::detached);
}

/// The top of one connection: nothing leaves it, and the connection is forgotten on every path.
Async<void> Server::Impl::run(std::shared_ptr<Impl> self, Connections::iterator at) {
    try {
        co_await self->serve(*at);
    } catch (const std::exception& e) {
        log::error("http", "connection ended by an exception", {{"what", e.what()}});
    }
    self->forget(at);
}

void Server::Impl::forget(Connections::iterator at) {
    at->stream->close();
    if (const auto found = m_per_address.find(at->address); found != m_per_address.end() && --found->second == 0)
        m_per_address.erase(found);
    m_connections.erase(at);
    if (m_connections.empty()) {
        m_drained.cancel();
        m_sweep.cancel();
    }
}

Async<void> Server::Impl::serve(Connection& connection) {
    set_deadline(connection, m_limits.header_time);
    const bool through = co_await connection.stream->handshake();
    if (!through)
        co_return;
    if (std::string identity = connection.stream->identity(); !identity.empty())
        connection.client = "certificate " + identity;
    bool more = true;
    while (more) {
        RequestParser parser({m_limits.max_header_bytes, m_limits.max_body_bytes});
        more = co_await serve_request(connection, parser);
        more = more && !m_stopping;
    }
    if (!connection.dead) {
        set_deadline(connection, seconds(5));
        co_await connection.stream->finish();
        if (connection.unread)
            co_await linger(connection);
    }
}

/// Closing a socket with unread input resets it, and the client may lose the answer: read a little first.
Async<void> Server::Impl::linger(Connection& connection) {
    std::size_t total = 0;
    connection.buffer.resize(kReadBytes);
    while (total < 4 * m_limits.max_body_bytes) {
        const std::size_t n = co_await connection.stream->read_some({connection.buffer.data(), connection.buffer.size()});
        if (n == 0)
            co_return;
        total += n;
    }
}

/// Gives the parser what is buffered, reading more first when there is nothing. False: the stream is over.
Async<bool> Server::Impl::feed(Connection& connection, RequestParser& parser, std::optional<Error>& bad) {
    if (connection.used == connection.buffer.size()) {
        connection.buffer.clear();
        connection.used = 0;
    }
    const std::string_view buffered = std::string_view(connection.buffer).substr(connection.used);
    if (!buffered.empty()) {
        Result<std::size_t> used = 0;
        {
            const Stopwatch busy(m_busy);
            used = parser.feed(buffered);
        }
        if (!used) {
            bad = std::move(used).error();
            co_return true;
        }
        connection.used += *used;
        if (*used > 0)
            co_return true;
    }
    // The parser wants more than there is. A header part or chunk line longer than this is an attack.
    const std::size_t left = connection.buffer.size() - connection.used;
    if (left > m_limits.max_header_bytes + kReadBytes) {
        bad = fail(Errc::ValidationFailed, "request header is too large");
        co_return true;
    }
    connection.buffer.erase(0, connection.used);
    connection.used = 0;
    const std::size_t wanted = left == 0 ? kFirstReadBytes : kReadBytes;
    connection.buffer.resize(left + wanted);
    const std::size_t n = co_await connection.stream->read_some({connection.buffer.data() + left, wanted});
    connection.buffer.resize(left + n);
    co_return n > 0;
}

Async<bool> Server::Impl::serve_request(Connection& connection, RequestParser& parser) {
    std::optional<Error> bad;
    connection.idle = connection.used == connection.buffer.size();
    set_deadline(connection, connection.idle ? m_limits.idle_time : m_limits.header_time);
    if (connection.idle && m_stopping)
        co_return false;
    while (!parser.header_done() && !bad) {
        const bool alive = co_await feed(connection, parser, bad);
        if (!alive) {
            connection.dead = true;
            co_return false;
        }
        if (connection.idle) {
            connection.idle = false;
            set_deadline(connection, m_limits.header_time);
        }
    }
    if (bad) {
        connection.unread = true;
        Response response = m_service.failure(parser.request(), *bad);
        co_await send(connection, response, false, true);
        co_return false;
    }
    Response response;
    const bool go_on = co_await answer_request(connection, parser, response);
    if (response.stream)
        co_await send_stream(connection, *response.stream);
    co_return go_on;
}

/// From the end of the header to the end of the answer, but for event streams: of these only the head is sent. False: the connection ends.
Async<bool> Server::Impl::answer_request(Connection& connection, RequestParser& parser, Response& response) {
    // The request counts from here: pacing, body, handling and writing.
    std::optional<Error> bad;
    const Count in_flight(m_in_flight);
    auto& of_client = m_in_flight_of[connection.client];
    struct Release {
        Impl& server;
        const std::string& client;
        ~Release() {
            if (const auto found = server.m_in_flight_of.find(client); --found->second == 0)
                server.m_in_flight_of.erase(found);
        }
    };
    ++of_client;
    const Release release{*this, connection.client};
    connection.deadline = SteadyTime::max();

    std::optional<Error> refused;
    if (m_in_flight > m_limits.max_inflight_requests)
        refused = overloaded("requests at the same time");
    else if (of_client > (m_limits.max_inflight_requests + 1) / 2)
        refused = fail(Errc::RateLimited, "too many requests of this client at the same time").with("retry_after", "1");
    if (!refused && connection.listener == Listener::Api) {
        const auto verdict = m_limiter.admit(connection.client, Clock::now());
        if (verdict.refused) {
            const auto wait = std::chrono::ceil<seconds>(verdict.delay).count();
            refused = fail(Errc::RateLimited, "request rate of this client is over the limit")
                          .with("retry_after", std::to_string(std::max<std::int64_t>(wait, 1)));
        } else if (verdict.delay.count() > 0) {
            asio::steady_timer pace(m_loop, verdict.delay);
            const auto [ignored] = co_await pace.async_wait(kValues);
            static_cast<void>(ignored);
        }
    }

    if (parser.expects_continue() && !parser.done() && !refused) {
        set_deadline(connection, m_limits.write_time);
        const bool sent = co_await connection.stream->write("HTTP/1.1 100 Continue\r\n\r\n", {});
        if (!sent) {
            connection.dead = true;
            co_return false;
        }
    }
    set_deadline(connection, m_limits.body_time);
    struct BodyBytes {
        std::uint64_t& total;
        std::uint64_t counted = 0;
        void count(std::uint64_t now) {
            total += now - counted;
            counted = now;
        }
        ~BodyBytes() { total -= counted; }
    } body{m_body_bytes};
    while (!parser.done() && !bad && !(refused && parser.expects_continue())) {
        const bool alive = co_await feed(connection, parser, bad);
        if (!alive) {
            connection.dead = true;
            co_return false;
        }
        body.count(parser.request().body.size());
        if (m_body_bytes > kBodiesAtOnce * m_limits.max_body_bytes) {
            refused = overloaded("bytes of requests at the same time");
            break;
        }
    }
    const bool head_only = parser.is_head();
    bool close = parser.must_close() || !parser.done() || bad;
    connection.unread = !parser.done() || parser.must_close();
    if (bad || refused) {
        response = m_service.failure(parser.request(), bad ? *bad : *refused);
    } else {
        Request request = parser.take();
        request.listener = connection.listener;
        request.client = connection.client;
        connection.deadline = SteadyTime::max(); // the engine keeps the request's own deadline
        response = co_await answer(std::move(request));
    }
    // The end of a stream is the end of the connection.
    close = close || m_stopping || response.stream;
    const bool sent = co_await send(connection, response, head_only, close);
    if (!sent || head_only)
        response.stream.reset();
    co_return sent && !close;
}

Async<Response> Server::Impl::answer(Request request) {
    try {
        co_return co_await m_service.handle(std::move(request));
    } catch (const std::exception& e) {
        log::error("http", "request ended by an exception", {{"what", e.what()}});
    }
    co_return m_service.failure({}, fail(Errc::Internal, "exception"));
}

Async<bool> Server::Impl::send(Connection& connection, Response& response, bool head_only, bool close) {
    set_deadline(connection, m_limits.write_time);
    std::string head;
    std::string_view body;
    std::size_t done = 0;
    {
        const Stopwatch busy(m_busy);
        head = write_head(response, close);
        if (!head_only && response.status != 204 && !response.stream)
            body = body_of(response);
        done = connection.stream->write_now(head, body);
    }
    if (done == head.size() + body.size())
        co_return true;
    const std::string_view rest_of_head = std::string_view(head).substr(std::min(done, head.size()));
    const std::string_view rest_of_body = body.substr(done - std::min(done, head.size()));
    const bool sent = co_await connection.stream->write(rest_of_head, rest_of_body);
    connection.dead = connection.dead || !sent;
    co_return sent;
}

Async<void> Server::Impl::send_stream(Connection& connection, EventStream& stream) {
    Watch watch(m_loop);
    connection.streaming = true;
    asio::co_spawn(m_loop, watch_peer(connection, stream, watch), asio::detached);
    std::exception_ptr thrown;
    try {
        co_await send_events(connection, stream, watch);
    } catch (...) {
        thrown = std::current_exception();
    }
    connection.streaming = false;
    connection.dead = connection.dead || watch.gone;
    if (!watch.ended) {
        connection.stream->cancel();
        const auto [ignored] = co_await watch.over.async_wait(kValues);
        static_cast<void>(ignored);
    }
    if (thrown)
        std::rethrow_exception(thrown);
}

Async<void> Server::Impl::send_events(Connection& connection, EventStream& stream, const Watch& watch) {
    while (!m_stopping && !watch.gone) {
        connection.deadline = SteadyTime::max();
        const SteadyTime until = Clock::now() + m_limits.comment_interval;
        const auto events = co_await stream.next(until);
        if (!events || watch.gone)
            co_return;
        if (events->empty() && !m_stopping && Clock::now() < until) {
            // A source that has nothing to say and does not wait must not make this loop spin.
            asio::steady_timer pause(m_loop, std::min(until, Clock::now() + seconds(1)));
            const auto [ignored] = co_await pause.async_wait(kValues);
            static_cast<void>(ignored);
        }
        set_deadline(connection, m_limits.write_time);
        const std::string_view piece = events->empty() ? std::string_view(":\n\n") : std::string_view(*events);
        const bool sent = co_await connection.stream->write(piece, {});
        if (!sent) {
            connection.dead = true;
            co_return;
        }
    }
}

/// Its arguments live until it has ended: send_stream() sees to that.
Async<void> Server::Impl::watch_peer(Connection& connection, EventStream& stream, Watch& watch) {
    try {
        char ignored[256];
        while (!watch.gone) {
            const std::size_t n = co_await connection.stream->read_some(ignored);
            watch.gone = n == 0;
        }
        // Also when send_stream() has ended the watch, but then it makes no difference any more.
        stream.abandon();
    } catch (const std::exception& e) {
        log::error("http", "watch ended by an exception", {{"what", e.what()}});
    }
    watch.ended = true;
    watch.over.cancel();
}

void Server::Impl::start_sweep() {
    if (m_sweeping)
        return;
    m_sweeping = true;
    asio::co_spawn(m_loop, sweep(shared_from_this()), asio::detached);
}

/// Closes what is past its deadline; runs only while there are connections.
Async<void> Server::Impl::sweep(std::shared_ptr<Impl> self) {
    while (!self->m_connections.empty()) {
        self->m_sweep.expires_after(seconds(1));
        const auto [ignored] = co_await self->m_sweep.async_wait(kValues);
        static_cast<void>(ignored);
        const SteadyTime now = Clock::now();
        for (Connection& connection : self->m_connections)
            if (connection.deadline < now)
                connection.stream->close();
    }
    self->m_sweeping = false;
}

void Server::Impl::stop() {
    m_stopping = true;
    boost::system::error_code ignored;
    for (const auto& acceptor : m_acceptors)
        acceptor->socket.close(ignored);
    for (Connection& connection : m_connections)
        if (connection.idle || connection.streaming)
            connection.stream->close();
}

Async<std::size_t> Server::Impl::drain(SteadyTime deadline) {
    if (!m_connections.empty()) {
        m_drained.expires_at(deadline);
        const auto [ignored] = co_await m_drained.async_wait(kValues);
        static_cast<void>(ignored);
    }
    const std::size_t left = m_connections.size();
    for (Connection& connection : m_connections)
        connection.stream->close();
    co_return left;
}

Server::Server(asio::io_context& loop, Service& service, ServerLimits limits)
    : m_impl(std::make_shared<Impl>(loop, service, limits)) {}
Server::~Server() = default;

Result<std::uint16_t> Server::listen(const std::string& host, std::uint16_t port, Listener listener,
                                     std::shared_ptr<TlsContext> tls) {
    return m_impl->listen(host, port, listener, std::move(tls));
}
void Server::stop() { m_impl->stop(); }
Async<std::size_t> Server::drain(SteadyTime deadline) { return m_impl->drain(deadline); }
std::size_t Server::connections() const { return m_impl->connections(); }
std::size_t Server::requests_in_flight() const { return m_impl->in_flight(); }
std::chrono::nanoseconds Server::busy() const { return m_impl->busy(); }

} // namespace keymeld::http
