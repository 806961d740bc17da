#include "pkcs11/channel.h"

#include <stdexcept>

#include <gtest/gtest.h>

namespace keymeld::pkcs11 {
namespace {

client::Async<Result<int>> seven() { co_return 7; }
client::Async<Result<int>> throws() {
    throw std::runtime_error("out of something");
    co_return 7;
}

TEST(ChannelPool, KeepsNoChannelThatACallDidNotComeBackFrom) {
    ChannelPool pool;
    const Channel* first = nullptr;
    {
        const auto lease = pool.take(client::Endpoint());
        first = &*lease;
        EXPECT_EQ(lease->run<int>(seven()).value(), 7);
    }
    {
        const auto lease = pool.take(client::Endpoint());
        EXPECT_EQ(&*lease, first) << "kept for the next call";
        EXPECT_THROW(static_cast<void>(lease->run<int>(throws())), std::runtime_error);
        EXPECT_FALSE(lease->reusable());
    }
    const auto lease = pool.take(client::Endpoint());
    EXPECT_EQ(lease->run<int>(seven()).value(), 7);
}

TEST(ChannelPool, TakesNoChannelToAnotherEndpoint) {
    ChannelPool pool;
    const auto endpoint_of = [&pool](const client::Endpoint& wanted) { return pool.take(wanted)->rest().pool().endpoint(); };
    client::Endpoint here;
    EXPECT_EQ(endpoint_of(here), here);
    client::Endpoint moved = here;
    moved.port = 9999;
    EXPECT_EQ(endpoint_of(moved), moved) << "the credential store says so by now";
    client::Endpoint pinned = moved;
    pinned.tls = true;
    pinned.certificate_sha256 = ByteArray<32>{1};
    EXPECT_EQ(endpoint_of(pinned), pinned);
    EXPECT_EQ(endpoint_of(here), here);
}

TEST(ChannelPool, RefusesEveryCallOnceItIsStopped) {
    ChannelPool pool;
    pool.stop();
    const auto lease = pool.take(client::Endpoint());
    EXPECT_EQ(lease->run<int>(seven()).error().code, Errc::Cancelled);
}

} // namespace
} // namespace keymeld::pkcs11
