#include "core/attestation/trust_anchor.h"

#include <algorithm>
#include <memory>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/attestation/certificate_chain.h"
#include "core/attestation/read_file.h"
#include "core/base/hex.h"
#include "core/crypto/digest.h"

namespace keymeld::attestation {
namespace {

// CN=aws.nitro-enclaves, OU=AWS, O=Amazon, C=US, 2019-10-28 to 2049-10-28: SHA-256 of the DER, as
// AWS publishes it.
constexpr ByteArray<32> kAwsNitroRootG1 = {
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31,
    0x7e, 0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b};

constexpr std::size_t kMaxFile = 16 * 1024;
constexpr std::size_t kNameBytes = 8;

struct FreeX509 {
    void operator()(X509* x509) const { X509_free(x509); }
};
struct FreeBio {
    void operator()(BIO* bio) const { BIO_free(bio); }
};

Bytes next_certificate(BIO* pem) {
    const std::unique_ptr<X509, FreeX509> x509(PEM_read_bio_X509(pem, nullptr, nullptr, nullptr));
    ERR_clear_error();
    if (!x509)
        return {};
    const int size = i2d_X509(x509.get(), nullptr);
    if (size <= 0)
        return {};
    Bytes der(static_cast<std::size_t>(size));
    unsigned char* out = der.data();
    i2d_X509(x509.get(), &out);
    return der;
}

} // namespace

TrustAnchor TrustAnchor::aws() {
    return {kAwsNitroRootG1, true};
}

Result<TrustAnchor> TrustAnchor::from_pem(std::string_view pem) {
    if (pem.size() > kMaxFile)
        return fail(Errc::ConfigInvalid, "the trust anchor is too long");
    const std::unique_ptr<BIO, FreeBio> bio(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    if (!bio)
        return fail(Errc::Internal, "out of memory");
    const Bytes der = next_certificate(bio.get());
    if (der.empty())
        return fail(Errc::ConfigInvalid, "no PEM certificate");
    if (!next_certificate(bio.get()).empty())
        return fail(Errc::ConfigInvalid, "more than one certificate");
    const ByteArray<32> fingerprint = crypto::sha256(ByteView(der));
    if (fingerprint == kAwsNitroRootG1)
        return fail(Errc::ConfigInvalid,
                    "this is the AWS root: write `trust: aws` instead of a file for it");
    if (const auto root = CertificateChain::check_root(der); !root)
        return fail(Errc::ConfigInvalid, "not a root certificate: " + root.error().detail);
    return TrustAnchor(fingerprint, false);
}

Result<TrustAnchor> TrustAnchor::from_pem_file(const std::filesystem::path& path) {
    KEYMELD_TRY(const std::string pem, read_file(path, kMaxFile));
    auto anchor = from_pem(pem);
    if (!anchor)
        return in_file(path, std::move(anchor).error());
    return anchor;
}

Result<TrustAnchor> TrustAnchor::from_config(std::string_view trust,
                                             const std::filesystem::path& base) {
    if (trust == "aws")
        return aws();
    return from_pem_file(base / trust);
}

std::string TrustAnchor::name() const {
    if (m_hardware)
        return "aws";
    return "simulator " + hex_encode(ByteView(m_fingerprint).first(kNameBytes));
}

bool TrustAnchor::is(ByteView certificate_der) const {
    return crypto::sha256(certificate_der) == m_fingerprint;
}

} // namespace keymeld::attestation
