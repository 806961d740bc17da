#include "enclave/simulator/file_sealing.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "enclave/signer/secret_codec.h"

namespace keymeld::enclave {
namespace {

constexpr std::string_view kMagic = "KMSIMKEY";
constexpr std::size_t kFileSize = 8 + 32 + 8 + 8; // magic, key, epoch, generation time

class File {
  public:
    explicit File(int fd) : m_fd(fd) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (m_fd >= 0)
            ::close(m_fd);
    }
    int get() const { return m_fd; }

  private:
    int m_fd;
};

Error io(const std::filesystem::path& file, const char* what) {
    return fail(Errc::Io,
                "cannot " + std::string(what) + " " + file.string() + ": " + std::strerror(errno));
}

Error invalid(const std::filesystem::path& file, const char* what) {
    return fail(Errc::ConfigInvalid, file.string() + ": " + what);
}

Result<EnclaveIdentity> read_identity(const std::filesystem::path& path, const File& file) {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0)
        return io(path, "read");
    if (!S_ISREG(status.st_mode) || status.st_size != static_cast<off_t>(kFileSize))
        return invalid(path, "is no identity file of the simulator");
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return invalid(path, "may be read by others: chmod 600, or delete it to get a new key");
    secure::SecretBytes content(kFileSize);
    if (::read(file.get(), content.expose_mut().data(), kFileSize) !=
        static_cast<ssize_t>(kFileSize))
        return io(path, "read");
    SecretReader in(content.expose());
    const bool known = as_text(in.raw(kMagic.size())) == kMagic;
    auto key = crypto::SecretKey::parse(in.raw(32));
    const std::uint64_t epoch = in.u64();
    const std::uint64_t generated_at = in.u64();
    if (!known || !key || epoch == 0)
        return invalid(path, "is no identity file of the simulator");
    return EnclaveIdentity::from(std::move(*key), epoch, generated_at);
}

Status write_identity(const std::filesystem::path& path, const EnclaveIdentity& identity) {
    SecretWriter content(kFileSize);
    content.raw(as_bytes(kMagic));
    content.raw(identity.key().expose());
    content.u64(identity.epoch());
    content.u64(identity.generated_at());
    const std::filesystem::path partial = path.string() + "." + std::to_string(::getpid());
    {
        const File file(::open(partial.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                               S_IRUSR | S_IWUSR));
        if (file.get() < 0)
            return io(partial, "create");
        const bool written = ::write(file.get(), content.written().data(), kFileSize) ==
                                 static_cast<ssize_t>(kFileSize) &&
                             ::fsync(file.get()) == 0;
        if (!written) {
            ::unlink(partial.c_str());
            return io(partial, "write");
        }
    }
    // link() and not rename(): a file that appeared meanwhile is another signer's key, which must
    // not be replaced.
    const bool linked = ::link(partial.c_str(), path.c_str()) == 0;
    const Error error = io(path, "create");
    ::unlink(partial.c_str());
    if (!linked)
        return error;
    return {};
}

} // namespace

Result<EnclaveIdentity> FileSealing::begin() {
    {
        const File file(::open(m_file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (file.get() >= 0)
            return read_identity(m_file, file);
        if (errno != ENOENT)
            return io(m_file, "open");
    }
    EnclaveIdentity identity = EnclaveIdentity::generate(1, unix_seconds());
    KEYMELD_CHECK(write_identity(m_file, identity));
    return identity;
}

} // namespace keymeld::enclave
