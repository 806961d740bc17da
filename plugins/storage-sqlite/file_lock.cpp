#include "plugins/storage-sqlite/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace keymeld::storage_sqlite {

// Not a lock on the database file itself: closing any descriptor of it would drop SQLite's own
// locks.
Result<FileLock> FileLock::take(const std::filesystem::path& database) {
    const std::string path = database.string() + ".lock";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(Errc::StorageFailed,
                    "storage: cannot create " + path + ": " + std::strerror(errno));
    FileLock lock(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
        return fail(Errc::StorageFailed,
                    errno == EWOULDBLOCK
                        ? "storage: " + database.string() +
                              " is in use by another appliance; stop that one, or give this one "
                              "another path"
                        : "storage: cannot lock " + path + ": " + std::strerror(errno));
    return lock;
}

FileLock::~FileLock() {
    if (m_fd >= 0)
        ::close(m_fd);
}

} // namespace keymeld::storage_sqlite
