// A child process that cannot outlive its parent, and its readiness, end and CPU time as events and values.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace keymeld::fleet {

template <class T> using Async = boost::asio::awaitable<T>;

/// A file descriptor that is closed once.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int fd) : m_fd(fd) {}
    Descriptor(Descriptor&& other) noexcept : m_fd(std::exchange(other.m_fd, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) {
            reset();
            m_fd = std::exchange(other.m_fd, -1);
        }
        return *this;
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { reset(); }

    int get() const { return m_fd; }
    bool open() const { return m_fd >= 0; }
    void reset();

  private:
    int m_fd = -1;
};

/// The child runs in a process group of its own, so that a Ctrl-C in the terminal reaches the parent alone and the parent decides in which
/// order to stop; the kernel kills the child when the parent's starting thread ends, whatever the reason. Nothing secret may be in the
/// arguments: every user of the machine can read them.
/// Thread rule: start from a thread that lives as long as the child; one thread at a time.
class ChildProcess {
  public:
    struct Command {
        std::string name;                   ///< for messages: "appliance", "enclave 2"
        std::filesystem::path program;
        std::vector<std::string> arguments; ///< public
        std::filesystem::path folder;       ///< working folder; empty: the parent's
        std::filesystem::path log;          ///< standard error, appended; also standard output unless it is piped
        bool pipe_output = false;           ///< standard output can be read with read_line()
    };

    /// `Errc::Io` if the program cannot be run; the detail says why.
    static Result<ChildProcess> start(const Command& command);

    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&& other) noexcept;
    /// Kills the child if it runs.
    ~ChildProcess();

    const std::string& name() const { return m_name; }
    pid_t pid() const { return m_pid; }
    /// False once it ended; it is reaped then and status_text() tells how.
    bool running();
    /// "exit code 1", "killed by signal 9"; "running".
    std::string status_text();
    /// True if it ended with exit code 0.
    bool succeeded();

    void send_signal(int signal);
    /// Blocks until it ended, at most until `deadline`; false if it still runs.
    bool wait_until(SteadyTime deadline);
    /// SIGTERM, then SIGKILL after `grace`; blocks until it is gone.
    void stop(std::chrono::milliseconds grace);
    /// SIGKILL; blocks until it is gone.
    void kill();

    /// The next line of its standard output, without the line end. `Errc::Disconnected` if it closed its output or ended,
    /// `Errc::DeadlineExceeded`. Lines of at most 64 KiB.
    Async<Result<std::string>> read_line(SteadyTime deadline);
    /// Ends when the child has ended. `Errc::DeadlineExceeded`.
    Async<Status> ended(SteadyTime deadline);

    /// User and system time of all its threads so far; of a process that ended, what was known when it was last asked. [any-thread]
    std::chrono::nanoseconds cpu_time();
    /// The last lines of its log, for messages.
    std::string log_tail(std::size_t lines = 12) const;

  private:
    ChildProcess() = default;
    void reap(int options);

    std::string m_name;
    std::filesystem::path m_log;
    pid_t m_pid = -1;
    Descriptor m_pidfd;
    Descriptor m_output;
    std::string m_output_buffer;
    std::optional<int> m_status;
    std::chrono::nanoseconds m_cpu{0};
};

/// Stops all of them together: SIGTERM to each, then SIGKILL to those that are still there after `grace`. Blocks.
void stop_all(std::vector<ChildProcess*> children, std::chrono::milliseconds grace);

/// The folder of the running program.
std::filesystem::path program_folder();

/// A TCP port of 127.0.0.1 that nobody else gets while this object lives, and that a server with SO_REUSEADDR can listen on all the same: the
/// object holds it bound, not listening.
class ReservedPort {
  public:
    static Result<ReservedPort> take();
    std::uint16_t number() const { return m_number; }

  private:
    ReservedPort(Descriptor socket, std::uint16_t number) : m_socket(std::move(socket)), m_number(number) {}
    Descriptor m_socket;
    std::uint16_t m_number;
};

/// A folder of its own under $TMPDIR or /tmp, mode 0700, removed with all its content on destruction.
class TemporaryFolder {
  public:
    static Result<TemporaryFolder> make(std::string_view prefix);
    TemporaryFolder(TemporaryFolder&& other) noexcept : m_path(std::exchange(other.m_path, {})) {}
    TemporaryFolder& operator=(TemporaryFolder&& other) noexcept;
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder();
    const std::filesystem::path& path() const { return m_path; }
    /// Removes it now. `Errc::Io` if something of it is still there.
    Status remove();

  private:
    explicit TemporaryFolder(std::filesystem::path path) : m_path(std::move(path)) {}
    std::filesystem::path m_path;
};

} // namespace keymeld::fleet
