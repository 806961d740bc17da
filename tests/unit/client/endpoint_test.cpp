#include "appliance/client/http.h"

#include <gtest/gtest.h>

namespace keymeld::client {
namespace {

TEST(Endpoint, ReadsHostPortAndScheme) {
    const auto plain = Endpoint::parse("http://127.0.0.1:8080");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->host, "127.0.0.1");
    EXPECT_EQ(plain->port, 8080);
    EXPECT_FALSE(plain->tls);
    const auto tls = Endpoint::parse("https://keymeld.example/");
    ASSERT_TRUE(tls);
    EXPECT_EQ(tls->host, "keymeld.example");
    EXPECT_EQ(tls->port, 443);
    EXPECT_TRUE(tls->tls);
    const auto v6 = Endpoint::parse("http://[::1]:9000");
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->host, "::1");
    EXPECT_EQ(v6->port, 9000);
    EXPECT_EQ(v6->text(), "http://[::1]:9000");
}

TEST(Endpoint, RefusesEverythingElse) {
    for (const char* url : {"", "localhost:8080", "ftp://host", "http://", "http://host:0", "http://host:65536", "http://host:80x", "http://host:",
                            "http://user@host", "http://host/path", "http://[::1", "http://[::1]x", "http://ho st", "https://host\r\nX: y"})
        EXPECT_FALSE(Endpoint::parse(url)) << url;
}

} // namespace
} // namespace keymeld::client
