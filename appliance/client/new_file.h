// Files that must be there after a crash, whole or not at all.
#pragma once

#include <filesystem>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::client {

/// A file descriptor that is closed once.
class Descriptor {
  public:
    explicit Descriptor(int fd) : m_fd(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor();
    int get() const { return m_fd; }

  private:
    int m_fd;
};

/// `Errc::Io`, "<path>: <what>".
Error file_error(const std::filesystem::path& path, std::string_view what);

/// Creates `path` with mode 0600 and flushes it and its folder to disk. `Errc::Io`: a file that exists is never overwritten, and what could
/// not be written to its end is taken away again.
Status write_new_file(const std::filesystem::path& path, ByteView content);

/// Flushes the folder that `file` is in, so that a rename in it survives a crash. `Errc::Io`.
Status sync_folder_of(const std::filesystem::path& file);

} // namespace keymeld::client
