// The "newc" cpio archive that Linux unpacks as its first file system
// (Documentation/driver-api/early-userspace/buffer-format.rst). Regular files and folders only,
// everything owned by root and dated 1970, so that the same content always gives the same bytes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::eif {

struct ArchiveFile {
    /// Relative, "/" between parts, no part empty, "." or "..".
    std::string path;
    bool executable = false; ///< mode 0755, otherwise 0644
    Bytes content;
};

inline constexpr std::size_t kMaxArchivePath = 255;
inline constexpr std::size_t kMaxArchiveEntries = 4096; ///< files and folders
inline constexpr std::size_t kMaxArchive = 128u * 1024 * 1024;

/// An archive of the files and of the folders that they are in, sorted by path, padded with zeros
/// to a multiple of 512 bytes. `Errc::InvalidArgument` for a bad or repeated path, a file that is
/// also a folder, or too much. [any-thread]
Result<Bytes> write_archive(std::vector<ArchiveFile> files);

/// One entry as it stands in an archive.
struct ArchiveEntry {
    std::string path;
    std::uint32_t mode = 0; ///< type and permissions, as in stat(2)
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t mtime = 0;
    ByteView content; ///< a view into the archive
};

/// Lists one uncompressed archive with nothing after it but zeros: other tools' archives too, so
/// device nodes, links and dates are allowed. `Errc::InvalidArgument` for anything that is no such
/// archive, or is beyond the limits above. [any-thread]
Result<std::vector<ArchiveEntry>> read_archive(ByteView archive);

} // namespace keymeld::eif
