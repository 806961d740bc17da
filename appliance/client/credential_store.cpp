#include "appliance/client/credential_store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/client/credential_header.h"
#include "appliance/client/new_file.h"
#include "core/base/hex.h"
#include "core/base/utf8.h"
#include "core/crypto/aead.h"
#include "core/secure/random.h"

namespace keymeld::client {
namespace {

constexpr std::size_t kMaxFile = 16 * 1024 * 1024;
constexpr std::size_t kSecretsPerKey = 64;

Result<std::string> read_checked(const std::filesystem::path& path, int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0)
        return file_error(path, std::strerror(errno));
    if (!S_ISREG(info.st_mode))
        return file_error(path, "is not a regular file");
    if ((info.st_mode & 077) != 0)
        return file_error(path, "others than its owner may use this file: chmod 600 it");
    if (info.st_uid != ::geteuid() && info.st_uid != 0)
        return file_error(path, "belongs to another user");
    if (info.st_size < 0 || static_cast<std::size_t>(info.st_size) > kMaxFile)
        return file_error(path, "is too large for a credential store");
    std::string text(static_cast<std::size_t>(info.st_size), '\0');
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t got = ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return file_error(path, "could not be read to its end");
        done += static_cast<std::size_t>(got);
    }
    return text;
}

} // namespace

bool is_label(std::string_view text, std::size_t max) {
    return !text.empty() && text.size() <= max && is_utf8(text) &&
           std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<Endpoint> StoreHeader::endpoint() const {
    KEYMELD_TRY(Endpoint out, Endpoint::parse(url));
    if (certificate_sha256 && !out.tls)
        return fail(Errc::InvalidArgument, "a TLS pin needs an https URL");
    out.certificate_sha256 = certificate_sha256;
    return out;
}

Result<Trust> StoreHeader::enclave_trust() const {
    KEYMELD_TRY(auto policy, attestation::PcrPolicy::parse(pcrs));
    if (trust == "aws")
        return Trust(attestation::AttestationVerifier(attestation::TrustAnchor::aws(), std::move(policy)));
    KEYMELD_TRY(auto root, attestation::TrustAnchor::from_pem(trust));
    return Trust(attestation::AttestationVerifier(std::move(root), std::move(policy)));
}

Result<CredentialStore> CredentialStore::parse(const std::filesystem::path& path, std::string_view text) {
    const auto damaged = [&path](std::string_view why) {
        return fail(Errc::ConfigInvalid, path.string() + ": is no credential store, or damaged: " + std::string(why));
    };
    const auto end = text.find('\n');
    if (end == std::string_view::npos)
        return damaged("it has one line only");
    const std::string_view first = text.substr(0, end);
    std::string_view second = text.substr(end + 1);
    if (!second.ends_with('\n') || second.find('\n') != second.size() - 1)
        return damaged("it has not exactly two lines");
    second.remove_suffix(1);
    auto header = credential_header::parse(first);
    if (!header)
        return damaged(header.error().detail);
    auto sealed = hex_decode(second);
    if (!sealed)
        return damaged("its second line is not hex");
    if (sealed->size() != crypto::kAeadNonceSize + header->header.keys.size() * kSecretsPerKey + crypto::kAeadTagSize)
        return damaged("its two lines do not belong together");
    return CredentialStore(std::move(header->header), Kdf{header->log_n, header->salt}, std::string(first), std::move(*sealed));
}

Result<CredentialStore> CredentialStore::read(const std::filesystem::path& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (file.get() < 0)
        return file_error(path, std::strerror(errno));
    KEYMELD_TRY(const std::string text, read_checked(path, file.get()));
    return parse(path, text);
}

Result<secure::SecretArray<32>> CredentialStore::derive(const Kdf& kdf, ByteView pin) {
    if (pin.size() < kMinPin || pin.size() > kMaxPin)
        return fail(Errc::InvalidArgument, "a PIN has " + std::to_string(kMinPin) + " to " + std::to_string(kMaxPin) + " bytes");
    secure::SecretArray<32> key;
    const std::uint64_t n = std::uint64_t{1} << kdf.log_n;
    const std::uint64_t memory = n * 128 * 8 + (1u << 20);
    if (EVP_PBE_scrypt(reinterpret_cast<const char*>(pin.data()), pin.size(), kdf.salt.data(), kdf.salt.size(), n, 8, 1, memory,
                       key.expose_mut().data(), key.size()) != 1)
        return fail(Errc::Internal, "scrypt failed: too little memory?");
    return key;
}

Result<secure::SecretArray<32>> CredentialStore::derive_key(ByteView pin) const { return derive(m_kdf, pin); }

Result<std::vector<KeySecrets>> CredentialStore::open(const secure::SecretArray<32>& key) const {
    crypto::AeadNonce nonce{};
    std::copy_n(m_sealed.begin(), nonce.size(), nonce.begin());
    const auto plain = crypto::aes256gcm_open(key, nonce, ByteView(m_sealed).subspan(nonce.size()), as_bytes(m_first_line));
    if (!plain)
        return fail(Errc::AuthFailed, "the PIN is wrong, or the credential store was changed by something else than keymeld");
    std::vector<KeySecrets> out;
    out.reserve(m_header.keys.size());
    ByteView rest = plain->expose();
    while (!rest.empty()) {
        out.push_back({SessionSecret::copy_of(rest.first<32>()), secure::SecretArray<32>::copy_of(rest.subspan(32).first<32>())});
        rest = rest.subspan(kSecretsPerKey);
    }
    return out;
}

Status CredentialStore::replace(const std::filesystem::path& path, const Content& content, const Kdf& kdf,
                                const secure::SecretArray<32>& key, bool create) {
    KEYMELD_CHECK(credential_header::check(content.header));
    if (content.secrets.size() != content.header.keys.size())
        return fail(Errc::Internal, "a store needs the secrets of each of its keys");
    const std::string first = credential_header::write({content.header, kdf.log_n, kdf.salt});
    secure::SecretBytes plain(content.secrets.size() * kSecretsPerKey);
    std::size_t at = 0;
    for (const KeySecrets& secrets : content.secrets) {
        std::copy_n(secrets.session_secret.expose().begin(), 32, plain.expose_mut().begin() + static_cast<std::ptrdiff_t>(at));
        std::copy_n(secrets.authentication.expose().begin(), 32, plain.expose_mut().begin() + static_cast<std::ptrdiff_t>(at + 32));
        at += kSecretsPerKey;
    }
    const auto nonce = secure::random_array<crypto::kAeadNonceSize>();
    const std::string text =
        first + "\n" + hex_encode(nonce) + hex_encode(crypto::aes256gcm_seal(key, nonce, plain.expose(), as_bytes(first))) + "\n";
    // What cannot be read again must not take the place of what can.
    const auto again = parse(path, text);
    if (!again || again->m_header != content.header || text.size() > kMaxFile)
        return fail(Errc::InvalidArgument, "what the store would hold is no text, or too much: it stays as it was");
    if (create)
        return write_new_file(path, as_bytes(text));
    const std::filesystem::path next = path.string() + ".new";
    ::unlink(next.c_str()); // of a change that a crash ended
    KEYMELD_CHECK(write_new_file(next, as_bytes(text)));
    if (::rename(next.c_str(), path.c_str()) != 0)
        return file_error(path, std::strerror(errno));
    return sync_folder_of(path);
}

Status CredentialStore::create(const std::filesystem::path& path, StoreHeader header, ByteView pin, KdfCost cost) {
    const Kdf kdf{cost.log_n, secure::random_array<16>()};
    KEYMELD_TRY(const auto key, derive(kdf, pin));
    return replace(path, Content{std::move(header), {}}, kdf, key, true);
}

namespace {

/// Where the store really is: a link to it stays a link, and all its names have one lock.
Result<std::filesystem::path> real_path(const std::filesystem::path& path) {
    std::error_code error;
    auto out = std::filesystem::canonical(path, error);
    if (error)
        return file_error(path, error.message());
    return out;
}

/// Holds `<path>.lock` for one change: the store itself is replaced, so a lock on it would be on a file that is gone.
Result<int> lock_file(const std::filesystem::path& path) {
    const std::filesystem::path lock = path.string() + ".lock";
    const int fd = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
    if (fd < 0)
        return file_error(lock, std::strerror(errno));
    while (::flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            ::close(fd);
            return file_error(lock, std::strerror(errno));
        }
    }
    return fd;
}

} // namespace

Status CredentialStore::update(const std::filesystem::path& name, const secure::SecretArray<32>& key, const Change& change) {
    KEYMELD_TRY(const auto path, real_path(name));
    KEYMELD_TRY(const int fd, lock_file(path));
    const Descriptor lock(fd);
    KEYMELD_TRY(const CredentialStore now, read(path));
    KEYMELD_TRY(auto secrets, now.open(key));
    Content content{now.m_header, std::move(secrets)};
    KEYMELD_CHECK(change(content));
    return replace(path, content, now.m_kdf, key, false);
}

Status CredentialStore::change_pin(const std::filesystem::path& name, ByteView old_pin, ByteView new_pin) {
    KEYMELD_TRY(const auto path, real_path(name));
    KEYMELD_TRY(const int fd, lock_file(path));
    const Descriptor lock(fd);
    KEYMELD_TRY(const CredentialStore now, read(path));
    KEYMELD_TRY(const auto old_key, now.derive_key(old_pin));
    KEYMELD_TRY(auto secrets, now.open(old_key));
    const Kdf kdf{now.m_kdf.log_n, secure::random_array<16>()};
    KEYMELD_TRY(const auto new_key, derive(kdf, new_pin));
    return replace(path, Content{now.m_header, std::move(secrets)}, kdf, new_key, false);
}

} // namespace keymeld::client
