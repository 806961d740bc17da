#include "appliance/cli/pin_prompt.h"

#include <cerrno>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "appliance/client/credential_store.h"
#include "appliance/client/pin_file.h"
#include "core/secure/compare.h"

namespace keymeld::cli {
namespace {

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
