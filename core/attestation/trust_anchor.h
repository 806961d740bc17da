// The root certificate that a verifier believes. Exactly one, given by its owner; the system's
// trust store is never asked.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::attestation {

/// A root, known by the SHA-256 of its DER. A document is under it if its cabundle starts with
/// exactly that certificate.
class TrustAnchor {
  public:
    /// The AWS Nitro root G1 of the commercial partition (CN=aws.nitro-enclaves), pinned in the
    /// source. [any-thread]
    static TrustAnchor aws();

    /// A simulator's root from a PEM file with exactly one certificate: self-signed, P-384, a CA.
    /// The AWS root is refused here, so that a file can never stand for it. `Errc::Io`,
    /// `Errc::ConfigInvalid`. [startup]
    static Result<TrustAnchor> from_pem_file(const std::filesystem::path& path);
    static Result<TrustAnchor> from_pem(std::string_view pem);

    /// What configuration files write under `trust`: "aws", or the path of a PEM file (relative to
    /// `base`).
    static Result<TrustAnchor> from_config(std::string_view trust,
                                           const std::filesystem::path& base);

    /// True for the AWS root only: a simulator's root proves nothing about hardware.
    bool is_hardware() const { return m_hardware; }
    /// "aws" or "simulator <hex of the first 8 fingerprint bytes>".
    std::string name() const;
    /// SHA-256 of the DER.
    const ByteArray<32>& fingerprint() const { return m_fingerprint; }
    bool is(ByteView certificate_der) const;

  private:
    TrustAnchor(const ByteArray<32>& fingerprint, bool hardware)
        : m_fingerprint(fingerprint), m_hardware(hardware) {}
    ByteArray<32> m_fingerprint;
    bool m_hardware;
};

} // namespace keymeld::attestation
