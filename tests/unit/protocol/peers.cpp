#include "tests/unit/protocol/peers.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <future>

#include <boost/asio/post.hpp>

#include "core/protocol/endpoint_transport.h"
#include "core/protocol/failure.h"
#include "core/protocol/hello.h"
#include "core/protocol/message.h"
#include "core/secure/random.h"

namespace keymeld::protocol::test {
namespace {

constexpr auto kPatience = 20s;

Endpoint loopback() { return *tcp_endpoint("127.0.0.1", 0); }

Uuid random_uuid() { return Uuid{secure::random_array<16>()}; }

} // namespace

bool run_until(boost::asio::io_context& loop, const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!done()) {
        if (std::chrono::steady_clock::now() >= end)
            return false;
        loop.restart();
        loop.run_one_for(20ms);
    }
    return true;
}

bool wait_until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!done()) {
        if (std::chrono::steady_clock::now() >= end)
            return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

void answer(const Uuid& boot_id, const wire::Request& request, wire::Response& response) {
    if (request.has_hello()) {
        wire::HelloResult& hello = *response.mutable_hello();
        hello.set_protocol_version(1);
        hello.set_boot_id(std::string(as_text(boot_id.view())));
        hello.set_key_epoch(1);
        hello.set_public_key(std::string(33, 'k'));
        hello.set_attestation_document(request.hello().nonce());
    } else if (request.has_authenticate()) {
        response.mutable_authenticate()->set_user_id(request.authenticate().keygen_id());
    } else if (request.has_attest()) {
        response.mutable_attest()->set_attestation_document(std::string(std::stoul(request.attest().nonce()), 'd'));
    } else if (request.has_restore()) {
        response.mutable_restore()->set_version(static_cast<std::uint64_t>(request.restore().updates_size()));
    } else if (request.has_challenge()) {
        set_failure(response, fail(Errc::NotPermitted, "no"));
    } else if (request.has_ping()) {
        response.mutable_ping();
    }
}

wire::Request authenticate(const std::string& keygen_id) {
    wire::Request request;
    request.mutable_authenticate()->set_keygen_id(keygen_id);
    return request;
}

wire::Request attest(std::size_t size) {
    wire::Request request;
    request.mutable_attest()->set_nonce(std::to_string(size));
    return request;
}

Connector connector_to(const Endpoint& endpoint) {
    return [transport = std::make_shared<EndpointTransport>(endpoint)](
               boost::asio::any_io_executor executor, SteadyTime deadline, std::function<void(Result<Socket>)> done) {
        transport->connect(std::move(executor), deadline, std::move(done));
    };
}

TemporaryFolder::TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "keymeld-link-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        throw std::runtime_error("no temporary folder");
    m_path = name;
}
TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(m_path); }

// ---- SignerThread ---------------------------------------------------------------------------------------------------

SignerThread::SignerThread(Dispatcher dispatcher, ListenerOptions options, std::optional<Endpoint> endpoint)
    : m_boot_id(random_uuid()) {
    if (!dispatcher) {
        dispatcher = [boot_id = m_boot_id](const StreamContext&, const wire::Request& request,
                                           wire::Response& response) { answer(boot_id, request, response); };
    }
    auto listener = SignerListener::create(m_loop, endpoint.value_or(loopback()), std::move(dispatcher), options);
    if (!listener)
        throw std::runtime_error(listener.error().detail);
    m_listener = std::move(*listener);
    m_endpoint = m_listener->local_endpoint();
    m_thread = std::thread([this] { m_loop.run(); });
}

SignerThread::~SignerThread() {
    boost::asio::post(m_loop, [this] { m_listener.reset(); });
    m_thread.join();
}

ListenerCounters SignerThread::counters() {
    std::promise<ListenerCounters> answered;
    boost::asio::post(m_loop, [&] { answered.set_value(m_listener->counters()); });
    return answered.get_future().get();
}

// ---- RawStream ------------------------------------------------------------------------------------------------------

RawStream::RawStream(int descriptor) : m_descriptor(descriptor) {
    const timeval patience{20, 0};
    ::setsockopt(m_descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

RawStream::RawStream(const Endpoint& endpoint)
    : RawStream(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(::connect(m_descriptor, endpoint.data(), static_cast<socklen_t>(endpoint.size())), 0);
}

RawStream::~RawStream() { close(); }

void RawStream::close() {
    if (m_descriptor >= 0)
        ::close(std::exchange(m_descriptor, -1));
}

void RawStream::write_bytes(ByteView bytes) {
    while (!bytes.empty()) {
        const auto written = ::send(m_descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (written <= 0)
            return; // the peer closed: the test sees it elsewhere
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
}

void RawStream::write(const google::protobuf::MessageLite& message) {
    FrameWriter writer;
    ASSERT_TRUE(append_message(writer, message));
    write_bytes(writer.unsent());
}

bool RawStream::read(google::protobuf::MessageLite& message) {
    while (true) {
        auto payload = m_reader.next();
        if (!payload)
            return false;
        if (*payload)
            return parse_message(**payload, message).has_value();
        const MutableByteView space = m_reader.prepare();
        const auto size = ::recv(m_descriptor, space.data(), space.size(), 0);
        if (size <= 0)
            return false;
        m_reader.commit(static_cast<std::size_t>(size));
    }
}

bool RawStream::at_end() {
    std::uint8_t byte = 0;
    const auto size = ::recv(m_descriptor, &byte, 1, 0);
    return m_reader.buffered() == 0 && (size == 0 || (size < 0 && errno == ECONNRESET));
}

std::size_t RawStream::readable() const {
    int size = 0;
    return ::ioctl(m_descriptor, FIONREAD, &size) == 0 ? static_cast<std::size_t>(size) : 0;
}

bool RawStream::greet() {
    write(hello_request(1, secure::random_array<32>()));
    wire::Response response;
    return read(response) && response.has_hello();
}

bool RawStream::take_hello(const Uuid& boot_id) {
    wire::Request request;
    if (!read(request) || !request.has_hello())
        return false;
    wire::Response response;
    response.set_id(request.id());
    answer(boot_id, request, response);
    write(response);
    return true;
}

// ---- ScriptedSigner -------------------------------------------------------------------------------------------------

ScriptedSigner::ScriptedSigner(std::function<void(RawStream&)> script)
    : m_script(std::move(script)), m_listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    m_endpoint = loopback();
    EXPECT_EQ(::bind(m_listening, m_endpoint.data(), static_cast<socklen_t>(m_endpoint.size())), 0);
    EXPECT_EQ(::listen(m_listening, 16), 0);
    socklen_t size = static_cast<socklen_t>(m_endpoint.capacity());
    EXPECT_EQ(::getsockname(m_listening, m_endpoint.data(), &size), 0);
    m_thread = std::thread([this] {
        while (!m_stop) {
            pollfd entry{m_listening, POLLIN, 0};
            if (::poll(&entry, 1, 20) <= 0)
                continue;
            const int descriptor = ::accept4(m_listening, nullptr, nullptr, SOCK_CLOEXEC);
            if (descriptor < 0)
                continue;
            ++m_streams;
            RawStream stream(descriptor);
            m_script(stream);
        }
    });
}

ScriptedSigner::~ScriptedSigner() {
    m_stop = true;
    m_thread.join();
    ::close(m_listening);
}

// ---- LinkFixture ----------------------------------------------------------------------------------------------------

LinkFixture::LinkFixture(Connector connector, LinkOptions options) {
    verify = [](const SignerHello&, const std::function<void(Status)>& done) { done({}); };
    LinkEvents events;
    events.verify = [this](const SignerHello& hello, std::function<void(Status)> done) {
        hellos.push_back(hello);
        verify(hello, std::move(done));
    };
    events.on_up = [this](const SignerHello& hello) { ups.push_back(hello); };
    events.on_down = [this](const LinkDown& down) { downs.push_back(down); };
    link = std::make_unique<EnclaveLink>(loop, std::move(connector), std::move(events), options);
}

bool LinkFixture::start_and_wait_up() {
    link->start();
    return wait_up();
}

Result<wire::Response> LinkFixture::exchange(wire::Request request, std::chrono::milliseconds time) {
    std::optional<Result<wire::Response>> result;
    link->send(std::move(request), in(time), [&](Result<wire::Response> got) { result = std::move(got); });
    if (!run_until(loop, [&] { return result.has_value(); }))
        return fail(Errc::Internal, "the link never answered");
    return std::move(*result);
}

} // namespace keymeld::protocol::test
