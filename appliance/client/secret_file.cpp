#include "appliance/client/secret_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/client/new_file.h"

namespace keymeld::client {
namespace {

constexpr std::size_t kMaxFile = 1 << 20;

} // namespace

Result<SecretFile> SecretFile::read(const std::filesystem::path& path, std::string_view kind) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (file.get() < 0)
        return file_error(path, std::strerror(errno));
    struct stat info {};
    if (::fstat(file.get(), &info) != 0)
        return file_error(path, std::strerror(errno));
    if (!S_ISREG(info.st_mode))
        return file_error(path, "is not a regular file");
    if ((info.st_mode & 077) != 0)
        return file_error(path, "others than its owner may use this file: chmod 600 it");
    if (info.st_size < 0 || static_cast<std::size_t>(info.st_size) > kMaxFile)
        return file_error(path, "is too large");
    SecretFile out(secure::SecretBytes(static_cast<std::size_t>(info.st_size)), path);
    std::size_t done = 0;
    while (done < out.m_content.size()) {
        const ssize_t got = ::read(file.get(), out.m_content.expose_mut().data() + done, out.m_content.size() - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return file_error(path, "could not be read to its end");
        done += static_cast<std::size_t>(got);
    }
    std::string_view rest = as_text(out.m_content.expose());
    const auto next_line = [&rest] {
        const auto end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        return line;
    };
    if (next_line() != kind)
        return fail(Errc::ConfigInvalid, path.string() + ": is not a " + std::string(kind) + " file");
    while (!rest.empty()) {
        const std::string_view line = next_line();
        const auto colon = line.find(": ");
        if (colon == std::string_view::npos || colon == 0)
            return fail(Errc::ConfigInvalid, path.string() + ": has a line that is not of the form `name: value`");
        const Line entry{line.substr(0, colon), line.substr(colon + 2)};
        for (const Line& known : out.m_lines)
            if (known.name == entry.name)
                return fail(Errc::ConfigInvalid, path.string() + ": has a name twice");
        out.m_lines.push_back(entry);
    }
    return out;
}

Result<ByteView> SecretFile::value(std::string_view name) const {
    for (const Line& line : m_lines)
        if (line.name == name)
            return as_bytes(line.value);
    return fail(Errc::ConfigInvalid, m_path.string() + ": has no line " + std::string(name));
}

Result<std::string_view> SecretFile::text(std::string_view name) const {
    KEYMELD_TRY(const ByteView bytes, value(name));
    return as_text(bytes);
}

SecretFileWriter::SecretFileWriter(std::string_view kind) : m_content(512) {
    append(as_bytes(kind));
    append(as_bytes("\n"));
}

void SecretFileWriter::add(std::string_view name, ByteView value) {
    append(as_bytes(name));
    append(as_bytes(": "));
    append(value);
    append(as_bytes("\n"));
}

void SecretFileWriter::add(std::string_view name, std::string_view value) { add(name, as_bytes(value)); }

void SecretFileWriter::append(ByteView bytes) {
    if (m_size + bytes.size() > m_content.size()) {
        secure::SecretBytes larger(2 * (m_size + bytes.size()));
        std::memcpy(larger.expose_mut().data(), m_content.expose().data(), m_size);
        m_content = std::move(larger);
    }
    std::memcpy(m_content.expose_mut().data() + m_size, bytes.data(), bytes.size());
    m_size += bytes.size();
}

Status SecretFileWriter::write(const std::filesystem::path& path) const {
    return write_new_file(path, ByteView(m_content.expose()).first(m_size));
}

} // namespace keymeld::client
