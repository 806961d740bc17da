#include "appliance/cli/command_loop.h"
#include "appliance/cli/progress.h"

#include <csignal>

#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

namespace keymeld::cli {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<int> give(int code) {
    asio::steady_timer timer(co_await asio::this_coro::executor, 1ms);
    co_await timer.async_wait(asio::use_awaitable);
    co_return code;
}

asio::awaitable<int> raise_error() {
    co_await give(0);
    throw std::runtime_error("planned");
}

/// Says when it is destroyed.
struct Guard {
    bool& gone;
    ~Guard() { gone = true; }
};

asio::awaitable<int> wait_for_ever(int signal, bool& gone) {
    const Guard guard{gone};
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::steady_clock::time_point::max());
    std::raise(signal);
    co_await timer.async_wait(asio::use_awaitable);
    co_return 0;
}

asio::awaitable<int> fail_after(bool interrupt, bool& reported) {
    asio::steady_timer timer(co_await asio::this_coro::executor, interrupt ? std::chrono::hours(1) : 1ms);
    if (interrupt)
        std::raise(SIGINT);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_await unless_interrupted();
    reported = true;
    co_return 1;
}

TEST(CommandLoop, GivesTheCommandsExitCode) {
    EXPECT_EQ(run_command([] { return give(0); }), 0);
    EXPECT_EQ(run_command([] { return give(3); }), 3);
}

TEST(CommandLoop, AnExceptionIsAFailure) { EXPECT_EQ(run_command(&raise_error), 1); }

TEST(CommandLoop, SignalsRunDestructorsAndGiveTheShellsCode) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        bool gone = false;
        EXPECT_EQ(run_command([&] { return wait_for_ever(signal, gone); }), 128 + signal);
        EXPECT_TRUE(gone);
    }
}

TEST(CommandLoop, OnlyAnInterruptionIsNotReported) {
    bool reported = false;
    EXPECT_EQ(run_command([&] { return fail_after(false, reported); }), 1);
    EXPECT_TRUE(reported);
    reported = false;
    EXPECT_EQ(run_command([&] { return fail_after(true, reported); }), 128 + SIGINT);
    EXPECT_FALSE(reported);
}

TEST(Progress, KeepsTheTimesOfWhatSucceeded) {
    asio::io_context loop;
    Progress progress(loop.get_executor(), Progress::Style::Silent);
    progress.begin("first");
    progress.begin("second"); // ends the first
    progress.failed();
    progress.begin("third");
    progress.done("result");
    ASSERT_EQ(progress.timings().size(), 2u);
    EXPECT_EQ(progress.timings()[0].first, "first");
    EXPECT_EQ(progress.timings()[1].first, "third");
}

TEST(Progress, WritesTimesForPeople) {
    EXPECT_EQ(duration_text(1500us), "1.5 ms");
    EXPECT_EQ(duration_text(0ns), "0.0 ms");
    EXPECT_EQ(duration_text(2250ms), "2.25 s");
}

} // namespace
} // namespace keymeld::cli
