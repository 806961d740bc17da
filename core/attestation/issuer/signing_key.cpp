#include "core/attestation/issuer/signing_key.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace keymeld::attestation {
namespace {

constexpr int kHalf = 48;

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePtr = std::unique_ptr<std::FILE, CloseFile>;
struct FreeDigestContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeEcdsaSig {
    void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
};

std::shared_ptr<EVP_PKEY> own(EVP_PKEY* key) {
    return {key, EVP_PKEY_free};
}

Error openssl_failed(const char* what,
                     std::source_location where = std::source_location::current()) {
    ERR_clear_error();
    return fail(Errc::Internal, std::string("OpenSSL cannot ") + what, where);
}

bool is_p384(EVP_PKEY* key) {
    char group[32] = {};
    std::size_t size = 0;
    return EVP_PKEY_is_a(key, "EC") == 1 &&
           EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1 &&
           std::string_view(group, size) == SN_secp384r1;
}

} // namespace

Result<SigningKey> SigningKey::generate() {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384");
    if (!key)
        return openssl_failed("make a key");
    return SigningKey(own(key));
}

Result<SigningKey> SigningKey::load(const std::filesystem::path& path) {
    const FilePtr file(std::fopen(path.c_str(), "rbe"));
    if (!file)
        return fail(Errc::Io, path.string() + ": cannot be opened");
    struct stat status {};
    if (::fstat(::fileno(file.get()), &status) != 0)
        return fail(Errc::Io, path.string() + ": cannot be read");
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fail(Errc::ConfigInvalid,
                    path.string() + ": others may use this key file: chmod 600 it");
    // The callback answers "no password", so that OpenSSL never asks on the terminal.
    const auto no_password = [](char*, int, int, void*) { return 0; };
    auto key = own(PEM_read_PrivateKey(file.get(), nullptr, no_password, nullptr));
    ERR_clear_error();
    if (!key || !is_p384(key.get()))
        return fail(Errc::ConfigInvalid, path.string() + ": no unencrypted P-384 key");
    return SigningKey(std::move(key));
}

Status SigningKey::save(const std::filesystem::path& path) const {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return fail(Errc::Io, path.string() + ": cannot be created, or exists already");
    FilePtr file(::fdopen(descriptor, "wb"));
    if (!file) {
        ::close(descriptor);
        return fail(Errc::Io, path.string() + ": cannot be written");
    }
    const bool written = PEM_write_PKCS8PrivateKey(file.get(), m_key.get(), nullptr, nullptr, 0,
                                                   nullptr, nullptr) == 1;
    ERR_clear_error();
    if (std::fclose(file.release()) != 0 || !written)
        return fail(Errc::Io, path.string() + ": cannot be written");
    return {};
}

cose::Es384PublicKey SigningKey::public_key() const {
    cose::Es384PublicKey point{};
    std::size_t size = 0;
    EVP_PKEY_get_octet_string_param(m_key.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                    point.size(), &size);
    return point;
}

Result<cose::Es384Signature> SigningKey::sign(ByteView message) const {
    const std::unique_ptr<EVP_MD_CTX, FreeDigestContext> context(EVP_MD_CTX_new());
    ByteArray<128> der{};
    std::size_t size = der.size();
    if (!context ||
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha384(), nullptr, m_key.get()) != 1 ||
        EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) != 1)
        return openssl_failed("sign");
    const unsigned char* at = der.data();
    const std::unique_ptr<ECDSA_SIG, FreeEcdsaSig> parts(
        d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
    cose::Es384Signature signature{};
    if (!parts || BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), signature.data(), kHalf) != kHalf ||
        BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), signature.data() + kHalf, kHalf) != kHalf)
        return openssl_failed("sign");
    return signature;
}

cose::Es384Sign SigningKey::signer() const {
    return [key = *this](ByteView message) { return key.sign(message); };
}

} // namespace keymeld::attestation
