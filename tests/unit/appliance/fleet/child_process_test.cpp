#include "appliance/fleet/child_process.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace keymeld::fleet {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

class ChildProcessTest : public ::testing::Test {
  protected:
    ChildProcess shell(const std::string& script, bool pipe = false) {
        auto child = ChildProcess::start({.name = "shell",
                                          .program = "/bin/sh",
                                          .arguments = {"-c", script},
                                          .folder = m_folder->path(),
                                          .log = m_folder->path() / "log",
                                          .pipe_output = pipe});
        EXPECT_TRUE(child) << (child ? "" : child.error().detail);
        return std::move(*child);
    }
    template <class T> T run(Async<T> task) {
        boost::asio::io_context loop;
        std::optional<T> out;
        boost::asio::co_spawn(loop, std::move(task), [&out](std::exception_ptr error, T value) {
            ASSERT_FALSE(error);
            out.emplace(std::move(value));
        });
        loop.run();
        return std::move(*out);
    }

    Result<TemporaryFolder> m_folder = TemporaryFolder::make("keymeld-unit");
};

TEST_F(ChildProcessTest, TellsHowItEnded) {
    ChildProcess good = shell("exit 0");
    EXPECT_TRUE(good.wait_until(steady_clock::now() + 10s));
    EXPECT_TRUE(good.succeeded());
    ChildProcess bad = shell("exit 3");
    EXPECT_TRUE(bad.wait_until(steady_clock::now() + 10s));
    EXPECT_FALSE(bad.succeeded());
    EXPECT_EQ(bad.status_text(), "exit code 3");
    ChildProcess killed = shell("sleep 60");
    EXPECT_EQ(killed.status_text(), "running");
    killed.kill();
    EXPECT_EQ(killed.status_text(), "killed by signal 9");
}

TEST_F(ChildProcessTest, NamesTheProgramThatCannotBeRun) {
    const auto child = ChildProcess::start({.name = "nothing",
                                            .program = m_folder->path() / "missing",
                                            .arguments = {},
                                            .folder = {},
                                            .log = m_folder->path() / "log"});
    ASSERT_FALSE(child);
    EXPECT_EQ(child.error().code, Errc::Io);
    EXPECT_NE(child.error().detail.find("missing cannot be run: No such file"), std::string::npos) << child.error().detail;
}

TEST_F(ChildProcessTest, ReadsLinesAndNoticesTheEnd) {
    ChildProcess child = shell("echo one; echo two; echo trouble >&2; exit 5", true);
    const SteadyTime deadline = steady_clock::now() + 10s;
    EXPECT_EQ(run(child.read_line(deadline)).value(), "one");
    EXPECT_EQ(run(child.read_line(deadline)).value(), "two");
    const auto end = run(child.read_line(deadline));
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, Errc::Disconnected);
    EXPECT_NE(end.error().detail.find("exit code 5"), std::string::npos);
    EXPECT_NE(end.error().detail.find("trouble"), std::string::npos) << "the log is shown";
}

TEST_F(ChildProcessTest, WaitsNoLongerThanItIsTold) {
    ChildProcess child = shell("sleep 60", true);
    const auto line = run(child.read_line(steady_clock::now() + 50ms));
    ASSERT_FALSE(line);
    EXPECT_EQ(line.error().code, Errc::DeadlineExceeded);
    const Status ended = run(child.ended(steady_clock::now() + 50ms));
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code, Errc::DeadlineExceeded);
    EXPECT_FALSE(child.wait_until(steady_clock::now() + 20ms));
    child.send_signal(SIGTERM);
    EXPECT_TRUE(run(child.ended(steady_clock::now() + 10s)));
    EXPECT_EQ(child.status_text(), "killed by signal 15");
}

TEST_F(ChildProcessTest, StopsWithGraceThenByForce) {
    ChildProcess polite = shell("trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done", true);
    ASSERT_TRUE(run(polite.read_line(steady_clock::now() + 10s)));
    ChildProcess deaf = shell("trap '' TERM; echo up; while :; do sleep 0.05; done", true);
    ASSERT_TRUE(run(deaf.read_line(steady_clock::now() + 10s)));
    stop_all({&polite, &deaf}, 500ms);
    EXPECT_TRUE(polite.succeeded()) << polite.status_text();
    EXPECT_EQ(deaf.status_text(), "killed by signal 9");
}

TEST_F(ChildProcessTest, CountsCpuTime) {
    ChildProcess busy = shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; sleep 60", true);
    ASSERT_TRUE(run(busy.read_line(steady_clock::now() + 60s)));
    const auto spent = busy.cpu_time();
    EXPECT_GT(spent, 5ms);
    busy.kill();
    EXPECT_GE(busy.cpu_time(), spent) << "the last figure is kept";
}

TEST_F(ChildProcessTest, DiesWithItsParent) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t parent = ::fork();
    ASSERT_GE(parent, 0);
    if (parent == 0) {
        auto child = ChildProcess::start(
            {.name = "orphan", .program = "/bin/sleep", .arguments = {"60"}, .folder = {}, .log = m_folder->path() / "log"});
        const pid_t pid = child ? child->pid() : -1;
        const bool told = ::write(ends[1], &pid, sizeof pid) == static_cast<ssize_t>(sizeof pid);
        ::kill(::getpid(), told ? SIGKILL : SIGABRT); // no destructor runs
    }
    pid_t orphan = -1;
    ASSERT_EQ(::read(ends[0], &orphan, sizeof orphan), static_cast<ssize_t>(sizeof orphan));
    ASSERT_GT(orphan, 0);
    const Descriptor watch(static_cast<int>(::syscall(SYS_pidfd_open, orphan, 0)));
    int status = 0;
    ASSERT_EQ(::waitpid(parent, &status, 0), parent);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    if (watch.open()) { // otherwise it is gone already
        fd_set set;
        FD_ZERO(&set);
        FD_SET(watch.get(), &set);
        timeval limit{10, 0};
        EXPECT_EQ(::select(watch.get() + 1, &set, nullptr, nullptr, &limit), 1) << "the child outlived its parent";
    }
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST(TemporaryFolder, IsPrivateAndGoesAway) {
    std::filesystem::path path;
    {
        auto folder = TemporaryFolder::make("keymeld-unit");
        ASSERT_TRUE(folder);
        path = folder->path();
        std::ofstream(path / "file") << "text";
        EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_all);
        TemporaryFolder moved = std::move(*folder);
        EXPECT_TRUE(std::filesystem::exists(path));
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ReservedPort, KeepsOthersAwayAndLetsAServerListen) {
    const auto port = ReservedPort::take();
    ASSERT_TRUE(port);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port->number());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto bind_to = [&](bool reuse) {
        Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        if (reuse && ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
            return false;
        return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(socket.get(), 1) == 0;
    };
    EXPECT_FALSE(bind_to(false));
    EXPECT_TRUE(bind_to(true));
    EXPECT_TRUE(bind_to(true)) << "again, after the first server is gone";
}

} // namespace
} // namespace keymeld::fleet
