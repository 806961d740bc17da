#include "core/protocol/stream_endpoint.h"

#include <gtest/gtest.h>

#include <sys/socket.h>

namespace keymeld::protocol {
namespace {

TEST(StreamEndpoint, TakesAddressLiterals) {
    const auto v4 = tcp_endpoint("127.0.0.1", 5000);
    ASSERT_TRUE(v4);
    EXPECT_EQ(describe(*v4), "tcp 127.0.0.1:5000");
    EXPECT_EQ(port_of(*v4), 5000u);
    EXPECT_EQ(v4->protocol().family(), AF_INET);
    const auto v6 = tcp_endpoint("::1", 443);
    ASSERT_TRUE(v6);
    EXPECT_EQ(describe(*v6), "tcp [::1]:443");
    EXPECT_EQ(port_of(*v6), 443u);
    const auto name = tcp_endpoint("localhost", 1);
    ASSERT_TRUE(name);
    EXPECT_EQ(describe(*name), "tcp 127.0.0.1:1");
    for (const char* wrong : {"", "example.org", "127.0.0", "127.0.0.1:80", "0x7f.0.0.1", "[::1]", "127.0.0.1 "})
        EXPECT_EQ(tcp_endpoint(wrong, 1).error().code, Errc::InvalidArgument) << wrong;
}

TEST(StreamEndpoint, KnowsWhatIsLocal) {
    for (const char* local : {"127.0.0.1", "127.255.255.254", "::1", "localhost"})
        EXPECT_TRUE(is_local(*tcp_endpoint(local, 1))) << local;
    for (const char* remote : {"0.0.0.0", "10.0.0.1", "128.0.0.1", "::", "fe80::1", "::ffff:127.0.0.1"})
        EXPECT_FALSE(is_local(*tcp_endpoint(remote, 1))) << remote;
    EXPECT_TRUE(is_local(*unix_endpoint("/run/x.sock")));
    EXPECT_FALSE(is_local(vsock_endpoint(16, 5000)));
}

TEST(StreamEndpoint, MakesVsockAddresses) {
    const Endpoint endpoint = vsock_endpoint(16, 4'000'000'000u);
    EXPECT_EQ(endpoint.protocol().family(), AF_VSOCK);
    EXPECT_EQ(port_of(endpoint), 4'000'000'000u);
    EXPECT_EQ(describe(endpoint), "vsock 16:4000000000");
    EXPECT_EQ(describe(vsock_endpoint(kAnyCid, 5000)), "vsock any:5000");
}

TEST(StreamEndpoint, BoundsThePathOfAUnixSocket) {
    const auto path = unix_endpoint("/run/signer.sock");
    ASSERT_TRUE(path);
    EXPECT_EQ(describe(*path), "unix /run/signer.sock");
    EXPECT_EQ(port_of(*path), 0u);
    EXPECT_TRUE(unix_endpoint(std::string(107, 'p')));
    EXPECT_EQ(describe(*unix_endpoint(std::string(107, 'p'))), "unix " + std::string(107, 'p'));
    EXPECT_FALSE(unix_endpoint(std::string(108, 'p')));
    EXPECT_FALSE(unix_endpoint(""));
    EXPECT_FALSE(unix_endpoint(std::string("a\0b", 3)));
}

} // namespace
} // namespace keymeld::protocol
