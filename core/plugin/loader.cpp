#include "core/plugin/loader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <boost/dll/library_info.hpp>
#include <boost/dll/shared_library.hpp>

#include "core/base/hex.h"
#include "core/crypto/digest.h"
#include "core/plugin/build_fingerprint.h"
#include "core/plugin/storage.h"
#include "core/plugin/transport.h"
#include "core/plugin/tweak.h"

namespace keymeld::plugin {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxName = 64;
constexpr off_t kMaxFile = 256 * 1024 * 1024;

Error refuse(Errc code, const fs::path& file, std::string_view reason, std::string_view remedy) {
    return fail(code, file.string() + ": " + std::string(reason) + "; " + std::string(remedy));
}

Error incompatible(const fs::path& file, std::string_view reason, std::string_view remedy) {
    return refuse(Errc::PluginIncompatible, file, reason, remedy);
}

constexpr std::string_view kRebuild =
    "build it again together with this program (same compiler, same sources)";

/// Text of the plugin, fit for one line of a message.
std::string printable(const char* text) {
    std::string out;
    for (std::size_t i = 0; text != nullptr && text[i] != '\0' && i < 300; ++i)
        out.push_back(text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?');
    return out;
}

bool valid_name(std::string_view name) {
    if (name.empty() || name.size() > kMaxName || name.front() == '-' || name.front() == '.')
        return false;
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    });
}

class FileHandle {
  public:
    explicit FileHandle(const fs::path& path)
        : m_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) {}
    FileHandle(const FileHandle&) = delete;
    FileHandle& operator=(const FileHandle&) = delete;
    ~FileHandle() {
        if (m_fd >= 0)
            ::close(m_fd);
    }
    int get() const { return m_fd; }

  private:
    int m_fd;
};

Result<ByteArray<32>> hash_file(int fd, const fs::path& file) {
    crypto::Sha256 digest;
    std::vector<std::uint8_t> buffer(64 * 1024);
    for (;;) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got == 0)
            return digest.finish();
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return incompatible(file, "cannot be read", std::strerror(errno));
        digest.update(ByteView(buffer).first(static_cast<std::size_t>(got)));
    }
}

/// The checks on the file itself; gives its hash.
Result<ByteArray<32>> check_file(const fs::path& file, const Loader::Pin& pin) {
    struct stat info {};
    if (::lstat(file.c_str(), &info) != 0)
        return refuse(Errc::PluginMissing, file, "there is no such plugin",
                      "check `plugins: directory` and the plugin's name");
    if (S_ISLNK(info.st_mode))
        return incompatible(file, "is a symbolic link", "put the file itself there");
    const FileHandle handle(file);
    if (handle.get() < 0 || ::fstat(handle.get(), &info) != 0)
        return incompatible(file, "cannot be opened", std::strerror(errno));
    if (!S_ISREG(info.st_mode))
        return incompatible(file, "is not a regular file", "put the plugin's library there");
    if ((info.st_mode & S_IWOTH) != 0)
        return incompatible(file, "everybody may write to it",
                            "check where it came from, then chmod o-w it");
    if (info.st_size > kMaxFile)
        return incompatible(file, "is larger than 256 MiB", "put the plugin's library there");
    struct stat folder {};
    if (::stat(file.parent_path().c_str(), &folder) == 0 && (folder.st_mode & S_IWOTH) != 0 &&
        (folder.st_mode & S_ISVTX) == 0)
        return incompatible(file, "everybody may write to its folder",
                            "check what is in there, then chmod o-w it");
    KEYMELD_TRY(const auto hash, hash_file(handle.get(), file));
    if (pin && *pin != hash)
        return incompatible(file, "its SHA-256 is " + hex_encode(hash) + " and not the pinned one",
                            "install the pinned file, or change `sha256` if this one is wanted");
    return hash;
}

/// Reads the symbol table only; no code of the file runs.
Status check_exports(const fs::path& file) {
    std::vector<std::string> exported;
    try {
        boost::dll::library_info library(file);
        exported = library.symbols("boostdll");
    } catch (const std::exception&) {
        return incompatible(file, "is not a library of this machine",
                            "put the plugin's library there");
    }
    if (std::ranges::find(exported, kPluginAlias) == exported.end())
        return incompatible(file, "does not export " + std::string(kPluginAlias),
                            "it is a library but not a KeyMeld plugin: put the plugin there");
    return {};
}

/// Maps the library and keeps it for the life of the process.
Result<const void*> load_descriptor(const fs::path& file) {
    // Never destroyed: objects made by a plugin may be destroyed by static destructors.
    static auto& loaded = *new std::vector<boost::dll::shared_library>;
    std::error_code error;
    boost::dll::shared_library library(
        file, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local, error);
    if (error) {
        const char* const why = ::dlerror();
        return incompatible(
            file, "cannot be loaded" + (why ? ": " + printable(why) : std::string()), kRebuild);
    }
    const void* const descriptor = library.get<const void*>(kPluginAlias);
    loaded.push_back(std::move(library));
    if (descriptor == nullptr)
        return incompatible(file, "its descriptor is empty", kRebuild);
    return descriptor;
}

/// Reads field by field, because nothing is known about the descriptor of a stranger before its
/// magic and size are.
Result<const PluginDescriptor*> check_descriptor(const fs::path& file, const void* raw,
                                                 std::string_view name) {
    std::uint64_t magic = 0;
    std::memcpy(&magic, raw, sizeof(magic));
    if (magic != kPluginMagic)
        return incompatible(file, "its descriptor does not start with KeyMeld's magic number",
                            "it is not a KeyMeld plugin: put the plugin there");
    const auto* const found = static_cast<const PluginDescriptor*>(raw);
    if (found->size < sizeof(PluginDescriptor))
        return incompatible(file,
                            "its descriptor has " + std::to_string(found->size) +
                                " bytes, expected " + std::to_string(sizeof(PluginDescriptor)),
                            kRebuild);
    if (found->interface_version != kInterfaceVersion)
        return incompatible(file,
                            "it speaks plugin interface " +
                                std::to_string(found->interface_version) +
                                ", this program speaks " + std::to_string(kInterfaceVersion),
                            "use the plugin that came with this program");
    const std::string fingerprint = printable(found->build_fingerprint);
    if (fingerprint != KEYMELD_BUILD_FINGERPRINT)
        return incompatible(file,
                            "it was built as '" + fingerprint + "', this program as '" +
                                KEYMELD_BUILD_FINGERPRINT + "'",
                            kRebuild);
    if (printable(found->name) != name)
        return incompatible(file, "it calls itself '" + printable(found->name) + "'",
                            "a plugin's file must be called <name>.so");
    if (found->create == nullptr)
        return incompatible(file, "it has no factory", kRebuild);
    return found;
}

struct Checked {
    fs::path file;
    const PluginDescriptor* descriptor;
    ByteArray<32> sha256;
};

Result<Checked> check_all(const fs::path& directory, std::string_view name,
                          const Loader::Pin& pin) {
    if (!directory.is_absolute())
        return fail(Errc::ConfigInvalid,
                    "plugin directory '" + directory.string() + "' must be an absolute path");
    if (!valid_name(name))
        return fail(Errc::ConfigInvalid,
                    "plugin name '" + printable(std::string(name).c_str()) +
                        "' must be a file name without .so: a-z, 0-9, '-', '_' and '.'");
    const fs::path file = directory / (std::string(name) + ".so");
    KEYMELD_TRY(const auto hash, check_file(file, pin));
    KEYMELD_CHECK(check_exports(file));
    KEYMELD_TRY(const void* const raw, load_descriptor(file));
    KEYMELD_TRY(const auto* const descriptor, check_descriptor(file, raw, name));
    return Checked{file, descriptor, hash};
}

template <class T>
Result<std::unique_ptr<T>> make(const fs::path& directory, std::string_view name,
                                const Loader::Pin& pin, PluginKind kind) {
    KEYMELD_TRY(const Checked checked, check_all(directory, name, pin));
    if (checked.descriptor->kind != kind)
        return refuse(Errc::PluginWrongKind, checked.file,
                      "it is a " + std::string(text(checked.descriptor->kind)) + " plugin, and a " +
                          std::string(text(kind)) + " plugin is needed here",
                      "name another plugin in the configuration");
    std::string reason = "its factory threw something that is not a std::exception";
    try {
        if (void* const made = checked.descriptor->create())
            return std::unique_ptr<T>(static_cast<T*>(made));
        reason = "its factory returned nothing";
    } catch (const std::exception& thrown) {
        reason = "its factory failed: " + printable(thrown.what());
    } catch (...) {
        // `reason` says so already.
    }
    return refuse(Errc::PluginFailed, checked.file, reason, "see the plugin's own documentation");
}

} // namespace

std::string_view text(PluginKind kind) {
    switch (kind) {
    case PluginKind::Storage:
        return "storage";
    case PluginKind::Transport:
        return "transport";
    case PluginKind::Tweak:
        return "tweak";
    }
    return "unknown";
}

Loader::Loader(fs::path directory) : m_directory(std::move(directory)) {}

Result<std::unique_ptr<StoragePlugin>> Loader::storage(std::string_view name,
                                                       const Pin& pin) const {
    return make<StoragePlugin>(m_directory, name, pin, PluginKind::Storage);
}

Result<std::unique_ptr<TransportPlugin>> Loader::transport(std::string_view name,
                                                           const Pin& pin) const {
    return make<TransportPlugin>(m_directory, name, pin, PluginKind::Transport);
}

Result<std::unique_ptr<TweakPlugin>> Loader::tweak(std::string_view name, const Pin& pin) const {
    return make<TweakPlugin>(m_directory, name, pin, PluginKind::Tweak);
}

Result<PluginInfo> Loader::inspect(std::string_view name, const Pin& pin) const {
    KEYMELD_TRY(Checked checked, check_all(m_directory, name, pin));
    return PluginInfo{checked.file, checked.descriptor->kind, printable(checked.descriptor->name),
                      printable(checked.descriptor->version), checked.sha256};
}

Result<std::vector<std::string>> Loader::names() const {
    std::vector<std::string> found;
    std::error_code error;
    fs::directory_iterator entries(m_directory, error);
    if (error)
        return fail(Errc::PluginMissing, m_directory.string() +
                                             ": the plugin directory cannot be read: " +
                                             error.message() + "; check `plugins: directory`");
    for (; !error && entries != fs::directory_iterator(); entries.increment(error))
        if (entries->path().extension() == ".so")
            found.push_back(entries->path().stem().string());
    std::ranges::sort(found);
    return found;
}

} // namespace keymeld::plugin
