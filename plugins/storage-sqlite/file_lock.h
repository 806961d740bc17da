// Keeps a second appliance off the same database: an advisory lock on "<database>.lock", held as
// long as the object lives and released by the kernel when the process dies.
#pragma once

#include <filesystem>

#include "core/base/result.h"

namespace keymeld::storage_sqlite {

class FileLock {
  public:
    /// Never waits. `Errc::StorageFailed` if somebody holds it or the file cannot be made.
    static Result<FileLock> take(const std::filesystem::path& database);

    FileLock(FileLock&& other) noexcept : m_fd(other.m_fd) { other.m_fd = -1; }
    FileLock& operator=(FileLock&&) = delete;
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    ~FileLock();

  private:
    explicit FileLock(int fd) : m_fd(fd) {}
    int m_fd;
};

} // namespace keymeld::storage_sqlite
