#include "core/protocol/enclave_link.h"

#include <algorithm>
#include <random>
#include <unordered_map>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/base/stopwatch.h"
#include "core/protocol/enclave.pb.h"
#include "core/protocol/failure.h"
#include "core/protocol/hello.h"
#include "core/protocol/message.h"
#include "core/secure/random.h"

namespace keymeld::protocol {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::steady_clock;

class EnclaveLink::Impl : public std::enable_shared_from_this<EnclaveLink::Impl> {
  public:
    using Handler = asio::any_completion_handler<void(Result<wire::Response>)>;

    Impl(asio::io_context& loop, Connector connector, LinkEvents events, LinkOptions options)
        : m_executor(loop.get_executor()), m_connector(std::move(connector)), m_events(std::move(events)),
          m_options(options), m_timer(loop), m_reader(options.max_frame), m_writer(options.max_frame),
          m_jitter(std::random_device{}()) {}

    void start() {
        if (m_state == State::Created)
            connect();
    }

    void stop() {
        if (m_state == State::Stopped)
            return;
        close_stream();
        m_state = State::Stopped;
        m_timer.cancel();
        fail_pending(std::exchange(m_pending, {}), {}, fail(Errc::Cancelled, "the link to the enclave was stopped"));
    }

    void reset(Error reason) {
        if (m_socket)
            go_down(std::move(reason));
    }

    void connect_now() {
        if (m_state == State::Waiting)
            connect();
    }

    /// Sets the id of `request`.
    void submit(wire::Request& request, SteadyTime deadline, Handler handler);

    bool up() const { return m_state == State::Up; }
    const SignerHello* signer() const { return up() ? &m_signer : nullptr; }
    std::size_t in_flight() const { return m_pending.size(); }
    LinkCounters counters() const {
        LinkCounters counters = m_counters;
        counters.busy = m_busy.total();
        return counters;
    }

  private:
    enum class State { Created, Connecting, Hello, Verifying, Up, Waiting, Stopped };
    using RequestId = std::uint64_t;
    struct Pending {
        wire::Request::CommandCase command{};
        Handler handler;
    };
    using PendingMap = std::unordered_map<RequestId, Pending>;
    struct Deadline {
        SteadyTime at;
        RequestId id;
        bool operator>(const Deadline& other) const { return at > other.at; }
    };

    void connect();
    void on_connected(Result<Socket> socket);
    void read();
    void on_read(error_code error, std::size_t size);
    /// Hands out every answer that has arrived on stream `run`.
    void deliver(std::uint64_t run);
    void on_frame(ByteView payload);
    void on_hello(const wire::Response& response);
    void on_verified(Status status);
    void on_response(wire::Response response);
    void schedule_flush();
    void flush();
    void close_stream();
    void go_down(Error reason, const std::vector<RequestId>& expired = {});
    void fail_pending(PendingMap pending, const std::vector<RequestId>& expired, Error error);
    std::chrono::milliseconds next_backoff();
    void add_deadline(SteadyTime at, RequestId id);
    void arm_timer();
    void on_timer();

    asio::io_context::executor_type m_executor;
    Connector m_connector;
    LinkEvents m_events;
    LinkOptions m_options;
    State m_state = State::Created;
    /// Rises whenever a stream or an attempt ends; a handler of an older one sees that and returns.
    std::uint64_t m_generation = 0;
    std::optional<Socket> m_socket;
    asio::steady_timer m_timer;
    std::uint64_t m_timer_run = 0;
    std::optional<SteadyTime> m_timer_at;
    std::optional<SteadyTime> m_phase_deadline; ///< end of the current attempt or of the backoff
    std::vector<Deadline> m_deadlines;          ///< heap, earliest first; answered requests leave lazily
    FrameReader m_reader;
    FrameWriter m_writer;
    bool m_in_turn = false;          ///< answers are being delivered; flush() follows
    bool m_flush_posted = false;
    bool m_waiting_writable = false;
    RequestId m_last_id = 0;
    RequestId m_hello_id = 0;
    PendingMap m_pending;
    SignerHello m_signer;
    SteadyTime m_up_since;
    unsigned m_failures = 0;
    std::minstd_rand m_jitter;
    LinkCounters m_counters;
    BusyTime m_busy;
};

// ---- Requests -------------------------------------------------------------------------------------------------------

void EnclaveLink::Impl::submit(wire::Request& request, SteadyTime deadline, Handler handler) {
    const Stopwatch busy(m_busy);
    auto refuse = [&](Error error) {
        asio::post(m_executor, [handler = std::move(handler), error = std::move(error)]() mutable {
            std::move(handler)(Result<wire::Response>(std::move(error)));
        });
    };
    if (m_state == State::Stopped)
        return refuse(fail(Errc::Cancelled, "the link to the enclave was stopped"));
    if (m_state != State::Up)
        return refuse(fail(Errc::Disconnected, "no link to the enclave"));
    if (request.command_case() == wire::Request::COMMAND_NOT_SET || request.has_hello())
        return refuse(fail(Errc::InvalidArgument, "not a command for an open stream"));
    if (deadline <= steady_clock::now())
        return refuse(fail(Errc::DeadlineExceeded, "the deadline had passed before the request was sent"));
    if (m_pending.size() >= m_options.max_in_flight || m_writer.unsent().size() >= m_options.max_unsent)
        return refuse(fail(Errc::Overloaded, "too many requests wait for the enclave"));
    const RequestId id = ++m_last_id;
    request.set_id(id);
    if (auto sent = append_message(m_writer, request); !sent)
        return refuse(std::move(sent).error());
    ++m_counters.requests;
    m_pending.emplace(id, Pending{request.command_case(), std::move(handler)});
    add_deadline(deadline, id);
    schedule_flush();
}

void EnclaveLink::Impl::schedule_flush() {
    if (m_in_turn || m_flush_posted || m_waiting_writable)
        return;
    m_flush_posted = true;
    asio::post(m_executor, [self = shared_from_this()] {
        self->m_flush_posted = false;
        self->flush();
    });
}

void EnclaveLink::Impl::flush() {
    while (m_socket && !m_waiting_writable && !m_writer.empty()) {
        const ByteView unsent = m_writer.unsent();
        error_code error;
        const std::size_t written = [&] {
            const Stopwatch busy(m_busy);
            return m_socket->write_some(asio::buffer(unsent.data(), unsent.size()), error);
        }();
        if (error == asio::error::would_block || error == asio::error::try_again) {
            m_waiting_writable = true;
            m_socket->async_wait(Socket::wait_write, [self = shared_from_this(), run = m_generation](error_code failed) {
                if (run != self->m_generation)
                    return;
                self->m_waiting_writable = false;
                if (failed)
                    return self->go_down(fail(Errc::Disconnected, "writing failed: " + failed.message()));
                self->flush();
            });
        } else if (error) {
            return go_down(fail(Errc::Disconnected, "writing failed: " + error.message()));
        } else {
            ++m_counters.writes;
            m_writer.consume(written);
        }
    }
}

// ---- The stream -----------------------------------------------------------------------------------------------------

void EnclaveLink::Impl::connect() {
    m_state = State::Connecting;
    const std::uint64_t run = ++m_generation;
    const SteadyTime deadline = steady_clock::now() + m_options.connect_timeout;
    // The transport keeps the deadline; a second more tells a transport that does not.
    m_phase_deadline = deadline + std::chrono::seconds(1);
    arm_timer();
    m_connector(m_executor, deadline, [weak = weak_from_this(), run](Result<Socket> socket) {
        const auto self = weak.lock();
        if (self && self->m_generation == run)
            self->on_connected(std::move(socket));
    });
}

void EnclaveLink::Impl::on_connected(Result<Socket> socket) {
    if (!socket)
        return go_down(std::move(socket).error());
    m_socket.emplace(std::move(*socket));
    error_code error;
    m_socket->non_blocking(true, error);
    if (error)
        return go_down(fail(Errc::Disconnected, "the stream cannot be used: " + error.message()));
    m_state = State::Hello;
    m_phase_deadline = steady_clock::now() + m_options.hello_timeout;
    m_signer.nonce = secure::random_array<32>();
    m_hello_id = ++m_last_id;
    if (auto sent = append_message(m_writer, hello_request(m_hello_id, m_signer.nonce)); !sent)
        return go_down(std::move(sent).error());
    ++m_counters.requests;
    arm_timer();
    read();
    flush();
}

void EnclaveLink::Impl::read() {
    const MutableByteView space = m_reader.prepare();
    m_socket->async_read_some(asio::buffer(space.data(), space.size()),
                              [self = shared_from_this(), run = m_generation](error_code error, std::size_t size) {
                                  if (run == self->m_generation)
                                      self->on_read(error, size);
                              });
}

void EnclaveLink::Impl::on_read(error_code error, std::size_t size) {
    if (error) {
        return go_down(fail(Errc::Disconnected, error == asio::error::eof ? "the signer closed the stream"
                                                                          : "reading failed: " + error.message()));
    }
    ++m_counters.reads;
    m_reader.commit(size);
    const std::uint64_t run = m_generation;
    deliver(run);
    if (run == m_generation)
        flush();
    if (run == m_generation)
        read();
}

void EnclaveLink::Impl::deliver(std::uint64_t run) {
    m_in_turn = true; // requests that the callbacks make leave together afterwards
    while (run == m_generation) {
        auto payload = m_reader.next();
        if (!payload)
            go_down(std::move(payload).error());
        else if (!*payload)
            break;
        else
            on_frame(**payload);
    }
    m_in_turn = false;
}

void EnclaveLink::Impl::on_frame(ByteView payload) {
    wire::Response response;
    Status parsed;
    {
        const Stopwatch busy(m_busy);
        parsed = parse_message(payload, response);
    }
    if (!parsed)
        return go_down(std::move(parsed).error());
    ++m_counters.responses;
    switch (m_state) {
    case State::Hello: return on_hello(response);
    case State::Up: return on_response(std::move(response));
    case State::Created:
    case State::Connecting:
    case State::Verifying:
    case State::Waiting:
    case State::Stopped: return go_down(fail(Errc::MalformedFrame, "the signer answered what nobody asked"));
    }
}

void EnclaveLink::Impl::on_hello(const wire::Response& response) {
    if (response.id() != m_hello_id)
        return go_down(fail(Errc::MalformedFrame, "the first answer is not to the hello"));
    if (auto read = read_hello(response, m_signer); !read)
        return go_down(std::move(read).error());
    m_state = State::Verifying;
    m_events.verify(m_signer, [weak = weak_from_this(), run = m_generation](Status status) {
        const auto self = weak.lock();
        if (self && self->m_generation == run && self->m_state == State::Verifying)
            self->on_verified(std::move(status));
    });
}

void EnclaveLink::Impl::on_verified(Status status) {
    if (!status)
        return go_down(std::move(status).error());
    m_state = State::Up;
    m_up_since = steady_clock::now();
    m_phase_deadline.reset();
    ++m_counters.connects;
    if (m_events.on_up)
        m_events.on_up(m_signer);
}

void EnclaveLink::Impl::on_response(wire::Response response) {
    const auto found = m_pending.find(response.id());
    if (found == m_pending.end())
        return go_down(fail(Errc::MalformedFrame, "the signer answered what nobody asked"));
    if (!response.has_failure() && !answers(found->second.command, response))
        return go_down(fail(Errc::MalformedFrame, "the signer gave another command's answer"));
    Handler handler = std::move(found->second.handler);
    m_pending.erase(found);
    if (response.has_failure())
        std::move(handler)(Result<wire::Response>(to_error(response.failure())));
    else
        std::move(handler)(Result<wire::Response>(std::move(response)));
}

void EnclaveLink::Impl::close_stream() {
    ++m_generation;
    m_socket.reset();
    m_reader.clear();
    m_writer.clear();
    m_waiting_writable = false;
    m_deadlines.clear();
    m_phase_deadline.reset();
}

void EnclaveLink::Impl::go_down(Error reason, const std::vector<RequestId>& expired) {
    const auto self = shared_from_this(); // on_down may destroy the link
    const bool was_up = up();
    if (was_up && steady_clock::now() - m_up_since >= m_options.backoff_max)
        m_failures = 0;
    close_stream();
    const auto delay = next_backoff();
    m_state = State::Waiting;
    m_phase_deadline = steady_clock::now() + delay;
    PendingMap pending = std::exchange(m_pending, {});
    if (m_events.on_down)
        m_events.on_down(LinkDown{reason, was_up, delay});
    fail_pending(std::move(pending), expired,
                 fail(Errc::Disconnected, "the link to the enclave was lost: " + reason.detail));
    if (m_state != State::Stopped)
        arm_timer();
}

void EnclaveLink::Impl::fail_pending(PendingMap pending, const std::vector<RequestId>& expired, Error error) {
    if (pending.empty())
        return;
    asio::post(m_executor, [pending = std::move(pending), expired, error = std::move(error)]() mutable {
        for (auto& [id, request] : pending) {
            if (std::find(expired.begin(), expired.end(), id) != expired.end())
                std::move(request.handler)(
                    Result<wire::Response>(fail(Errc::DeadlineExceeded, "the enclave did not answer in time")));
            else
                std::move(request.handler)(Result<wire::Response>(error));
        }
    });
}

std::chrono::milliseconds EnclaveLink::Impl::next_backoff() {
    // Many gateways, or many links of one, must not come back in step.
    const auto limit = std::max(m_options.backoff_min, m_options.backoff_max);
    auto delay = std::min(limit, m_options.backoff_min * (std::int64_t{1} << std::min(m_failures, 16u)));
    ++m_failures;
    const auto half = delay.count() / 2;
    delay -= std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(0, half)(m_jitter));
    return delay;
}

// ---- Deadlines ------------------------------------------------------------------------------------------------------

void EnclaveLink::Impl::add_deadline(SteadyTime at, RequestId id) {
    if (m_deadlines.size() > 2 * m_pending.size() + 64) {
        // Most entries are of answered requests; dropping them now and then keeps the heap as small as what is in flight.
        std::erase_if(m_deadlines, [this](const Deadline& entry) { return !m_pending.contains(entry.id); });
        std::make_heap(m_deadlines.begin(), m_deadlines.end(), std::greater<>());
    }
    m_deadlines.push_back({at, id});
    std::push_heap(m_deadlines.begin(), m_deadlines.end(), std::greater<>());
    if (!m_timer_at || at < *m_timer_at)
        arm_timer();
}

void EnclaveLink::Impl::arm_timer() {
    while (!m_deadlines.empty() && !m_pending.contains(m_deadlines.front().id)) {
        std::pop_heap(m_deadlines.begin(), m_deadlines.end(), std::greater<>());
        m_deadlines.pop_back();
    }
    std::optional<SteadyTime> next = m_phase_deadline;
    if (!m_deadlines.empty() && (!next || m_deadlines.front().at < *next))
        next = m_deadlines.front().at;
    // A timer that is set too early finds nothing due and is set again: cheaper than setting it for every request.
    if (!next || (m_timer_at && *m_timer_at <= *next))
        return;
    m_timer_at = next;
    m_timer.expires_at(*next);
    m_timer.async_wait([self = shared_from_this(), run = ++m_timer_run](error_code error) {
        if (!error && run == self->m_timer_run && self->m_state != State::Stopped)
            self->on_timer();
    });
}

void EnclaveLink::Impl::on_timer() {
    m_timer_at.reset();
    const SteadyTime now = steady_clock::now();
    if (m_phase_deadline && *m_phase_deadline <= now) {
        if (m_state == State::Waiting)
            return connect();
        return go_down(fail(Errc::DeadlineExceeded, m_state == State::Connecting ? "connecting took too long"
                                                                                 : "hello and attestation took too long"));
    }
    std::vector<RequestId> expired;
    for (const Deadline& entry : m_deadlines) {
        if (entry.at <= now && m_pending.contains(entry.id))
            expired.push_back(entry.id);
    }
    if (!expired.empty())
        return go_down(fail(Errc::DeadlineExceeded, "a request was not answered in time"), expired);
    arm_timer();
}

// ---- EnclaveLink ----------------------------------------------------------------------------------------------------

EnclaveLink::EnclaveLink(asio::io_context& loop, Connector connector, LinkEvents events, LinkOptions options)
    : m_impl(std::make_shared<Impl>(loop, std::move(connector), std::move(events), options)) {}

EnclaveLink::~EnclaveLink() { stop(); }

void EnclaveLink::start() { m_impl->start(); }
void EnclaveLink::stop() { m_impl->stop(); }
void EnclaveLink::reset(Error reason) { m_impl->reset(std::move(reason)); }
void EnclaveLink::connect_now() { m_impl->connect_now(); }
bool EnclaveLink::up() const { return m_impl->up(); }
const SignerHello* EnclaveLink::signer() const { return m_impl->signer(); }
std::size_t EnclaveLink::in_flight() const { return m_impl->in_flight(); }
LinkCounters EnclaveLink::counters() const { return m_impl->counters(); }

asio::awaitable<Result<wire::Response>> EnclaveLink::call(wire::Request request, SteadyTime deadline) {
    // Not a coroutine itself, which saves a frame; the request lives in the frame of the wait.
    return asio::async_initiate<const asio::use_awaitable_t<>, void(Result<wire::Response>)>(
        [impl = m_impl, request = std::move(request), deadline](auto handler) mutable {
            impl->submit(request, deadline, Impl::Handler(std::move(handler)));
        },
        asio::use_awaitable);
}

void EnclaveLink::send(wire::Request&& request, SteadyTime deadline, Done done) {
    m_impl->submit(request, deadline, Impl::Handler(std::move(done)));
}

} // namespace keymeld::protocol
