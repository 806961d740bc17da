// Attestation documents under a root of the test's own, right or wrong in exactly one place.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <openssl/x509.h>

#include "core/attestation/issuer/certificate_issuer.h"
#include "core/attestation/issuer/signing_key.h"
#include "core/attestation/verifier.h"

namespace keymeld::attestation::test {

inline constexpr std::uint64_t kNow = 1'750'000'000; ///< seconds
inline constexpr std::uint64_t kNowMs = kNow * 1000;

/// root -> region -> zone -> leaf. Change the profiles before document() issues the certificates.
struct Forge {
    SigningKey root_key;
    SigningKey region_key;
    SigningKey zone_key;
    SigningKey leaf_key;
    CertificateProfile region;
    CertificateProfile zone;
    CertificateProfile leaf;
    Bytes root; ///< DER

    static Forge make();

    AttestationDocument document() const;
    Bytes sign(const AttestationDocument& document) const {
        return sign_payload(document.encode_payload());
    }
    Bytes sign_payload(ByteView payload) const;

    TrustAnchor anchor() const;
    static PcrPolicy policy();
    AttestationVerifier verifier() const { return {anchor(), policy()}; }
    /// Asks for everything that document() gives.
    static Expectations expectations();
};

/// The payload as named, encoded items, to be changed and put together again.
using Fields = std::vector<std::pair<std::string, Bytes>>;
Fields fields_of(const AttestationDocument& document);
/// The encoded item of a field, to be replaced.
Bytes& field(Fields& fields, std::string_view name);
Bytes encode(const Fields& fields);
Bytes encode_indefinite(const Fields& fields);

PcrValue filled(std::uint8_t byte);

/// The certificate after a change, signed again with `key` and `digest`.
Bytes rework(const Bytes& der, const SigningKey& key, const std::function<void(X509*)>& change,
             const EVP_MD* digest = EVP_sha384());

/// A directory that is removed with its content at the end.
class TempDir {
  public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    const std::filesystem::path& path() const { return m_path; }
    std::filesystem::path write(const std::string& name, std::string_view content) const;

  private:
    std::filesystem::path m_path;
};

} // namespace keymeld::attestation::test
