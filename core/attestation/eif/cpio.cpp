#include "core/attestation/eif/cpio.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace keymeld::eif {
namespace {

constexpr std::string_view kEntryMagic = "070701";
constexpr std::string_view kTrailer = "TRAILER!!!";
constexpr std::size_t kFields = 13;
constexpr std::size_t kEntryHeaderSize = 6 + kFields * 8;
constexpr std::size_t kAlign = 4;
constexpr std::size_t kBlock = 512;
constexpr std::uint32_t kFolderMode = 0040755;
constexpr std::uint32_t kFileMode = 0100644;
constexpr std::uint32_t kProgramMode = 0100755;

Error invalid_archive(std::string what, std::source_location where = std::source_location::current()) {
    return fail(Errc::InvalidArgument, "cpio archive: " + std::move(what), where);
}

/// The thirteen numbers of a header, in their order.
struct Fields {
    std::uint32_t ino = 0, mode = 0, uid = 0, gid = 0, links = 1, mtime = 0, size = 0;
    std::uint32_t device_major = 0, device_minor = 0, node_major = 0, node_minor = 0;
    std::uint32_t name_size = 0, check = 0;

    std::array<std::uint32_t, kFields> list() const {
        return {ino,          mode,         uid,        gid,        links,     mtime, size,
                device_major, device_minor, node_major, node_minor, name_size, check};
    }
};

class ArchiveWriter {
  public:
    void add(std::string_view path, Fields fields, ByteView content) {
        static constexpr std::string_view digits = "0123456789abcdef";
        fields.name_size = static_cast<std::uint32_t>(path.size() + 1);
        fields.size = static_cast<std::uint32_t>(content.size());
        append(as_bytes(kEntryMagic));
        for (const std::uint32_t number : fields.list())
            for (unsigned shift = 32; shift > 0; shift -= 4)
                m_out.push_back(static_cast<std::uint8_t>(digits[(number >> (shift - 4)) & 0xfu]));
        append(as_bytes(path));
        m_out.push_back(0);
        pad(kAlign);
        append(content);
        pad(kAlign);
    }
    void pad(std::size_t multiple) {
        m_out.resize((m_out.size() + multiple - 1) / multiple * multiple);
    }
    Bytes take() && { return std::move(m_out); }

  private:
    void append(ByteView bytes) { m_out.insert(m_out.end(), bytes.begin(), bytes.end()); }
    Bytes m_out;
};

Status check_path(std::string_view path) {
    const auto bad = [&](const char* why) {
        return Status(invalid_archive("the path \"" + std::string(path) + "\" " + why));
    };
    if (path.empty() || path.size() > kMaxArchivePath)
        return invalid_archive("a path is empty or too long");
    if (path == kTrailer)
        return bad("would end the archive");
    if (std::ranges::any_of(
            path, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        return invalid_archive("a path has a control character");
    for (std::size_t start = 0; start <= path.size();) {
        const std::size_t end = std::min(path.find('/', start), path.size());
        const std::string_view part = path.substr(start, end - start);
        if (part.empty() || part == "." || part == "..")
            return bad("is absolute or has an empty part, \".\" or \"..\"");
        start = end + 1;
    }
    return {};
}

class ArchiveReader {
  public:
    explicit ArchiveReader(ByteView archive) : m_archive(archive) {}

    /// The next entry and its header's numbers; `done()` says when it was the last.
    Status next(ArchiveEntry& entry, bool& last) {
        if (m_archive.size() - m_at < kEntryHeaderSize)
            return invalid_archive("it ends before its trailer");
        if (as_text(m_archive.subspan(m_at, kEntryMagic.size())) != kEntryMagic)
            return invalid_archive("an entry does not start with 070701: it is of another kind, or packed");
        m_at += kEntryMagic.size();
        std::array<std::uint32_t, kFields> numbers{};
        for (std::uint32_t& number : numbers)
            KEYMELD_CHECK(hex(number));
        const std::size_t size = numbers[6];
        const std::size_t name_size = numbers[11];
        if (name_size < 2 || name_size > kMaxArchivePath + 1)
            return invalid_archive("an entry's name is empty or too long");
        KEYMELD_TRY(const ByteView name, take(name_size));
        if (name.back() != 0 || std::ranges::count(name, 0) != 1)
            return invalid_archive("an entry's name does not end where it should");
        KEYMELD_CHECK(align());
        entry.path = std::string(as_text(name.first(name_size - 1)));
        entry.mode = numbers[1];
        entry.uid = numbers[2];
        entry.gid = numbers[3];
        entry.mtime = numbers[5];
        last = entry.path == kTrailer;
        if (last && size != 0)
            return invalid_archive("its trailer has content");
        KEYMELD_TRY(entry.content, take(size));
        return align();
    }

    bool only_zeros_left() const {
        return std::ranges::all_of(m_archive.subspan(m_at), [](std::uint8_t b) { return b == 0; });
    }

  private:
    Status hex(std::uint32_t& number) {
        for (const std::uint8_t c : m_archive.subspan(m_at, 8)) {
            std::uint32_t digit = 0;
            if (c >= '0' && c <= '9')
                digit = c - std::uint32_t{'0'};
            else if (c >= 'a' && c <= 'f')
                digit = c - std::uint32_t{'a'} + 10;
            else if (c >= 'A' && c <= 'F')
                digit = c - std::uint32_t{'A'} + 10;
            else
                return invalid_archive("a number in a header is not hexadecimal");
            number = (number << 4) | digit;
        }
        m_at += 8;
        return {};
    }

    Result<ByteView> take(std::size_t size) {
        if (size > m_archive.size() - m_at)
            return invalid_archive("it ends inside an entry");
        const ByteView taken = m_archive.subspan(m_at, size);
        m_at += size;
        return taken;
    }

    Status align() {
        while (m_at % kAlign != 0) {
            KEYMELD_TRY(const ByteView padding, take(1));
            if (padding.front() != 0)
                return invalid_archive("padding is not zero");
        }
        return {};
    }

    ByteView m_archive;
    std::size_t m_at = 0;
};

} // namespace

Result<Bytes> write_archive(std::vector<ArchiveFile> files) {
    // Sorted by path, so that a folder comes before what is in it.
    std::map<std::string, const ArchiveFile*> entries;
    std::size_t total = 0;
    for (const ArchiveFile& file : files) {
        KEYMELD_CHECK(check_path(file.path));
        if (!entries.emplace(file.path, &file).second)
            return invalid_archive(file.path + " occurs twice");
        total += file.content.size() + kEntryHeaderSize + kMaxArchivePath + 2 * kAlign;
        if (total > kMaxArchive || entries.size() > kMaxArchiveEntries)
            return invalid_archive("it would be too long");
    }
    for (const ArchiveFile& file : files)
        for (std::size_t slash = file.path.find('/'); slash != std::string::npos;
             slash = file.path.find('/', slash + 1)) {
            const auto folder = entries.emplace(file.path.substr(0, slash), nullptr).first;
            if (folder->second != nullptr)
                return invalid_archive(folder->first + " is both a file and a folder");
            if (entries.size() > kMaxArchiveEntries)
                return invalid_archive("it would have too many entries");
        }

    ArchiveWriter out;
    std::uint32_t ino = 0;
    for (const auto& [path, file] : entries) {
        Fields fields;
        fields.ino = ++ino;
        if (file == nullptr) {
            fields.mode = kFolderMode;
            fields.links = 2;
            out.add(path, fields, {});
        } else {
            fields.mode = file->executable ? kProgramMode : kFileMode;
            out.add(path, fields, file->content);
        }
    }
    out.add(kTrailer, {}, {});
    out.pad(kBlock);
    return std::move(out).take();
}

Result<std::vector<ArchiveEntry>> read_archive(ByteView archive) {
    if (archive.size() > kMaxArchive)
        return invalid_archive("it is too long");
    ArchiveReader reader(archive);
    std::vector<ArchiveEntry> entries;
    for (;;) {
        ArchiveEntry entry;
        bool last = false;
        KEYMELD_CHECK(reader.next(entry, last));
        if (last)
            break;
        if (entries.size() == kMaxArchiveEntries)
            return invalid_archive("it has too many entries");
        entries.push_back(std::move(entry));
    }
    if (!reader.only_zeros_left())
        return invalid_archive("there is something after its trailer");
    return entries;
}

} // namespace keymeld::eif
