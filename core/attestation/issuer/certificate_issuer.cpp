#include "core/attestation/issuer/certificate_issuer.h"

#include <ctime>
#include <memory>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/base64.h"

namespace keymeld::attestation {
namespace {

template <auto Free> struct Freer {
    template <class T> void operator()(T* object) const { Free(object); }
};
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using NamePtr = std::unique_ptr<X509_NAME, Freer<X509_NAME_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using BigNumberPtr = std::unique_ptr<BIGNUM, Freer<BN_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free>>;

constexpr long kVersion3 = 2;
constexpr std::size_t kPemLine = 64;

NamePtr make_name(const CertificateName& parts) {
    NamePtr name(X509_NAME_new());
    const auto add = [&](int nid, const std::string& text) {
        return text.empty() ||
               X509_NAME_add_entry_by_NID(name.get(), nid, MBSTRING_UTF8,
                                          const_cast<unsigned char*>(as_bytes(text).data()),
                                          static_cast<int>(text.size()), -1, 0) == 1;
    };
    if (!name || !add(NID_organizationName, parts.organization) ||
        !add(NID_organizationalUnitName, parts.unit) || !add(NID_commonName, parts.common))
        return nullptr;
    return name;
}

bool set_serial(X509* x509) {
    // 16 random bytes, positive (RFC 5280 section 4.1.2.2).
    ByteArray<16> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1)
        return false;
    random[0] = static_cast<std::uint8_t>((random[0] & 0x7f) | 0x40);
    const BigNumberPtr number(BN_bin2bn(random.data(), static_cast<int>(random.size()), nullptr));
    return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509)) != nullptr;
}

bool add_extension(X509* x509, int nid, const std::string& value) {
    const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
    return extension && X509_add_ext(x509, extension.get(), -1) == 1;
}

bool add_extensions(X509* x509, const CertificateProfile& profile) {
    std::string basic = profile.ca ? "critical,CA:TRUE" : "critical,CA:FALSE";
    if (profile.ca && profile.path_length)
        basic += ",pathlen:" + std::to_string(*profile.path_length);
    const std::string usage = profile.key_usage.value_or(
        profile.ca ? "critical,digitalSignature,keyCertSign" : "critical,digitalSignature");
    return add_extension(x509, NID_basic_constraints, basic) &&
           add_extension(x509, NID_key_usage, usage);
}

bool set_time(ASN1_TIME* time, std::uint64_t unix_seconds) {
    return ASN1_TIME_set(time, static_cast<std::time_t>(unix_seconds)) != nullptr;
}

Bytes to_der(X509* x509) {
    const int size = i2d_X509(x509, nullptr);
    if (size <= 0)
        return {};
    Bytes der(static_cast<std::size_t>(size));
    unsigned char* out = der.data();
    i2d_X509(x509, &out);
    return der;
}

} // namespace

Result<Bytes> issue_certificate(const CertificateProfile& profile, const SigningKey& subject_key,
                                const SigningKey& issuer_key) {
    const X509Ptr x509(X509_new());
    const NamePtr subject = make_name(profile.subject);
    const NamePtr issuer = make_name(profile.issuer);
    const bool made = x509 && subject && issuer && X509_set_version(x509.get(), kVersion3) == 1 &&
                      set_serial(x509.get()) &&
                      X509_set_subject_name(x509.get(), subject.get()) == 1 &&
                      X509_set_issuer_name(x509.get(), issuer.get()) == 1 &&
                      set_time(X509_getm_notBefore(x509.get()), profile.not_before) &&
                      set_time(X509_getm_notAfter(x509.get()), profile.not_after) &&
                      X509_set_pubkey(x509.get(), subject_key.native()) == 1 &&
                      add_extensions(x509.get(), profile) &&
                      X509_sign(x509.get(), issuer_key.native(), EVP_sha384()) > 0;
    ERR_clear_error();
    Bytes der = made ? to_der(x509.get()) : Bytes{};
    if (der.empty())
        return fail(Errc::Internal, "OpenSSL cannot make this certificate");
    return der;
}

std::string certificate_pem(ByteView der) {
    const std::string text = base64_encode(der);
    std::string pem = "-----BEGIN CERTIFICATE-----\n";
    for (std::size_t i = 0; i < text.size(); i += kPemLine)
        pem.append(text, i, kPemLine).append("\n");
    return pem + "-----END CERTIFICATE-----\n";
}

Result<Bytes> certificate_der(std::string_view pem) {
    const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const X509Ptr x509(bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
    ERR_clear_error();
    Bytes der = x509 ? to_der(x509.get()) : Bytes{};
    if (der.empty())
        return fail(Errc::InvalidArgument, "no PEM certificate");
    return der;
}

Result<cose::Es384PublicKey> certificate_key(ByteView der) {
    const unsigned char* at = der.data();
    const X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    EVP_PKEY* key = x509 ? X509_get0_pubkey(x509.get()) : nullptr;
    cose::Es384PublicKey point{};
    std::size_t size = 0;
    const bool good = key &&
                      EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                                      point.size(), &size) == 1 &&
                      size == point.size();
    ERR_clear_error();
    if (!good)
        return fail(Errc::InvalidArgument, "not a certificate with a P-384 key");
    return point;
}

} // namespace keymeld::attestation
