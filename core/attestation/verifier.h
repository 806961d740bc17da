// Verification of Nitro attestation documents: the one verifier of clients, gateway and enclaves.
//
// Source: spec nitro.md section 3 "Verifying a REAL document", steps 1 to 9. There is no switch
// that leaves a check out: what is not asked for by Expectations (nonce, public key) is reported as
// not requested. A document proves who made it only together with the nonce (freshness) and the
// public key (binding): without the second any proxy can relay it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/attestation/check.h"
#include "core/attestation/document.h"
#include "core/attestation/pcr_policy.h"
#include "core/attestation/trust_anchor.h"
#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::attestation {

/// At which time certificates must be valid.
enum class Evidence {
    Live,     ///< at `now_ms`; the document's timestamp must be inside the freshness window
    Archived, ///< at the document's own timestamp: says that it was genuine then, nothing about
              ///< today
};

/// What the caller knows and asks for.
struct Expectations {
    /// The random bytes that this verifier sent for this document, used once. Compared in constant
    /// time.
    std::optional<Bytes> nonce = std::nullopt;
    /// The key that the caller is about to use.
    std::optional<Bytes> public_key = std::nullopt;
    /// Now, ms since the Unix epoch.
    std::uint64_t now_ms = 0;
    /// How old a timestamp may be, and how far ahead of this machine's clock.
    std::chrono::milliseconds max_age = std::chrono::minutes(5);
    std::chrono::milliseconds max_ahead = std::chrono::minutes(1);
    Evidence evidence = Evidence::Live;
};

/// The content of a document that passed every check. Only AttestationVerifier makes one.
class VerifiedAttestation {
  public:
    const AttestationDocument& document() const { return m_document; }
    /// Name of the allow-list entry that matched.
    const std::string& image_name() const { return m_image_name; }
    /// False if a simulator's root vouches for it.
    bool hardware() const { return m_hardware; }

  private:
    friend class AttestationVerifier;
    VerifiedAttestation(AttestationDocument document, std::string image_name, bool hardware)
        : m_document(std::move(document)), m_image_name(std::move(image_name)),
          m_hardware(hardware) {}
    AttestationDocument m_document;
    std::string m_image_name;
    bool m_hardware;
};

/// One line of a report.
struct CheckResult {
    AttestationCheck check;
    Verdict verdict;
    std::string detail; ///< why it failed, or what was found; never empty for a failure
};

/// Every check with its verdict, for `attest verify`. `document` is set as soon as the form was
/// readable, verified or not.
struct AttestationReport {
    std::vector<CheckResult> checks; ///< one per AttestationCheck, in order
    std::optional<AttestationDocument> document;
    std::string image_name; ///< the allow-list entry that matched, or empty

    /// True if nothing failed and nothing was left unreached.
    bool accepted() const;
};

/// Thread rule: immutable after construction, so any thread may verify at any time.
class AttestationVerifier {
  public:
    AttestationVerifier(TrustAnchor anchor, PcrPolicy policy);

    /// The verified content, or `Errc::AttestationRefused` for the first check that failed
    /// (failed_check() gives it). `document` is the raw COSE_Sign1. Takes one
    /// P-384 verification for each certificate. [any-thread]
    Result<VerifiedAttestation> verify(ByteView document, const Expectations& expected) const;

    /// The same evaluation, told check by check. It accepts exactly what verify() accepts.
    AttestationReport report(ByteView document, const Expectations& expected) const;

    const TrustAnchor& anchor() const { return m_anchor; }
    const PcrPolicy& policy() const { return m_policy; }

  private:
    TrustAnchor m_anchor;
    PcrPolicy m_policy;
};

} // namespace keymeld::attestation
