#include "core/attestation/certificate_chain.h"

#include <algorithm>
#include <ctime>
#include <string>

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/attestation/check.h"

namespace keymeld::attestation {
namespace {

using Check = AttestationCheck;

template <auto Free> struct Freer {
    template <class T> void operator()(T* object) const { Free(object); }
};
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using BasicConstraintsPtr = std::unique_ptr<BASIC_CONSTRAINTS, Freer<BASIC_CONSTRAINTS_free>>;
using BitStringPtr = std::unique_ptr<ASN1_BIT_STRING, Freer<ASN1_BIT_STRING_free>>;

// RFC 5280 section 4.2.1.3.
constexpr int kDigitalSignature = 0;
constexpr int kKeyCertSign = 5;

constexpr long kVersion3 = 2;

using PkeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using DecoderPtr = std::unique_ptr<OSSL_DECODER_CTX, Freer<OSSL_DECODER_CTX_free>>;

struct Certificate {
    X509Ptr x509;
    std::string title; ///< "root", "cabundle[2]" or "leaf", for messages
    cose::Es384PublicKey key{};
    PkeyPtr pkey = nullptr;
};

/// The certificate's key, always by OpenSSL's providers. X509_get0_pubkey() would take an engine that
/// an application has made its default for EC keys, where the client library runs inside one.
PkeyPtr decode_key(const X509* x509) {
    unsigned char* der = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);
    if (size <= 0)
        return nullptr;
    const std::unique_ptr<unsigned char, decltype([](unsigned char* bytes) { OPENSSL_free(bytes); })>
        owner(der);
    EVP_PKEY* key = nullptr;
    const DecoderPtr decoder(OSSL_DECODER_CTX_new_for_pkey(&key, "DER", "SubjectPublicKeyInfo",
                                                           "EC", EVP_PKEY_PUBLIC_KEY, nullptr,
                                                           nullptr));
    const unsigned char* at = der;
    std::size_t left = static_cast<std::size_t>(size);
    if (!decoder || OSSL_DECODER_from_data(decoder.get(), &at, &left) != 1)
        return nullptr;
    return PkeyPtr(key);
}

Error bad(Check check, const Certificate& certificate, const char* what,
          std::source_location where = std::source_location::current()) {
    return refuse(check, certificate.title + " " + what, where);
}

/// The key as an uncompressed point of the named curve P-384; false for any other key.
bool read_key(EVP_PKEY* pkey, cose::Es384PublicKey& out) {
    if (!pkey || EVP_PKEY_is_a(pkey, "EC") != 1)
        return false;
    const auto is_text = [pkey](const char* parameter, std::string_view wanted) {
        char text[64] = {};
        std::size_t size = 0;
        return EVP_PKEY_get_utf8_string_param(pkey, parameter, text, sizeof text, &size) == 1 &&
               std::string_view(text, size) == wanted;
    };
    std::size_t size = 0;
    return is_text(OSSL_PKEY_PARAM_GROUP_NAME, SN_secp384r1) &&
           is_text(OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_GROUP) &&
           EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, out.data(), out.size(),
                                           &size) == 1 &&
           size == out.size() && out[0] == POINT_CONVERSION_UNCOMPRESSED;
}

bool has_unknown_critical(const X509* x509) {
    for (int at = X509_get_ext_by_critical(x509, 1, -1); at >= 0;
         at = X509_get_ext_by_critical(x509, 1, at)) {
        const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(X509_get_ext(x509, at)));
        if (nid != NID_basic_constraints && nid != NID_key_usage)
            return true;
    }
    return false;
}

Result<Certificate> parse_certificate(const Bytes& der, std::string title) {
    Certificate certificate{.x509 = nullptr, .title = std::move(title)};
    const unsigned char* at = der.data();
    certificate.x509.reset(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (!certificate.x509)
        return bad(Check::ChainForm, certificate, "is not an X.509 certificate");
    if (at != der.data() + der.size())
        return bad(Check::ChainForm, certificate, "has bytes after the certificate");
    if (X509_get_version(certificate.x509.get()) != kVersion3)
        return bad(Check::ChainForm, certificate, "is not version 3");
    certificate.pkey = decode_key(certificate.x509.get());
    if (!read_key(certificate.pkey.get(), certificate.key))
        return bad(Check::ChainForm, certificate, "has no P-384 key");
    if (has_unknown_critical(certificate.x509.get()))
        return bad(Check::ChainForm, certificate, "has a critical extension that is not known");
    return certificate;
}

Status check_name_link(const Certificate& issuer, const Certificate& subject) {
    const X509_NAME* name = X509_get_subject_name(issuer.x509.get());
    if (X509_NAME_entry_count(name) == 0)
        return bad(Check::ChainNames, issuer, "has an empty name");
    if (X509_NAME_cmp(name, X509_get_issuer_name(subject.x509.get())) != 0)
        return bad(Check::ChainNames, subject, "names another issuer");
    return {};
}

Status check_signature(const Certificate& issuer, const Certificate& subject) {
    if (X509_get_signature_nid(subject.x509.get()) != NID_ecdsa_with_SHA384)
        return bad(Check::ChainSignatures, subject, "is not signed with ECDSA-SHA384");
    if (X509_verify(subject.x509.get(), issuer.pkey.get()) != 1)
        return bad(Check::ChainSignatures, subject, "is not signed by its issuer's key");
    return {};
}

/// `cas_below`: how many CA certificates stand between this one and the leaf.
Status check_ca(const Certificate& ca, std::size_t cas_below) {
    int critical = -1;
    const BasicConstraintsPtr basic(static_cast<BASIC_CONSTRAINTS*>(
        X509_get_ext_d2i(ca.x509.get(), NID_basic_constraints, &critical, nullptr)));
    if (!basic || critical != 1 || basic->ca == 0)
        return bad(Check::ChainConstraints, ca, "is not marked as a CA by a critical extension");
    if (basic->pathlen) {
        std::uint64_t length = 0;
        if (ASN1_INTEGER_get_uint64(&length, basic->pathlen) != 1 || length < cas_below)
            return bad(Check::ChainConstraints, ca, "does not allow a chain of this length");
    }
    return {};
}

Status check_not_ca(const Certificate& leaf) {
    int critical = -1;
    const BasicConstraintsPtr basic(static_cast<BASIC_CONSTRAINTS*>(
        X509_get_ext_d2i(leaf.x509.get(), NID_basic_constraints, &critical, nullptr)));
    if (basic ? basic->ca != 0 : critical != -1)
        return bad(Check::ChainConstraints, leaf, "is a CA, or its basicConstraints are damaged");
    return {};
}

Status check_usage(const Certificate& certificate, int bit, const char* complaint) {
    const BitStringPtr usage(static_cast<ASN1_BIT_STRING*>(
        X509_get_ext_d2i(certificate.x509.get(), NID_key_usage, nullptr, nullptr)));
    if (!usage || ASN1_BIT_STRING_get_bit(usage.get(), bit) != 1)
        return bad(Check::ChainKeyUsage, certificate, complaint);
    return {};
}

/// OpenSSL leaves its failures in a queue of the thread; they are ours, nobody else should find
/// them.
struct ErrorQueueGuard {
    ErrorQueueGuard() = default;
    ErrorQueueGuard(const ErrorQueueGuard&) = delete;
    ErrorQueueGuard& operator=(const ErrorQueueGuard&) = delete;
    ~ErrorQueueGuard() { ERR_clear_error(); }
};

} // namespace

struct CertificateChain::Impl {
    std::vector<Certificate> chain; ///< root first, leaf last

    bool is_leaf(std::size_t i) const { return i + 1 == chain.size(); }
};

CertificateChain::CertificateChain(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
CertificateChain::CertificateChain(CertificateChain&&) noexcept = default;
CertificateChain& CertificateChain::operator=(CertificateChain&&) noexcept = default;
CertificateChain::~CertificateChain() = default;

Result<CertificateChain> CertificateChain::parse(const std::vector<Bytes>& cabundle,
                                                 const Bytes& leaf) {
    const ErrorQueueGuard guard;
    auto impl = std::make_unique<Impl>();
    for (std::size_t i = 0; i < cabundle.size(); ++i) {
        KEYMELD_TRY(Certificate ca,
                    parse_certificate(cabundle[i],
                                      i == 0 ? "root" : "cabundle[" + std::to_string(i) + "]"));
        impl->chain.push_back(std::move(ca));
    }
    KEYMELD_TRY(Certificate end, parse_certificate(leaf, "leaf"));
    impl->chain.push_back(std::move(end));
    return CertificateChain(std::move(impl));
}

Status CertificateChain::check_root(const Bytes& der) {
    const ErrorQueueGuard guard;
    KEYMELD_TRY(const Certificate root, parse_certificate(der, "root"));
    KEYMELD_CHECK(check_name_link(root, root));
    KEYMELD_CHECK(check_signature(root, root));
    KEYMELD_CHECK(check_ca(root, 0));
    return check_usage(root, kKeyCertSign, "may not sign certificates");
}

Status CertificateChain::names() const {
    for (std::size_t i = 0; i < m_impl->chain.size(); ++i)
        KEYMELD_CHECK(check_name_link(m_impl->chain[i == 0 ? 0 : i - 1], m_impl->chain[i]));
    return {};
}

Status CertificateChain::signatures() const {
    const ErrorQueueGuard guard;
    // The root's own signature says nothing: a root is trusted because it is the pinned one.
    for (std::size_t i = 1; i < m_impl->chain.size(); ++i)
        KEYMELD_CHECK(check_signature(m_impl->chain[i - 1], m_impl->chain[i]));
    return {};
}

Status CertificateChain::validity(std::uint64_t unix_seconds) const {
    const ErrorQueueGuard guard;
    auto at = static_cast<std::time_t>(unix_seconds);
    for (const Certificate& certificate : m_impl->chain) {
        // 0 is a time that cannot be read, or that cannot be compared: refused as well.
        if (X509_cmp_time(X509_get0_notBefore(certificate.x509.get()), &at) >= 0)
            return bad(Check::ChainValidity, certificate, "is not yet valid");
        if (X509_cmp_time(X509_get0_notAfter(certificate.x509.get()), &at) <= 0)
            return bad(Check::ChainValidity, certificate, "has expired");
    }
    return {};
}

Status CertificateChain::constraints() const {
    const ErrorQueueGuard guard;
    const std::size_t cas = m_impl->chain.size() - 1;
    for (std::size_t i = 0; i < cas; ++i)
        KEYMELD_CHECK(check_ca(m_impl->chain[i], cas - 1 - i));
    return check_not_ca(m_impl->chain.back());
}

Status CertificateChain::key_usage() const {
    const ErrorQueueGuard guard;
    for (std::size_t i = 0; i < m_impl->chain.size(); ++i)
        KEYMELD_CHECK(
            m_impl->is_leaf(i)
                ? check_usage(m_impl->chain[i], kDigitalSignature, "may not sign data")
                : check_usage(m_impl->chain[i], kKeyCertSign, "may not sign certificates"));
    return {};
}

const cose::Es384PublicKey& CertificateChain::leaf_key() const {
    return m_impl->chain.back().key;
}

} // namespace keymeld::attestation
