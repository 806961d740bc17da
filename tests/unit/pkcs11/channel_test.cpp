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

TEST(ChannelPool, RefusesEveryCallOnceItIsStopped) {
    ChannelPool pool;
    pool.stop();
    const auto lease = pool.take(client::Endpoint());
    EXPECT_EQ(lease->run<int>(seven()).error().code, Errc::Cancelled);
}

} // namespace
} // namespace keymeld::pkcs11
