#include "appliance/token_file.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/secure/cleanse.h"

namespace keymeld::appliance {
namespace {

constexpr std::size_t kMinToken = 16;
constexpr std::size_t kMaxToken = 512;

class Descriptor {
  public:
    explicit Descriptor(const std::filesystem::path& file) : m_fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (m_fd >= 0)
            ::close(m_fd);
    }
    int get() const { return m_fd; }

  private:
    int m_fd;
};

} // namespace

Result<secure::SecretBytes> read_token_file(const std::filesystem::path& file) {
    const auto refuse = [&](const std::string& why) {
        return fail(Errc::ConfigInvalid, "keygen_token_file " + file.string() + ": " + why);
    };
    const Descriptor in(file);
    struct stat info {};
    if (in.get() < 0 || ::fstat(in.get(), &info) != 0)
        return refuse(std::strerror(errno));
    if ((info.st_mode & (S_IROTH | S_IWOTH)) != 0)
        return refuse("everybody can read or write it; chmod o-rw it");
    std::array<std::uint8_t, kMaxToken + 64> buffer{};
    const secure::ScopedCleanse wiped(buffer);
    std::size_t size = 0;
    while (size < buffer.size()) {
        const ssize_t n = ::read(in.get(), buffer.data() + size, buffer.size() - size);
        if (n < 0)
            return refuse(std::strerror(errno));
        if (n == 0)
            break;
        size += static_cast<std::size_t>(n);
    }
    ByteView token(buffer.data(), size);
    const auto is_space = [](std::uint8_t c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!token.empty() && is_space(token.back()))
        token = token.first(token.size() - 1);
    while (!token.empty() && is_space(token.front()))
        token = token.subspan(1);
    const bool printable = std::all_of(token.begin(), token.end(), [](std::uint8_t c) { return c > 0x20 && c < 0x7f; });
    if (token.size() < kMinToken || token.size() > kMaxToken || !printable)
        return refuse("must hold one token of 16 to 512 printable characters without spaces");
    return secure::SecretBytes::copy_of(token);
}

} // namespace keymeld::appliance
