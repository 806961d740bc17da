#include "appliance/client/new_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace keymeld::client {
namespace {

Status write_all(const std::filesystem::path& path, int fd, ByteView content) {
    while (!content.empty()) {
        const ssize_t put = ::write(fd, content.data(), content.size());
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return file_error(path, std::strerror(errno));
        content = content.subspan(static_cast<std::size_t>(put));
    }
    if (::fsync(fd) != 0)
        return file_error(path, std::strerror(errno));
    return {};
}

} // namespace

Descriptor::~Descriptor() {
    if (m_fd >= 0)
        ::close(m_fd);
}

Error file_error(const std::filesystem::path& path, std::string_view what) {
    return fail(Errc::Io, path.string() + ": " + std::string(what));
}

Status write_new_file(const std::filesystem::path& path, ByteView content) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600));
    if (file.get() < 0)
        return file_error(path, errno == EEXIST ? "exists already and is not overwritten" : std::strerror(errno));
    Status written = write_all(path, file.get(), content);
    if (!written) {
        ::unlink(path.c_str());
        return written;
    }
    return sync_folder_of(path);
}

Status sync_folder_of(const std::filesystem::path& file) {
    const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    const Descriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // EINVAL: a file system that keeps no folders to flush. A folder that may be written to and not read cannot be flushed by us.
    if ((handle.get() < 0 && errno != EACCES) || (handle.get() >= 0 && ::fsync(handle.get()) != 0 && errno != EINVAL))
        return file_error(folder, std::strerror(errno));
    return {};
}

} // namespace keymeld::client
