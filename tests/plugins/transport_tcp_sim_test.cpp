#include <gtest/gtest.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/plugins/transport_fixture.h"

namespace keymeld::plugin {
namespace {

using namespace test;

class TransportTcpSim : public testing::Test {
  protected:
    std::unique_ptr<TransportPlugin> m_plugin = load("transport-tcp-sim");
};

std::string port_text(const protocol::Endpoint& endpoint) { return std::to_string(protocol::port_of(endpoint)); }

TEST_F(TransportTcpSim, TakesOnlyLoopbackAddressesUnlessToldOtherwise) {
    for (const char* host : {"127.0.0.1", "127.3.2.1", "::1", "localhost"})
        EXPECT_TRUE(m_plugin->create(options({{"host", host}, {"port", "5000"}}))) << host;
    for (const char* host : {"10.0.0.1", "0.0.0.0", "example.org", "::", "127.0.0.1.example.org"}) {
        expect_config_error(*m_plugin, {{"host", host}, {"port", "5000"}}, "loopback");
        expect_config_error(*m_plugin, {{"host", host}, {"port", "5000"}, {"allow_remote", "false"}}, "loopback");
    }
    for (const char* host : {"10.0.0.1", "fe80::1", "LOCALHOST"})
        EXPECT_TRUE(m_plugin->create(options({{"host", host}, {"port", "5000"}, {"allow_remote", "true"}}))) << host;
}

TEST_F(TransportTcpSim, RefusesWrongOptions) {
    expect_config_error(*m_plugin, {}, "port");
    for (const char* port : {"0", "65536", "-1", "5000x", ""})
        expect_config_error(*m_plugin, {{"port", port}}, "port");
    expect_config_error(*m_plugin, {{"port", "5000"}, {"host", ""}}, "host");
    expect_config_error(*m_plugin, {{"port", "5000"}, {"host", std::string(300, 'h')}, {"allow_remote", "true"}}, "host");
    expect_config_error(*m_plugin, {{"port", "5000"}, {"allow_remote", "perhaps"}}, "allow_remote");
    expect_config_error(*m_plugin, {{"port", "5000"}, {"hots", "127.0.0.1"}}, "hots");
}

TEST_F(TransportTcpSim, HasNoEventLoopInside) { expect_no_event_loop("transport-tcp-sim"); }

TEST_F(TransportTcpSim, SaysWhereItGoes) {
    EXPECT_EQ((*m_plugin->create(options({{"port", "5000"}})))->describe(), "tcp 127.0.0.1:5000");
    EXPECT_EQ((*m_plugin->create(options({{"host", "LOCALHOST"}, {"port", "5000"}, {"allow_remote", "true"}})))->describe(),
              "tcp LOCALHOST:5000");
}

TEST_F(TransportTcpSim, CarriesALink) {
    SignerThread signer;
    Connection connection(*m_plugin, {{"port", port_text(signer.endpoint())}});
    expect_working_link(*connection.transport);
}

TEST_F(TransportTcpSim, GivesASocketWithoutDelay) {
    SignerThread signer;
    Connection connection(*m_plugin, {{"port", port_text(signer.endpoint())}});
    const auto& socket = connection.connect();
    ASSERT_TRUE(socket) << socket.error().detail;
    int no_delay = 0;
    socklen_t size = sizeof(no_delay);
    auto& handle = const_cast<Transport::Socket&>(*socket);
    ASSERT_EQ(::getsockopt(handle.native_handle(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
    EXPECT_EQ(no_delay, 1);
}

TEST_F(TransportTcpSim, ResolvesNamesAndTriesEveryAddress) {
    SignerThread signer; // on 127.0.0.1 only; the name may stand for ::1 as well
    Connection connection(*m_plugin,
                          {{"host", "LOCALHOST"}, {"port", port_text(signer.endpoint())}, {"allow_remote", "true"}});
    expect_working_link(*connection.transport);
}

TEST_F(TransportTcpSim, ANameThatDoesNotExistStopsTheStart) {
    expect_config_error(*m_plugin, {{"host", "no-such-host.invalid"}, {"port", "5000"}, {"allow_remote", "true"}},
                        "cannot be resolved");
}

TEST_F(TransportTcpSim, NobodyListens) {
    std::string port;
    {
        SignerThread signer;
        port = port_text(signer.endpoint());
    }
    Connection connection(*m_plugin, {{"port", port}});
    EXPECT_EQ(connection.error_of_connect(), Errc::Disconnected);
}

/// A listening socket whose queue is full: the kernel drops what comes after, so connecting never ends.
class DeafListener {
  public:
    DeafListener() : m_listening(::socket(AF_INET, SOCK_STREAM, 0)) {
        auto endpoint = *protocol::tcp_endpoint("127.0.0.1", 0);
        EXPECT_EQ(::bind(m_listening, endpoint.data(), static_cast<socklen_t>(endpoint.size())), 0);
        EXPECT_EQ(::listen(m_listening, 0), 0);
        auto size = static_cast<socklen_t>(endpoint.size());
        EXPECT_EQ(::getsockname(m_listening, endpoint.data(), &size), 0);
        m_port = port_text(endpoint);
        for (int& filler : m_fillers) {
            filler = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
            (void)::connect(filler, endpoint.data(), size);
        }
    }
    ~DeafListener() {
        for (const int filler : m_fillers)
            ::close(filler);
        ::close(m_listening);
    }
    DeafListener(const DeafListener&) = delete;
    DeafListener& operator=(const DeafListener&) = delete;
    const std::string& port() const { return m_port; }

  private:
    int m_listening;
    int m_fillers[4] = {};
    std::string m_port;
};

TEST_F(TransportTcpSim, EndsAtTheDeadline) {
    DeafListener deaf;
    Connection connection(*m_plugin, {{"port", deaf.port()}});
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(connection.error_of_connect(200ms), Errc::DeadlineExceeded);
    const auto took = std::chrono::steady_clock::now() - begun;
    EXPECT_GE(took, 200ms);
    EXPECT_LT(took, 10s);
}

TEST_F(TransportTcpSim, DestroyingItCancels) {
    DeafListener deaf;
    Connection connection(*m_plugin, {{"port", deaf.port()}});
    connection.start(20s);
    connection.loop.poll();
    EXPECT_EQ(connection.calls, 0);
    connection.transport.reset();
    EXPECT_EQ(connection.calls, 0) << "the handler ran inside the destructor";
    connection.loop.restart();
    connection.loop.run(); // and nothing of it is left on the loop
    ASSERT_EQ(connection.calls, 1);
    EXPECT_EQ(connection.result->error().code, Errc::Cancelled);
}

} // namespace
} // namespace keymeld::plugin
