#include "appliance/client/pin_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keymeld::client {

Result<secure::SecretBytes> read_pin_file(const std::filesystem::path& path) {
    const auto bad = [&path](std::string_view what) { return fail(Errc::Io, path.string() + ": " + std::string(what)); };
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return bad(std::strerror(errno));
    struct stat info {};
    const bool known = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    const bool ours = known && (info.st_mode & 077) == 0 && (info.st_uid == ::geteuid() || info.st_uid == 0);
    secure::SecretBytes content(4096);
    const ssize_t got = ours ? ::read(fd, content.expose_mut().data(), content.size()) : -1;
    ::close(fd);
    if (!known)
        return bad("is not a file");
    if (!ours)
        return bad("others than its owner may use this file: chmod 600 it");
    if (got < 0 || static_cast<std::size_t>(got) == content.size())
        return bad("cannot be read, or is too large for a PIN");
    const ByteView all = ByteView(content.expose()).first(static_cast<std::size_t>(got));
    const auto end = std::find_if(all.begin(), all.end(), [](std::uint8_t byte) { return byte == '\n' || byte == '\r'; });
    return secure::SecretBytes::copy_of(all.first(static_cast<std::size_t>(end - all.begin())));
}

} // namespace keymeld::client
