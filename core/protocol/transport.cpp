#include "core/protocol/transport.h"

#include <sys/socket.h>

#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace keymeld::protocol {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

int family_of(int descriptor) {
    int family = AF_UNSPEC;
    socklen_t size = sizeof(family);
    ::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &size);
    return family;
}

/// Drives one StreamOpening. Lives as long as something of it is pending on the loop.
class Attempt : public std::enable_shared_from_this<Attempt> {
  public:
    Attempt(const asio::any_io_executor& executor, std::unique_ptr<StreamOpening> opening, Transport::Handler done)
        : m_opening(std::move(opening)), m_socket(executor), m_timer(executor), m_done(std::move(done)) {}

    void start(SteadyTime deadline) {
        m_timer.expires_at(deadline);
        m_timer.async_wait([self = shared_from_this()](error_code error) {
            if (!error)
                self->finish(fail(Errc::DeadlineExceeded, "the signer did not accept the connection in time"));
        });
        advance();
    }

    void cancel() { finish(fail(Errc::Cancelled, "the transport was closed")); }

  private:
    Result<StreamOpening::Step> step() {
        try {
            if (m_opening)
                return m_opening->step();
        } catch (...) {
            // Code of a plugin: no exception of it may end the event loop.
        }
        return fail(Errc::PluginFailed, "the transport failed to open a stream");
    }

    void advance() {
        const auto next = step();
        if (!next)
            return finish(next.error());
        switch (*next) {
        case StreamOpening::Step::Open: return finish({});
        case StreamOpening::Step::WaitReadable: return wait(Transport::Socket::wait_read);
        case StreamOpening::Step::WaitWritable: return wait(Transport::Socket::wait_write);
        }
    }

    void wait(Transport::Socket::wait_type what) {
        // Lent to the event loop for one wait only: the next step may close the descriptor.
        if (!take(m_opening->descriptor()))
            return finish(fail(Errc::PluginFailed, "the transport has no socket to wait on"));
        m_socket.async_wait(what, [self = shared_from_this()](error_code error) {
            if (!self->m_done)
                return;
            self->give_back();
            if (error)
                return self->finish(fail(Errc::Disconnected, "cannot connect: " + error.message()));
            self->advance();
        });
    }

    bool take(int descriptor) {
        error_code error;
        m_socket.assign(asio::generic::stream_protocol(family_of(descriptor), 0), descriptor, error);
        return !error;
    }

    void give_back() {
        error_code ignored;
        if (m_socket.is_open())
            m_socket.release(ignored);
    }

    void finish(Status status) {
        if (!m_done)
            return;
        m_timer.cancel();
        give_back();
        Result<Transport::Socket> result = fail(Errc::PluginFailed, "the transport gave no socket");
        if (!status) {
            result = std::move(status).error();
        } else if (take(m_opening->descriptor())) {
            m_opening->release();
            error_code error;
            m_socket.non_blocking(true, error);
            result = std::move(m_socket);
        }
        m_opening.reset();
        // Posted, so that the handler never runs inside connect() or a destructor.
        asio::post(m_timer.get_executor(), [done = std::exchange(m_done, nullptr),
                                            result = std::move(result)]() mutable { done(std::move(result)); });
    }

    std::unique_ptr<StreamOpening> m_opening;
    Transport::Socket m_socket;
    asio::steady_timer m_timer;
    Transport::Handler m_done;
};

struct Attempts {
    ~Attempts() {
        for (const auto& weak : list) {
            if (const auto attempt = weak.lock())
                attempt->cancel();
        }
    }
    std::vector<std::weak_ptr<Attempt>> list;
};

} // namespace

void Transport::connect(asio::any_io_executor executor, SteadyTime deadline, Handler done) {
    if (!m_attempts)
        m_attempts = std::make_shared<Attempts>();
    std::unique_ptr<StreamOpening> opening;
    try {
        opening = open();
    } catch (...) {
        // As in Attempt::step(), which reports it.
    }
    const auto attempt = std::make_shared<Attempt>(executor, std::move(opening), std::move(done));
    auto& list = static_cast<Attempts*>(m_attempts.get())->list;
    std::erase_if(list, [](const auto& weak) { return weak.expired(); });
    list.push_back(attempt);
    attempt->start(deadline);
}

} // namespace keymeld::protocol
