#include "core/protocol/signer_listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/base/log.h"
#include "core/protocol/enclave.pb.h"
#include "core/protocol/failure.h"
#include "core/protocol/hello.h"
#include "core/protocol/message.h"
#include "core/protocol/stream_endpoint.h"

namespace keymeld::protocol {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::steady_clock;
using StreamSocket = asio::generic::stream_protocol::socket;

class SignerListener::Impl : public std::enable_shared_from_this<SignerListener::Impl> {
  public:
    Impl(asio::io_context& loop, Dispatcher dispatcher, ListenerOptions options)
        : m_acceptor(loop), m_retry(loop), m_dispatcher(std::move(dispatcher)), m_options(options) {}

    Status listen(const Endpoint& endpoint);
    void accept();
    void stop();
    Endpoint local_endpoint() const { return m_local; }
    ListenerCounters counters() const {
        ListenerCounters counters = m_counters;
        counters.open = m_streams.size();
        return counters;
    }

  private:
    class Stream;

    void on_accept(StreamSocket socket);
    void make_room();
    void remove(const Stream* stream);
    /// Runs the dispatcher and leaves an answer that can be sent.
    void dispatch(std::uint64_t stream, const wire::Request& request, wire::Response& response);

    asio::basic_socket_acceptor<asio::generic::stream_protocol> m_acceptor;
    asio::steady_timer m_retry;
    Dispatcher m_dispatcher;
    ListenerOptions m_options;
    Endpoint m_local;
    std::string m_socket_file;
    bool m_stopped = false;
    std::vector<std::shared_ptr<Stream>> m_streams;
    std::uint64_t m_hellos = 0;
    std::uint64_t m_activity = 0;
    ListenerCounters m_counters;
    // Reused from frame to frame.
    wire::Request m_request;
    wire::Response m_response;
};

// ---- One stream -----------------------------------------------------------------------------------------------------

class SignerListener::Impl::Stream : public std::enable_shared_from_this<Stream> {
  public:
    Stream(std::shared_ptr<Impl> listener, StreamSocket socket)
        : m_listener(std::move(listener)), m_options(m_listener->m_options), m_socket(std::move(socket)),
          m_hello_timer(m_socket.get_executor()), m_reader(m_options.max_frame), m_writer(m_options.max_frame) {}

    void start() {
        error_code error;
        m_socket.non_blocking(true, error);
        if (error)
            return close();
        const int family = m_listener->m_local.protocol().family();
        if (family == AF_INET || family == AF_INET6)
            m_socket.set_option(asio::ip::tcp::no_delay(true), error);
        m_hello_timer.expires_after(m_options.hello_timeout);
        m_hello_timer.async_wait([self = shared_from_this()](error_code failed) {
            if (!failed && self->m_open)
                self->refuse();
        });
        m_last_active = ++m_listener->m_activity;
        read();
    }

    void close() {
        if (!m_open)
            return;
        m_open = false;
        error_code ignored;
        m_socket.close(ignored);
        m_hello_timer.cancel();
        m_listener->remove(this);
    }

    bool greeted() const { return m_id != 0; }
    std::uint64_t last_active() const { return m_last_active; }

  private:
    void refuse() {
        ++m_listener->m_counters.refused;
        close();
    }

    void read() {
        const MutableByteView space = m_reader.prepare();
        m_socket.async_read_some(asio::buffer(space.data(), space.size()),
                                 [self = shared_from_this()](error_code error, std::size_t size) {
                                     if (!self->m_open)
                                         return;
                                     if (error)
                                         return self->close();
                                     self->m_reader.commit(size);
                                     self->m_last_active = ++self->m_listener->m_activity;
                                     self->run();
                                 });
    }

    /// Runs every complete frame that has arrived, as long as the peer takes the answers; then reads on.
    void run() {
        auto flushed = steady_clock::now();
        while (m_open && !m_closing) {
            if (m_writer.unsent().size() >= m_options.max_output) {
                flush();
                if (m_waiting_writable) {
                    m_stalled = true;
                    return;
                }
                continue;
            }
            auto payload = m_reader.next();
            if (!payload)
                return refuse();
            if (!*payload)
                break;
            answer(**payload);
            if (const auto now = steady_clock::now(); now - flushed >= m_options.flush_after) {
                flush();
                flushed = now;
            }
        }
        if (m_open)
            flush();
        if (m_open && !m_closing)
            read();
    }

    void answer(ByteView payload) {
        wire::Request& request = m_listener->m_request;
        wire::Response& response = m_listener->m_response;
        if (!parse_message(payload, request))
            return refuse();
        response.Clear();
        response.set_id(request.id());
        ++m_listener->m_counters.requests;
        if (greeted() && !request.has_hello()) {
            m_listener->dispatch(m_id, request, response);
        } else if (greeted()) {
            return refuse();
        } else {
            auto hello = check_hello(request);
            if (!hello && hello.error().code == Errc::MalformedFrame)
                return refuse();
            if (hello) {
                m_id = ++m_listener->m_hellos;
                m_listener->dispatch(m_id, request, response);
            } else {
                set_failure(response, hello.error());
            }
            if (response.has_failure())
                m_closing = true; // the timer closes a peer that does not even read its refusal
            else
                m_hello_timer.cancel();
        }
        if (!m_open)
            return; // the dispatcher stopped the listener
        auto sent = append_message(m_writer, response);
        if (!sent) {
            set_failure(response, sent.error());
            sent = append_message(m_writer, response);
        }
        if (!sent)
            refuse();
    }

    void flush() {
        while (m_open && !m_waiting_writable && !m_writer.empty()) {
            const ByteView unsent = m_writer.unsent();
            error_code error;
            const std::size_t written = m_socket.write_some(asio::buffer(unsent.data(), unsent.size()), error);
            if (error == asio::error::would_block || error == asio::error::try_again) {
                m_waiting_writable = true;
                m_socket.async_wait(StreamSocket::wait_write, [self = shared_from_this()](error_code failed) {
                    if (self->m_open)
                        self->on_writable(failed);
                });
            } else if (error) {
                return close();
            } else {
                ++m_listener->m_counters.writes;
                m_writer.consume(written);
            }
        }
        if (m_open && m_closing && m_writer.empty())
            refuse();
    }

    void on_writable(error_code error) {
        m_waiting_writable = false;
        if (error)
            return close();
        m_last_active = ++m_listener->m_activity;
        flush();
        if (m_open && m_stalled && m_writer.unsent().size() < m_options.max_output) {
            m_stalled = false;
            run();
        }
    }

    std::shared_ptr<Impl> m_listener;
    const ListenerOptions& m_options;
    StreamSocket m_socket;
    asio::steady_timer m_hello_timer;
    FrameReader m_reader;
    FrameWriter m_writer;
    std::uint64_t m_id = 0; ///< 0 until the Hello
    std::uint64_t m_last_active = 0;
    bool m_open = true;
    bool m_closing = false;          ///< refused: close when the refusal is written
    bool m_waiting_writable = false;
    bool m_stalled = false;          ///< not reading until answers are taken
};

// ---- The listener ---------------------------------------------------------------------------------------------------

namespace {

std::string socket_file(const Endpoint& endpoint) {
    if (endpoint.protocol().family() != AF_UNIX)
        return {};
    sockaddr_un address{};
    std::memcpy(&address, endpoint.data(), std::min(sizeof(address), endpoint.size()));
    return {address.sun_path, ::strnlen(address.sun_path, sizeof(address.sun_path))};
}

/// A socket file that nobody listens on any more would make bind() fail.
void remove_stale(asio::io_context& loop, const Endpoint& endpoint, const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    StreamSocket probe(loop);
    error_code error;
    probe.connect(endpoint, error);
    if (error == asio::error::connection_refused)
        ::unlink(path.c_str());
}

} // namespace

Status SignerListener::Impl::listen(const Endpoint& endpoint) {
    error_code error;
    m_acceptor.open(endpoint.protocol(), error);
    const int family = endpoint.protocol().family();
    if (!error && (family == AF_INET || family == AF_INET6))
        m_acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error)
        m_acceptor.bind(endpoint, error);
    if (!error) {
        m_socket_file = socket_file(endpoint);
        if (!m_socket_file.empty() && ::chmod(m_socket_file.c_str(), S_IRUSR | S_IWUSR) != 0)
            error = error_code(errno, boost::system::system_category());
    }
    if (!error)
        m_acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error)
        m_local = m_acceptor.local_endpoint(error);
    if (error)
        return fail(Errc::Io, "cannot listen on " + describe(endpoint) + ": " + error.message());
    return {};
}

void SignerListener::Impl::accept() {
    m_acceptor.async_accept([self = shared_from_this()](error_code error, StreamSocket socket) {
        if (self->m_stopped)
            return;
        if (!error) {
            self->on_accept(std::move(socket));
            return self->accept();
        }
        // Usually no file descriptor is left; trying again at once would spin.
        log::warn("listener", "accept_failed", {{"reason", error.message()}});
        self->m_retry.expires_after(std::chrono::milliseconds(100));
        self->m_retry.async_wait([self](error_code cancelled) {
            if (!cancelled && !self->m_stopped)
                self->accept();
        });
    });
}

void SignerListener::Impl::on_accept(StreamSocket socket) {
    ++m_counters.accepted;
    make_room();
    m_streams.push_back(std::make_shared<Stream>(shared_from_this(), std::move(socket)));
    std::shared_ptr<Stream>(m_streams.back())->start();
}

void SignerListener::Impl::make_room() {
    if (m_streams.size() < std::max<std::size_t>(m_options.max_streams, 1))
        return;
    const auto victim = std::min_element(m_streams.begin(), m_streams.end(), [](const auto& a, const auto& b) {
        return std::pair(a->greeted(), a->last_active()) < std::pair(b->greeted(), b->last_active());
    });
    ++m_counters.evicted;
    std::shared_ptr<Stream>(*victim)->close();
}

void SignerListener::Impl::remove(const Stream* stream) {
    std::erase_if(m_streams, [stream](const auto& entry) { return entry.get() == stream; });
}

void SignerListener::Impl::dispatch(std::uint64_t stream, const wire::Request& request, wire::Response& response) {
    if (request.command_case() == wire::Request::COMMAND_NOT_SET)
        return set_failure(response, fail(Errc::Unsupported, "unknown command"));
    try {
        m_dispatcher(StreamContext{stream}, request, response);
    } catch (...) {
        // The text may hold anything; which command it was is enough to find the place.
        log::error("listener", "dispatcher_threw", {{"command", static_cast<int>(request.command_case())}});
        set_failure(response, fail(Errc::Internal, "the command failed inside the signer"));
    }
    response.set_id(request.id());
    if (response.has_failure())
        response.clear_result();
    else if (!answers(request.command_case(), response))
        set_failure(response, fail(Errc::Internal, "the command was not answered inside the signer"));
}

void SignerListener::Impl::stop() {
    if (m_stopped)
        return;
    m_stopped = true;
    error_code ignored;
    m_acceptor.close(ignored);
    m_retry.cancel();
    if (!m_socket_file.empty())
        ::unlink(m_socket_file.c_str());
    for (const auto& stream : std::vector(m_streams))
        stream->close();
}

Result<std::unique_ptr<SignerListener>> SignerListener::create(asio::io_context& loop, const Endpoint& endpoint,
                                                               Dispatcher dispatcher, ListenerOptions options) {
    if (const std::string path = socket_file(endpoint); !path.empty())
        remove_stale(loop, endpoint, path);
    auto impl = std::make_shared<Impl>(loop, std::move(dispatcher), options);
    KEYMELD_CHECK(impl->listen(endpoint));
    impl->accept();
    return std::unique_ptr<SignerListener>(new SignerListener(std::move(impl)));
}

SignerListener::SignerListener(std::shared_ptr<Impl> impl) : m_impl(std::move(impl)) {}
SignerListener::~SignerListener() { stop(); }
void SignerListener::stop() { m_impl->stop(); }
SignerListener::Endpoint SignerListener::local_endpoint() const { return m_impl->local_endpoint(); }
ListenerCounters SignerListener::counters() const { return m_impl->counters(); }

} // namespace keymeld::protocol
