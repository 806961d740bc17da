#include "appliance/fleet/child_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace keymeld::fleet {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using boost::system::error_code;

namespace {

Error system_error(std::string_view doing) {
    return fail(Errc::Io, std::string(doing) + ": " + std::strerror(errno));
}

/// What the child does between fork and exec; async-signal-safe calls only. Reports a failure as errno through `report`.
[[noreturn]] void become(const char* program, char* const* argv, const char* folder, int log, int output, int report,
                         pid_t parent) {
    const auto give_up = [report] {
        const int code = errno;
        const ssize_t written = ::write(report, &code, sizeof code);
        ::_exit(written == static_cast<ssize_t>(sizeof code) ? 127 : 126);
    };
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        give_up();
    if (::getppid() != parent) // it died before the line above
        ::_exit(126);
    ::setpgid(0, 0);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = ::open("/dev/null", O_RDONLY);
    if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 || ::dup2(log, STDERR_FILENO) < 0)
        give_up();
    if (folder != nullptr && ::chdir(folder) != 0)
        give_up();
    ::execv(program, argv);
    give_up();
    ::_exit(126);
}

/// Waits until `fd` is readable.
Async<Status> readable(int fd, SteadyTime deadline) {
    const auto executor = co_await asio::this_coro::executor;
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        co_return system_error("watching a child process");
    // Shared with the timer's handler, which may be on its way when the wait ends.
    const auto watched = std::make_shared<asio::posix::stream_descriptor>(executor, copy);
    asio::steady_timer timer(executor, deadline);
    timer.async_wait([watched](const error_code& error) {
        if (!error) {
            error_code ignored;
            watched->cancel(ignored);
        }
    });
    error_code error;
    co_await watched->async_wait(asio::posix::stream_descriptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
    if (error)
        co_return fail(std::chrono::steady_clock::now() >= deadline ? Errc::DeadlineExceeded : Errc::Cancelled,
                       "stopped waiting for a child process");
    co_return Status();
}

} // namespace

void Descriptor::reset() {
    if (m_fd >= 0)
        ::close(m_fd);
    m_fd = -1;
}

Result<ChildProcess> ChildProcess::start(const Command& command) {
    ChildProcess child;
    child.m_name = command.name;
    child.m_log = command.log;
    const Descriptor log(::open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!log.open())
        return system_error("creating " + command.log.string());
    Descriptor output_writer;
    if (command.pipe_output) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0)
            return system_error("making a pipe");
        child.m_output = Descriptor(ends[0]);
        output_writer = Descriptor(ends[1]);
    }
    int report_ends[2];
    if (::pipe2(report_ends, O_CLOEXEC) != 0)
        return system_error("making a pipe");
    const Descriptor report_reader(report_ends[0]);
    Descriptor report_writer(report_ends[1]);

    std::vector<std::string> words{command.program.string()};
    words.insert(words.end(), command.arguments.begin(), command.arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0)
        return system_error("starting " + command.name);
    if (pid == 0)
        become(command.program.c_str(), argv.data(), command.folder.empty() ? nullptr : command.folder.c_str(), log.get(),
               command.pipe_output ? output_writer.get() : log.get(), report_writer.get(), parent);
    child.m_pid = pid;
    // By number: glibc 2.36 declares pidfd_open without C linkage.
    child.m_pidfd = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    report_writer.reset();
    int code = 0;
    ssize_t got = 0;
    do
        got = ::read(report_reader.get(), &code, sizeof code);
    while (got < 0 && errno == EINTR);
    if (got != 0) {
        child.kill();
        return fail(Errc::Io, command.name + ": " + command.program.string() + " cannot be run: " + std::strerror(code));
    }
    if (!child.m_pidfd.open()) {
        const Error error = system_error("watching " + command.name);
        child.kill();
        return error;
    }
    return child;
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
    if (this != &other) {
        kill();
        m_name = std::move(other.m_name);
        m_log = std::move(other.m_log);
        m_pid = std::exchange(other.m_pid, -1);
        m_pidfd = std::move(other.m_pidfd);
        m_output = std::move(other.m_output);
        m_output_buffer = std::move(other.m_output_buffer);
        m_status = other.m_status;
        m_cpu = other.m_cpu;
    }
    return *this;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept { *this = std::move(other); }

ChildProcess::~ChildProcess() { kill(); }

void ChildProcess::reap(int options) {
    if (m_pid < 0 || m_status)
        return;
    cpu_time();
    int status = 0;
    pid_t got = 0;
    do
        got = ::waitpid(m_pid, &status, options);
    while (got < 0 && errno == EINTR);
    if (got == m_pid)
        m_status = status;
    else if (got < 0)
        m_status = 0; // not ours any more: nothing is left to stop
}

bool ChildProcess::running() {
    reap(WNOHANG);
    return m_pid >= 0 && !m_status;
}

std::string ChildProcess::status_text() {
    if (running())
        return "running";
    if (!m_status)
        return "never started";
    if (WIFSIGNALED(*m_status))
        return "killed by signal " + std::to_string(WTERMSIG(*m_status));
    return "exit code " + std::to_string(WEXITSTATUS(*m_status));
}

bool ChildProcess::succeeded() { return !running() && m_status && WIFEXITED(*m_status) && WEXITSTATUS(*m_status) == 0; }

void ChildProcess::send_signal(int signal) {
    if (running())
        ::kill(m_pid, signal);
}

bool ChildProcess::wait_until(SteadyTime deadline) {
    while (running()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return false;
        pollfd entry{m_pidfd.get(), POLLIN, 0};
        ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    }
    return true;
}

void ChildProcess::stop(std::chrono::milliseconds grace) { stop_all({this}, grace); }

void ChildProcess::kill() {
    if (!running())
        return;
    ::kill(m_pid, SIGKILL);
    reap(0);
}

Async<Result<std::string>> ChildProcess::read_line(SteadyTime deadline) {
    constexpr std::size_t kMaxLine = 64 * 1024; // a command's answer in JSON
    for (;;) {
        if (const auto end = m_output_buffer.find('\n'); end != std::string::npos) {
            std::string line = m_output_buffer.substr(0, end);
            m_output_buffer.erase(0, end + 1);
            co_return line;
        }
        if (m_output_buffer.size() > kMaxLine)
            co_return fail(Errc::Io, m_name + " wrote a line that is too long");
        Status ready = co_await readable(m_output.get(), deadline);
        if (!ready)
            co_return std::move(ready).error();
        char chunk[1024];
        const ssize_t got = ::read(m_output.get(), chunk, sizeof chunk);
        if (got <= 0) {
            wait_until(std::chrono::steady_clock::now() + std::chrono::seconds(1)); // it is ending; its exit code says more
            co_return fail(Errc::Disconnected, m_name + " ended (" + status_text() + ")\n" + log_tail());
        }
        m_output_buffer.append(chunk, static_cast<std::size_t>(got));
    }
}

Async<Status> ChildProcess::ended(SteadyTime deadline) {
    if (!running())
        co_return Status();
    Status ready = co_await readable(m_pidfd.get(), deadline);
    if (ready)
        running(); // reaps
    co_return ready;
}

std::chrono::nanoseconds ChildProcess::cpu_time() {
    clockid_t clock{};
    timespec spent{};
    if (m_pid >= 0 && !m_status && ::clock_getcpuclockid(m_pid, &clock) == 0 && ::clock_gettime(clock, &spent) == 0)
        m_cpu = std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec);
    return m_cpu;
}

std::string ChildProcess::log_tail(std::size_t lines) const {
    std::ifstream in(m_log);
    std::deque<std::string> last;
    for (std::string line; std::getline(in, line);) {
        last.push_back(std::move(line));
        if (last.size() > lines)
            last.pop_front();
    }
    std::string out = "--- end of the log of " + m_name + " ---";
    for (const std::string& line : last)
        out += "\n" + line;
    return out;
}

void stop_all(std::vector<ChildProcess*> children, std::chrono::milliseconds grace) {
    for (ChildProcess* child : children)
        child->send_signal(SIGTERM);
    const SteadyTime deadline = std::chrono::steady_clock::now() + grace;
    for (ChildProcess* child : children)
        if (!child->wait_until(deadline))
            child->kill();
}

fs::path program_folder() {
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    return error ? fs::path(".") : program.parent_path();
}

Result<ReservedPort> ReservedPort::take() {
    Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (!socket.open() || ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        return system_error("reserving a TCP port on 127.0.0.1");
    return ReservedPort(std::move(socket), ntohs(address.sin_port));
}

Result<TemporaryFolder> TemporaryFolder::make(std::string_view prefix) {
    std::error_code error;
    fs::path base = fs::temp_directory_path(error);
    if (error)
        return fail(Errc::Io, "no folder for temporary files: " + error.message());
    std::string pattern = (base / (std::string(prefix) + "-XXXXXX")).string();
    if (::mkdtemp(pattern.data()) == nullptr)
        return system_error("making a temporary folder in " + base.string());
    return TemporaryFolder(fs::path(pattern));
}

TemporaryFolder& TemporaryFolder::operator=(TemporaryFolder&& other) noexcept {
    if (this != &other) {
        static_cast<void>(remove());
        m_path = std::exchange(other.m_path, {});
    }
    return *this;
}

TemporaryFolder::~TemporaryFolder() { static_cast<void>(remove()); }

Status TemporaryFolder::remove() {
    if (m_path.empty())
        return {};
    const fs::path path = std::exchange(m_path, {});
    std::error_code error;
    fs::remove_all(path, error);
    if (error)
        return fail(Errc::Io, "the temporary folder " + path.string() + " cannot be removed: " + error.message());
    return {};
}

} // namespace keymeld::fleet
