#include <gtest/gtest.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugins/transport-vsock/hybrid_opening.h"
#include "tests/plugins/transport_fixture.h"

namespace keymeld::plugin {
namespace {

using namespace test;

class TransportVsock : public testing::Test {
  protected:
    std::unique_ptr<TransportPlugin> m_plugin = load("transport-vsock");
};

TEST_F(TransportVsock, NeedsExactlyOneOfCidAndPath) {
    expect_config_error(*m_plugin, {{"port", "5000"}}, "exactly one");
    expect_config_error(*m_plugin, {{"port", "5000"}, {"cid", "16"}, {"path", "/run/v.sock"}}, "exactly one");
    EXPECT_EQ((*m_plugin->create(options({{"port", "5000"}, {"cid", "16"}})))->describe(), "vsock 16:5000");
    EXPECT_EQ((*m_plugin->create(options({{"port", "5000"}, {"path", "/run/v.sock"}})))->describe(), "vsock /run/v.sock:5000");
    EXPECT_EQ((*m_plugin->create(options({{"port", "5000"}, {"path", "v.sock"}})))->describe(),
              "vsock /etc/keymeld/v.sock:5000");
}

TEST_F(TransportVsock, RefusesWrongOptions) {
    expect_config_error(*m_plugin, {{"cid", "16"}}, "port");
    for (const char* cid : {"0", "4294967295", "-1", "16x", ""})
        expect_config_error(*m_plugin, {{"cid", cid}, {"port", "5000"}}, "cid");
    for (const char* port : {"4294967295", "-1", "x", ""})
        expect_config_error(*m_plugin, {{"cid", "16"}, {"port", port}}, "port");
    expect_config_error(*m_plugin, {{"path", "/" + std::string(107, 'p')}, {"port", "5000"}}, "path");
    expect_config_error(*m_plugin, {{"path", "/run/v.sock"}, {"port", "5000"}, {"host", "x"}}, "host");
    EXPECT_TRUE(m_plugin->create(options({{"path", "/" + std::string(106, 'p')}, {"port", "5000"}})));
    EXPECT_TRUE(m_plugin->create(options({{"cid", "4294967294"}, {"port", "4294967294"}})));
}

TEST_F(TransportVsock, HasNoEventLoopInside) { expect_no_event_loop("transport-vsock"); }

TEST(HybridLine, IsOkANumberAndNothingElse) {
    using transport_vsock::is_ok_line;
    for (const char* good : {"OK 5005\n", "OK 0\n", "OK 1073741824\n", "OK 00000000000000000000000001\n"})
        EXPECT_TRUE(is_ok_line(good)) << good;
    for (const char* bad : {"", "\n", "OK\n", "OK \n", "OK 5005", "ok 5005\n", "OK  5005\n", "OK 5005 \n", "OK 5005\r\n", "OK -1\n",
                            "OK 0x10\n", " OK 1\n", "OK 1\n\n", "OKAY 1\n", "ERR 1\n"})
        EXPECT_FALSE(is_ok_line(bad)) << bad;
}

/// The host's side of a hybrid vsock: takes connections on a unix socket, reads the CONNECT line and goes on as `script` says.
class HybridServer {
  public:
    using Script = std::function<void(int descriptor, const std::string& line)>;

    explicit HybridServer(Script script)
        : m_script(std::move(script)), m_listening(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        const auto endpoint = *protocol::unix_endpoint(path());
        EXPECT_EQ(::bind(m_listening, endpoint.data(), static_cast<socklen_t>(endpoint.size())), 0);
        EXPECT_EQ(::listen(m_listening, 8), 0);
        m_thread = std::thread([this] {
            while (!m_stop) {
                pollfd entry{m_listening, POLLIN, 0};
                if (::poll(&entry, 1, 20) <= 0)
                    continue;
                const int descriptor = ::accept(m_listening, nullptr, nullptr);
                if (descriptor < 0)
                    continue;
                m_script(descriptor, read_line(descriptor));
                ::close(descriptor);
            }
        });
    }
    ~HybridServer() {
        m_stop = true;
        m_thread.join();
        ::close(m_listening);
    }
    HybridServer(const HybridServer&) = delete;
    HybridServer& operator=(const HybridServer&) = delete;

    std::string path() const { return m_folder.file("v.sock"); }
    Settings settings() const { return {{"path", path()}, {"port", "5005"}}; }
    const std::atomic<bool>& stopping() const { return m_stop; }

    static void send(int descriptor, std::string_view text) {
        EXPECT_EQ(::send(descriptor, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    /// Returns when the other side has closed.
    static void wait_for_close(int descriptor) {
        char byte = 0;
        while (::recv(descriptor, &byte, 1, 0) > 0) {
        }
    }

  private:
    static std::string read_line(int descriptor) {
        std::string line;
        char byte = 0;
        while (!line.ends_with('\n') && line.size() < 100 && ::recv(descriptor, &byte, 1, 0) == 1)
            line += byte;
        return line;
    }

    TemporaryFolder m_folder;
    Script m_script;
    int m_listening;
    std::atomic<bool> m_stop{false};
    std::thread m_thread;
};

/// Copies both ways until one side closes.
void pump(int left, int right) {
    std::array<char, 65536> buffer{};
    while (true) {
        pollfd entries[2] = {{left, POLLIN, 0}, {right, POLLIN, 0}};
        if (::poll(entries, 2, 20'000) <= 0)
            return;
        for (int i = 0; i < 2; ++i) {
            if ((entries[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0)
                continue;
            const auto size = ::recv(entries[i].fd, buffer.data(), buffer.size(), 0);
            if (size <= 0)
                return;
            HybridServer::send(entries[1 - i].fd, std::string_view(buffer.data(), static_cast<std::size_t>(size)));
        }
    }
}

TEST_F(TransportVsock, CarriesALinkThroughAHybridSocket) {
    SignerThread signer;
    std::string asked;
    {
        HybridServer server([&](int gateway, const std::string& line) {
            asked = line;
            const int to_signer = ::socket(AF_INET, SOCK_STREAM, 0);
            const auto& endpoint = signer.endpoint();
            ASSERT_EQ(::connect(to_signer, endpoint.data(), static_cast<socklen_t>(endpoint.size())), 0);
            HybridServer::send(gateway, "OK 1073741824\n");
            pump(gateway, to_signer);
            ::close(to_signer);
        });
        Connection connection(*m_plugin, server.settings());
        expect_working_link(*connection.transport);
    }
    EXPECT_EQ(asked, "CONNECT 5005\n");
}

std::string read_exactly(Transport::Socket& socket, std::size_t size) {
    std::string text(size, '\0');
    socket.non_blocking(false);
    std::size_t done = 0;
    while (done < size) {
        boost::system::error_code error;
        done += socket.receive(boost::asio::buffer(text.data() + done, size - done), 0, error);
        if (error)
            return "error: " + error.message();
    }
    return text;
}

TEST_F(TransportVsock, LeavesWhatFollowsTheLineInTheStream) {
    HybridServer server([](int descriptor, const std::string&) {
        HybridServer::send(descriptor, "OK 7\nfirst bytes of the stream");
        HybridServer::wait_for_close(descriptor);
    });
    Connection connection(*m_plugin, server.settings());
    ASSERT_TRUE(connection.connect()) << connection.result->error().detail;
    EXPECT_EQ(read_exactly(**connection.result, 25), "first bytes of the stream");
    connection.result.reset();
}

TEST_F(TransportVsock, TakesTheLineByteByByte) {
    HybridServer server([](int descriptor, const std::string&) {
        for (const char byte : std::string("OK 123456\nx")) {
            HybridServer::send(descriptor, std::string_view(&byte, 1));
            std::this_thread::sleep_for(3ms);
        }
        HybridServer::wait_for_close(descriptor);
    });
    Connection connection(*m_plugin, server.settings());
    ASSERT_TRUE(connection.connect()) << connection.result->error().detail;
    EXPECT_EQ(read_exactly(**connection.result, 1), "x");
    connection.result.reset();
}

TEST_F(TransportVsock, RefusesAnotherLine) {
    for (const char* line : {"OK\n", "ERROR 5005\n", "OK 12a\n", "OK 12\r\n", "HTTP/1.1 200 OK\r\n\r\n",
                             "OK 11111111111111111111111111111111111111111111111111", "OK 1111111111111111111111111111111111111\n"}) {
        HybridServer server([&](int descriptor, const std::string&) {
            HybridServer::send(descriptor, line);
            HybridServer::wait_for_close(descriptor);
        });
        Connection connection(*m_plugin, server.settings());
        EXPECT_EQ(connection.error_of_connect(), Errc::MalformedFrame) << line;
    }
}

TEST_F(TransportVsock, AConnectionClosedBeforeOkIsRetryable) {
    for (const char* before : {"", "OK", "OK 12"}) {
        HybridServer server([&](int descriptor, const std::string&) {
            if (*before != '\0')
                HybridServer::send(descriptor, before);
        });
        Connection connection(*m_plugin, server.settings());
        EXPECT_EQ(connection.error_of_connect(), Errc::Disconnected) << before;
    }
    // Closed with unread data on it: the other side sees a reset.
    HybridServer server([](int, const std::string&) {});
    Connection connection(*m_plugin, {{"path", server.path()}, {"port", "4294967294"}});
    EXPECT_EQ(connection.error_of_connect(), Errc::Disconnected);
}

TEST_F(TransportVsock, NoSocketIsRetryable) {
    TemporaryFolder folder;
    Connection connection(*m_plugin, {{"path", folder.file("not-yet.sock")}, {"port", "5005"}});
    EXPECT_EQ(connection.error_of_connect(), Errc::Disconnected);
}

TEST_F(TransportVsock, ASilentDeviceMeetsTheDeadline) {
    HybridServer server([](int descriptor, const std::string&) { HybridServer::wait_for_close(descriptor); });
    Connection connection(*m_plugin, server.settings());
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(connection.error_of_connect(200ms), Errc::DeadlineExceeded);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
    Connection cancelled(*m_plugin, server.settings());
    cancelled.start(20s);
    cancelled.loop.run_for(50ms);
    cancelled.transport.reset();
    cancelled.loop.restart();
    cancelled.loop.run();
    ASSERT_EQ(cancelled.calls, 1);
    EXPECT_EQ(cancelled.result->error().code, Errc::Cancelled);
}

TEST_F(TransportVsock, ALinkWaitsForAGuestThatIsNotUpYet) {
    SignerThread signer;
    std::atomic<int> tries{0};
    HybridServer server([&](int gateway, const std::string&) {
        if (++tries < 4)
            return; // closed without OK, as long as nobody listens in the guest
        const int to_signer = ::socket(AF_INET, SOCK_STREAM, 0);
        const auto& endpoint = signer.endpoint();
        ASSERT_EQ(::connect(to_signer, endpoint.data(), static_cast<socklen_t>(endpoint.size())), 0);
        HybridServer::send(gateway, "OK 1\n");
        pump(gateway, to_signer);
        ::close(to_signer);
    });
    Connection connection(*m_plugin, server.settings());
    protocol::LinkOptions quick;
    quick.backoff_min = 5ms;
    LinkFixture fixture(
        [&](boost::asio::any_io_executor executor, SteadyTime deadline, Transport::Handler done) {
            connection.transport->connect(std::move(executor), deadline, std::move(done));
        },
        quick);
    ASSERT_TRUE(fixture.start_and_wait_up());
    EXPECT_EQ(fixture.downs.size(), 3u);
    EXPECT_EQ(fixture.downs[0].reason.code, Errc::Disconnected);
    EXPECT_TRUE(fixture.exchange(authenticate("x")));
    fixture.link->stop();
}

// ---- Native AF_VSOCK: as far as this kernel goes --------------------------------------------------------------------

bool kernel_has_vsock() {
    const int probe = ::socket(AF_VSOCK, SOCK_STREAM, 0);
    if (probe >= 0)
        ::close(probe);
    return probe >= 0;
}

TEST_F(TransportVsock, NativeConnectFailsAsAValue) {
    // Without AF_VSOCK there is no socket; with it, no machine has this CID. Either way it is worth another try.
    Connection connection(*m_plugin, {{"cid", "4294967294"}, {"port", "5005"}});
    const Errc code = connection.error_of_connect(3s);
    EXPECT_TRUE(code == Errc::Disconnected || code == Errc::DeadlineExceeded) << errc_name(code);
    if (!kernel_has_vsock()) {
        EXPECT_EQ(code, Errc::Disconnected);
    }
}

TEST_F(TransportVsock, NativeConnectCarriesALink) {
    if (!kernel_has_vsock())
        GTEST_SKIP() << "NOT TESTED: this kernel has no AF_VSOCK, so the native transport cannot be connected here";
    SignerThread signer({}, {}, protocol::vsock_endpoint(protocol::kAnyCid, protocol::kAnyCid));
    const std::string port = std::to_string(protocol::port_of(signer.endpoint()));
    Connection connection(*m_plugin, {{"cid", "1"}, {"port", port}}); // VMADDR_CID_LOCAL
    if (!connection.connect(3s))
        GTEST_SKIP() << "NOT TESTED: this kernel has AF_VSOCK without loopback (CONFIG_VSOCKETS_LOOPBACK), so the native "
                        "transport cannot reach a signer here; only its error path was run ("
                     << connection.result->error().detail << ")";
    expect_working_link(*connection.transport);
}

} // namespace
} // namespace keymeld::plugin
