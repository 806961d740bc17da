// Files as keymeld-eif reads and writes them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

#include "core/attestation/eif/cpio.h"
#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::eif {

/// The whole of a regular file of 1 to `max_size` bytes. `Errc::Io`, `Errc::InvalidArgument`; the
/// detail names the file.
Result<Bytes> read_whole(const std::filesystem::path& path, std::size_t max_size);

/// Written beside and renamed, so that a reader never sees half a file. `Errc::Io`.
Status write_whole(const std::filesystem::path& path, ByteView content);

/// A ramdisk: of a folder, the archive of the regular files in it (owners, dates and all rights but
/// "executable" are left out); of a file, its content as it is. `Errc::InvalidArgument` for a link
/// or a device in the folder; `Errc::Io`.
Result<Bytes> make_ramdisk(const std::filesystem::path& source);

} // namespace keymeld::eif
