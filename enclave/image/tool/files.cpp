#include "enclave/image/tool/files.h"

#include <fstream>

#include "core/attestation/eif/image.h"

namespace keymeld::eif {
namespace {

namespace fs = std::filesystem;

Result<ArchiveFile> archive_file(const fs::path& root, const fs::directory_entry& entry) {
    ArchiveFile file;
    file.path = entry.path().lexically_relative(root).generic_string();
    std::error_code error;
    const fs::perms rights = entry.symlink_status(error).permissions();
    if (error)
        return fail(Errc::Io, entry.path().string() + ": " + error.message());
    file.executable = (rights & fs::perms::owner_exec) != fs::perms::none;
    std::ifstream in(entry.path(), std::ios::binary);
    std::uintmax_t size = entry.file_size(error);
    if (!in || error)
        return fail(Errc::Io, entry.path().string() + ": cannot be read");
    if (size > kMaxArchive)
        return fail(Errc::InvalidArgument, entry.path().string() + ": too long for a ramdisk");
    file.content.resize(static_cast<std::size_t>(size));
    in.read(reinterpret_cast<char*>(file.content.data()), static_cast<std::streamsize>(size));
    if (static_cast<std::uintmax_t>(in.gcount()) != size)
        return fail(Errc::Io, entry.path().string() + ": cannot be read");
    return file;
}

} // namespace

Result<Bytes> read_whole(const fs::path& path, std::size_t max_size) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(path, error);
    if (error)
        return fail(Errc::Io, path.string() + ": " + error.message());
    if (size == 0 || size > max_size)
        return fail(Errc::InvalidArgument, path.string() + ": is empty, or longer than " +
                                               std::to_string(max_size) + " bytes");
    Bytes content(static_cast<std::size_t>(size));
    std::ifstream in(path, std::ios::binary);
    in.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(size));
    if (!in || static_cast<std::uintmax_t>(in.gcount()) != size)
        return fail(Errc::Io, path.string() + ": cannot be read");
    return content;
}

Status write_whole(const fs::path& path, ByteView content) {
    fs::path draft = path;
    draft += ".new";
    std::error_code error;
    {
        std::ofstream out(draft, std::ios::binary | std::ios::trunc);
        out.write(reinterpret_cast<const char*>(content.data()),
                  static_cast<std::streamsize>(content.size()));
        out.close();
        if (!out) {
            fs::remove(draft, error);
            return fail(Errc::Io, path.string() + ": cannot be written");
        }
    }
    fs::rename(draft, path, error);
    if (error)
        return fail(Errc::Io, path.string() + ": " + error.message());
    return {};
}

Result<Bytes> make_ramdisk(const fs::path& source) {
    std::error_code error;
    if (!fs::is_directory(source, error))
        return read_whole(source, kMaxRamdisk);
    std::vector<ArchiveFile> files;
    fs::recursive_directory_iterator at(source, error);
    for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
        const fs::file_status status = at->symlink_status(error);
        if (error)
            break;
        if (fs::is_directory(status))
            continue;
        if (!fs::is_regular_file(status))
            return fail(Errc::InvalidArgument,
                        at->path().string() + ": only files and folders can be in a ramdisk");
        if (files.size() == kMaxArchiveEntries)
            return fail(Errc::InvalidArgument, source.string() + ": too many files");
        KEYMELD_TRY(ArchiveFile file, archive_file(source, *at));
        files.push_back(std::move(file));
    }
    if (error)
        return fail(Errc::Io, source.string() + ": " + error.message());
    if (files.empty())
        return fail(Errc::InvalidArgument, source.string() + ": there is no file in it");
    return write_archive(std::move(files));
}

} // namespace keymeld::eif
