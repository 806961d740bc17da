#include "appliance/bench/load_loop.h"

#include <algorithm>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <gtest/gtest.h>

namespace keymeld::bench {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

struct Seen {
    std::vector<std::uint64_t> numbers;
    unsigned running = 0;
    unsigned most = 0;
};

Async<Result<std::uint64_t>> piece(Seen& seen, std::uint64_t number, milliseconds time, std::uint64_t broken) {
    seen.numbers.push_back(number);
    seen.most = std::max(seen.most, ++seen.running);
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
    --seen.running;
    if (number == broken)
        co_return fail(Errc::Io, "piece " + std::to_string(number));
    co_return std::uint64_t{2};
}

Job job_of(Seen& seen, milliseconds time, std::uint64_t broken = UINT64_MAX) {
    return [&seen, time, broken](std::uint64_t number) { return piece(seen, number, time, broken); };
}

template <class Loop> Result<LoadResult> run(Loop&& loop) {
    asio::io_context context(1);
    cli::Progress progress(context.get_executor(), cli::Progress::Style::Silent);
    auto done = asio::co_spawn(context, loop(progress), asio::use_future);
    context.run();
    return done.get();
}

TEST(ClosedLoop, KeepsSoManyUnderWayAndCountsEach) {
    Seen seen;
    const auto result = run([&](cli::Progress& progress) { return closed_loop(job_of(seen, milliseconds(2)), 50, 7, progress); });
    ASSERT_TRUE(result);
    EXPECT_EQ(result->latencies.size(), 50u);
    EXPECT_EQ(result->verified, 100u);
    EXPECT_EQ(seen.most, 7u);
    EXPECT_EQ(seen.numbers.size(), 50u);
}

TEST(ClosedLoop, MayBeWiderThanItIsLong) {
    Seen seen;
    const auto result = run([&](cli::Progress& progress) { return closed_loop(job_of(seen, milliseconds(1)), 3, 100, progress); });
    ASSERT_TRUE(result);
    EXPECT_EQ(result->latencies.size(), 3u);
    EXPECT_EQ(seen.most, 3u);
}

TEST(ClosedLoop, EndsWithTheFirstError) {
    Seen seen;
    const auto result = run([&](cli::Progress& progress) { return closed_loop(job_of(seen, milliseconds(1), 5), 1000, 2, progress); });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().detail, "piece 5");
    EXPECT_LT(seen.numbers.size(), 10u);
    EXPECT_EQ(seen.running, 0u) << "what was under way has ended";
}

TEST(OpenLoop, DoesNotWaitForThoseUnderWay) {
    Seen seen;
    const auto result = run([&](cli::Progress& progress) { return open_loop(job_of(seen, milliseconds(300)), 40, 2000, progress); });
    ASSERT_TRUE(result);
    EXPECT_EQ(result->latencies.size(), 40u);
    EXPECT_EQ(result->verified, 80u);
    EXPECT_GT(seen.most, 1u);
    for (const auto latency : result->latencies)
        EXPECT_GE(latency, milliseconds(300));
}

TEST(OpenLoop, CountsTheGeneratorsDelayAsLatency) {
    Seen seen;
    // Blocks the loop: those due meanwhile begin late, and their latency must say so.
    const Job blocking = [&](std::uint64_t number) {
        if (number == 0)
            std::this_thread::sleep_for(milliseconds(200));
        return piece(seen, number, milliseconds(1), UINT64_MAX);
    };
    const auto result = run([&](cli::Progress& progress) { return open_loop(blocking, 20, 1000, progress); });
    ASSERT_TRUE(result);
    const auto late = std::count_if(result->latencies.begin(), result->latencies.end(), [](auto latency) { return latency > milliseconds(50); });
    EXPECT_GT(late, 5) << "of 20 that were due within about 20 ms";
}

TEST(OpenLoop, EndsWithTheFirstError) {
    Seen seen;
    const auto result = run([&](cli::Progress& progress) { return open_loop(job_of(seen, milliseconds(1), 3), 100'000, 1000, progress); });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().detail, "piece 3");
    EXPECT_EQ(seen.running, 0u);
}

} // namespace
} // namespace keymeld::bench
