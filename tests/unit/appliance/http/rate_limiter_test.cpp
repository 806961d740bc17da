#include "appliance/http/rate_limiter.h"

#include <gtest/gtest.h>

namespace keymeld::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

const SteadyTime kStart = SteadyTime() + seconds(1000);

TEST(RateLimiter, BurstIsFree) {
    RateLimiter limiter({.rate = 200, .burst = 400});
    for (int i = 0; i < 400; ++i)
        EXPECT_EQ(limiter.admit("a", kStart).delay, nanoseconds(0)) << i;
    const auto next = limiter.admit("a", kStart);
    EXPECT_FALSE(next.refused);
    EXPECT_EQ(next.delay, milliseconds(5));
    EXPECT_EQ(limiter.admit("b", kStart).delay, nanoseconds(0));
}

TEST(RateLimiter, RefusesBeyondTheLongestDelayAndForgetsTheRefused) {
    RateLimiter limiter({.rate = 10, .burst = 10, .delay_max = milliseconds(500)});
    for (int i = 0; i < 15; ++i)
        EXPECT_FALSE(limiter.admit("a", kStart).refused) << i;
    for (int i = 0; i < 100; ++i) {
        const auto verdict = limiter.admit("a", kStart);
        EXPECT_TRUE(verdict.refused);
        EXPECT_EQ(verdict.delay, milliseconds(100));
    }
    // What was refused did not push the end further away.
    EXPECT_FALSE(limiter.admit("a", kStart + milliseconds(100)).refused);
}

TEST(RateLimiter, OneRequestAtATimeIsNeverRefused) {
    RateLimiter limiter({.rate = 200, .burst = 400, .delay_max = seconds(2)});
    SteadyTime now = kStart;
    for (int i = 0; i < 20'000; ++i) {
        const auto verdict = limiter.admit("a", now);
        ASSERT_FALSE(verdict.refused) << i;
        ASSERT_LE(verdict.delay, milliseconds(5));
        now += verdict.delay; // the answer takes no time at all
    }
    EXPECT_GE(now - kStart, seconds(97));
}

TEST(RateLimiter, RefillsAtTheRate) {
    RateLimiter limiter({.rate = 2, .burst = 4, .delay_max = seconds(0)});
    for (int i = 0; i < 4; ++i)
        EXPECT_FALSE(limiter.admit("a", kStart).refused);
    EXPECT_TRUE(limiter.admit("a", kStart).refused);
    EXPECT_FALSE(limiter.admit("a", kStart + milliseconds(500)).refused);
    EXPECT_TRUE(limiter.admit("a", kStart + milliseconds(500)).refused);
    for (int i = 0; i < 4; ++i)
        EXPECT_FALSE(limiter.admit("a", kStart + seconds(60)).refused);
    EXPECT_TRUE(limiter.admit("a", kStart + seconds(60)).refused);
}

TEST(RateLimiter, RemembersABoundedNumberOfClients) {
    RateLimiter limiter({.rate = 1, .burst = 1, .delay_max = seconds(0), .clients_max = 100});
    for (int i = 0; i < 1000; ++i)
        limiter.admit("client " + std::to_string(i), kStart);
    EXPECT_EQ(limiter.clients(), 100u);
    // Full buckets are forgotten to make room.
    EXPECT_FALSE(limiter.admit("late", kStart + seconds(10)).refused);
    EXPECT_EQ(limiter.clients(), 1u);
}

TEST(RateLimiter, OneSiteIsOneClient) {
    const std::uint8_t a[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8};
    const std::uint8_t b[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9};
    const std::uint8_t c[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 2, 9, 9, 9, 9, 9, 9, 9, 9};
    const std::uint8_t v4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1};
    EXPECT_EQ(client_key_of_v6(a), client_key_of_v6(b));
    EXPECT_NE(client_key_of_v6(b), client_key_of_v6(c));
    EXPECT_EQ(client_key_of_v6(v4), "192.0.2.1");
}

} // namespace
} // namespace keymeld::http
