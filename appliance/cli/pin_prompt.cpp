#include "appliance/cli/pin_prompt.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "appliance/client/credential_store.h"
#include "appliance/client/pin_file.h"
#include "core/secure/compare.h"

namespace keymeld::cli {
namespace {

volatile std::sig_atomic_t g_signal = 0;

/// While it lives, a signal that would end the program ends the reading of a PIN first: the terminal must not stay silent. Then it is raised again.
class Signals {
  public:
    Signals() {
        g_signal = 0;
        struct sigaction note {};
        note.sa_handler = [](int number) { g_signal = number; };
        for (std::size_t i = 0; i < kNumbers.size(); ++i)
            ::sigaction(kNumbers[i], &note, &m_before[i]);
    }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    ~Signals() {
        for (std::size_t i = 0; i < kNumbers.size(); ++i)
            ::sigaction(kNumbers[i], &m_before[i], nullptr);
        if (g_signal != 0)
            ::raise(static_cast<int>(g_signal));
    }

  private:
    static constexpr std::array kNumbers{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    std::array<struct sigaction, kNumbers.size()> m_before{};
};

class Terminal {
  public:
    Terminal() : m_fd(::open("/dev/tty", O_RDWR | O_CLOEXEC)) {
        if (m_fd < 0 || ::tcgetattr(m_fd, &m_before) != 0)
            return;
        termios silent = m_before;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        m_ready = ::tcsetattr(m_fd, TCSAFLUSH, &silent) == 0;
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    ~Terminal() {
        if (m_ready)
            ::tcsetattr(m_fd, TCSAFLUSH, &m_before);
        if (m_fd >= 0)
            ::close(m_fd);
    }

    Result<secure::SecretBytes> ask(std::string_view question) {
        if (!m_ready)
            return fail(Errc::Io, "there is no terminal to ask for the PIN: give --pin-file");
        say(question);
        secure::SecretBytes typed(client::kMaxPin + 1);
        std::size_t size = 0;
        for (;;) {
            if (g_signal != 0)
                return fail(Errc::Cancelled, "interrupted");
            std::uint8_t byte = 0;
            const ssize_t got = ::read(m_fd, &byte, 1);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0 || byte == '\n' || byte == '\r')
                break;
            if (size < typed.size())
                typed.expose_mut()[size++] = byte;
        }
        say("\n");
        return secure::SecretBytes::copy_of(ByteView(typed.expose()).first(size));
    }

  private:
    void say(std::string_view text) { [[maybe_unused]] const ssize_t ignored = ::write(m_fd, text.data(), text.size()); }

    int m_fd;
    termios m_before{};
    bool m_ready = false;
};

} // namespace

Result<secure::SecretBytes> ask_pin(const std::filesystem::path& file, std::string_view question, bool twice) {
    if (!file.empty())
        return client::read_pin_file(file);
    const Signals signals; // outlives the terminal's silence
    Terminal terminal;
    KEYMELD_TRY(auto pin, terminal.ask(std::string(question) + ": "));
    if (!twice)
        return pin;
    KEYMELD_TRY(const auto again, terminal.ask("The same again: "));
    if (!secure::ct_equal(pin.expose(), again.expose()))
        return fail(Errc::InvalidArgument, "the two entries differ");
    return pin;
}

} // namespace keymeld::cli
