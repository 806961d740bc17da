// The certificate chain of an attestation document (RFC 5280, the part that Nitro uses). Internal
// to core/attestation.
//
// Not a general path validation: exactly the given chain, in order, P-384 and ECDSA with SHA-384
// only, no revocation lists, no system trust store. Each rule is a call of its own, so that a
// report can tell them apart.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/cose.h"

namespace keymeld::attestation {

class CertificateChain {
  public:
    /// Parses the cabundle (root first) and the leaf. ChainForm: X.509 v3 DER with nothing after
    /// it, key on the named curve P-384, no critical extension but basicConstraints and keyUsage.
    static Result<CertificateChain> parse(const std::vector<Bytes>& cabundle, const Bytes& leaf);
    /// A root alone, which must pass every rule below but validity. `Errc::AttestationRefused`.
    static Status check_root(const Bytes& root);

    // Each gives `Errc::AttestationRefused` with its check.
    Status names() const;
    Status signatures() const;
    /// All certificates at this time, seconds since the Unix epoch: notBefore <= time < notAfter.
    Status validity(std::uint64_t unix_seconds) const;
    Status constraints() const;
    Status key_usage() const;

    const cose::Es384PublicKey& leaf_key() const;

    CertificateChain(CertificateChain&&) noexcept;
    CertificateChain& operator=(CertificateChain&&) noexcept;
    ~CertificateChain();

  private:
    struct Impl;
    explicit CertificateChain(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace keymeld::attestation
