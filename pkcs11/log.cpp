#include "pkcs11/log.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>

#include <unistd.h>

#include "core/base/utf8.h"

namespace keymeld::pkcs11::log {
namespace {

std::atomic<Level> g_level{Level::Error};

/// A standard error that nobody reads any more must not end the application: the signal that says so is taken back, unless one was pending.
class WithoutSigpipe {
  public:
    WithoutSigpipe() {
        sigset_t pending;
        sigemptyset(&m_pipe);
        sigaddset(&m_pipe, SIGPIPE);
        m_was_pending = ::sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, &m_pipe, &m_before);
    }
    WithoutSigpipe(const WithoutSigpipe&) = delete;
    WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;
    ~WithoutSigpipe() {
        const timespec at_once{};
        while (!m_was_pending && ::sigtimedwait(&m_pipe, nullptr, &at_once) < 0 && errno == EINTR) {
        }
        ::pthread_sigmask(SIG_SETMASK, &m_before, nullptr);
    }

  private:
    sigset_t m_pipe;
    sigset_t m_before;
    bool m_was_pending = false;
};

void write_line(std::string_view text) {
    const std::string line = "keymeld-pkcs11: " + one_line(text) + "\n";
    const WithoutSigpipe guard;
    // Not through stdio: its buffers are the application's. What cannot be written is lost.
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
}

} // namespace

void set_level(Level level) { g_level = level; }

void error(std::string_view text) {
    if (g_level.load() >= Level::Error)
        write_line(text);
}

void info(std::string_view text) {
    if (g_level.load() >= Level::Info)
        write_line(text);
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

} // namespace keymeld::pkcs11::log
