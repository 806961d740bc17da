// Makes X.509 v3 certificates of the profile that Nitro attestation uses: P-384, ECDSA with
// SHA-384. Library keymeld_attestation_issuer: no enclave image links it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/attestation/issuer/signing_key.h"
#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::attestation {

/// Distinguished name, UTF-8; the parts that are empty are left out.
struct CertificateName {
    std::string organization;
    std::string unit;
    std::string common; ///< at most 64 characters
};

struct CertificateProfile {
    CertificateName subject;
    CertificateName issuer;
    std::uint64_t not_before = 0; ///< seconds since the Unix epoch
    std::uint64_t not_after = 0;
    /// CA: critical basicConstraints and keyCertSign. Otherwise: no CA and digitalSignature.
    bool ca = false;
    std::optional<std::uint32_t> path_length = std::nullopt; ///< CA only
    /// Replaces the key usage that follows from `ca`: OpenSSL's names, e.g.
    /// "critical,digitalSignature".
    std::optional<std::string> key_usage = std::nullopt;
};

/// DER of a certificate for `subject_key` signed with `issuer_key`, with a random serial number.
/// `Errc::Internal` if OpenSSL refuses. [any-thread]
Result<Bytes> issue_certificate(const CertificateProfile& profile, const SigningKey& subject_key,
                                const SigningKey& issuer_key);

/// PEM text of a certificate.
std::string certificate_pem(ByteView der);
/// DER of the first certificate in a PEM text. `Errc::InvalidArgument`.
Result<Bytes> certificate_der(std::string_view pem);
/// The public key of a certificate as an uncompressed point. `Errc::InvalidArgument` if it is none
/// on P-384.
Result<cose::Es384PublicKey> certificate_key(ByteView der);

} // namespace keymeld::attestation
