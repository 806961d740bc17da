#include "core/attestation/verifier.h"

#include <algorithm>

#include "core/attestation/certificate_chain.h"
#include "core/crypto/cose.h"
#include "core/secure/compare.h"

namespace keymeld::attestation {
namespace {

using Check = AttestationCheck;

/// The detail of an error of refuse() without the check's name in front: the report has that
/// already.
std::string reason(const Error& error) {
    const auto check = failed_check(error);
    return check ? error.detail.substr(check_name(*check).size() + 2) : error.detail;
}

/// One pass over a document. Every check is recorded; a failure does not stop checks that can still
/// be made, so that a report shows all that is wrong.
class Evaluation {
  public:
    Evaluation(const TrustAnchor& anchor, const PcrPolicy& policy, const Expectations& expected)
        : m_anchor(anchor), m_policy(policy), m_expected(expected) {
        for (const Check check : all_checks())
            m_report.checks.push_back({check, Verdict::NotReached, ""});
    }

    AttestationReport run(ByteView bytes) && {
        const auto envelope = parse_envelope(bytes);
        passed_up_to(envelope, Check::CoseStructure);
        if (!envelope)
            return std::move(m_report);
        const Status algorithm = envelope->require_es384();
        set(Check::Algorithm, algorithm);

        auto document = AttestationDocument::parse_payload(envelope->payload);
        passed_up_to(document, Check::FieldSizes);
        if (!document)
            return std::move(m_report);
        m_report.document = std::move(*document);
        check_chain(*envelope, algorithm.has_value());
        check_policy();
        check_expectations();
        return std::move(m_report);
    }

  private:
    CheckResult& entry(Check check) { return m_report.checks[static_cast<std::size_t>(check)]; }

    void pass(Check check, std::string detail = {}) {
        entry(check).verdict = Verdict::Passed;
        entry(check).detail = std::move(detail);
    }

    void set_failed(Check check, std::string detail) {
        entry(check).verdict = Verdict::Failed;
        entry(check).detail = std::move(detail);
    }

    void set(Check check, const Status& status) {
        if (status)
            pass(check);
        else
            set_failed(check, reason(status.error()));
    }

    void not_requested(Check check, std::string detail) {
        entry(check).verdict = Verdict::NotRequested;
        entry(check).detail = std::move(detail);
    }

    /// A parser makes its checks in order and stops at the first failure: those before it passed.
    template <class T> void passed_up_to(const Result<T>& parsed, Check last) {
        const Check stop = parsed ? last : failed_check(parsed.error()).value_or(Check::Encoding);
        for (CheckResult& result : m_report.checks) {
            if (result.check > stop)
                break;
            if (result.verdict == Verdict::NotReached)
                result.verdict = Verdict::Passed;
        }
        if (!parsed)
            set_failed(stop, reason(parsed.error()));
    }

    void check_chain(const cose::Sign1& envelope, bool is_es384) {
        const AttestationDocument& document = *m_report.document;
        if (m_anchor.is(document.cabundle.front()))
            pass(Check::TrustAnchor, m_anchor.name());
        else
            set_failed(Check::TrustAnchor,
                       "the document is not under the trusted root (" + m_anchor.name() + ")");

        const auto chain = CertificateChain::parse(document.cabundle, document.certificate);
        if (!chain) {
            set_failed(Check::ChainForm, reason(chain.error()));
            return;
        }
        pass(Check::ChainForm);
        set(Check::ChainNames, chain->names());
        set(Check::ChainSignatures, chain->signatures());
        const bool live = m_expected.evidence == Evidence::Live;
        set(Check::ChainValidity,
            chain->validity((live ? m_expected.now_ms : document.timestamp_ms) / 1000));
        set(Check::ChainConstraints, chain->constraints());
        set(Check::ChainKeyUsage, chain->key_usage());
        if (is_es384)
            set(Check::Signature, envelope.verify(chain->leaf_key()));
    }

    void check_policy() {
        const PcrSet& pcrs = m_report.document->pcrs;
        const auto image = pcrs.find(PcrIndex::of<0>());
        if (image == pcrs.end() || is_zero(image->second))
            set_failed(Check::DebugMode, "PCR0 is absent or zero: the enclave is in debug mode");
        else
            pass(Check::DebugMode);
        if (const PcrPolicy::Entry* match = m_policy.match(pcrs)) {
            m_report.image_name = match->name;
            pass(Check::PcrPolicy, match->name);
        } else {
            set_failed(Check::PcrPolicy, "the registers match no allowed image");
        }
    }

    void check_expectations() {
        check_freshness();
        const AttestationDocument& document = *m_report.document;
        check_equal(Check::Nonce, m_expected.nonce, document.nonce, "nonce");
        check_equal(Check::PublicKey, m_expected.public_key, document.public_key, "public_key");
    }

    void check_freshness() {
        if (m_expected.evidence == Evidence::Archived) {
            not_requested(Check::Freshness, "archived evidence: judged at its own time");
            return;
        }
        const std::uint64_t made = m_report.document->timestamp_ms;
        const std::uint64_t now = m_expected.now_ms;
        const auto allowed = [](std::chrono::milliseconds limit) {
            return static_cast<std::uint64_t>(std::max<std::int64_t>(limit.count(), 0));
        };
        if (made > now && made - now > allowed(m_expected.max_ahead))
            set_failed(Check::Freshness, "the document is dated in the future");
        else if (now > made && now - made > allowed(m_expected.max_age))
            set_failed(Check::Freshness, "the document is too old");
        else
            pass(Check::Freshness);
    }

    void check_equal(Check check, const std::optional<Bytes>& wanted,
                     const std::optional<Bytes>& found, const std::string& what) {
        if (!wanted)
            not_requested(check, "");
        else if (wanted->empty())
            set_failed(check, "an empty " + what + " was expected, which proves nothing");
        else if (!found)
            set_failed(check, "the document has no " + what);
        else if (!secure::ct_equal(*wanted, *found))
            set_failed(check, "the document has another " + what);
        else
            pass(check);
    }

    const TrustAnchor& m_anchor;
    const PcrPolicy& m_policy;
    const Expectations& m_expected;
    AttestationReport m_report;
};

} // namespace

bool AttestationReport::accepted() const {
    return document.has_value() && std::ranges::all_of(checks, [](const CheckResult& result) {
               return result.verdict == Verdict::Passed || result.verdict == Verdict::NotRequested;
           });
}

AttestationVerifier::AttestationVerifier(TrustAnchor anchor, PcrPolicy policy)
    : m_anchor(std::move(anchor)), m_policy(std::move(policy)) {}

AttestationReport AttestationVerifier::report(ByteView document,
                                              const Expectations& expected) const {
    return Evaluation(m_anchor, m_policy, expected).run(document);
}

Result<VerifiedAttestation> AttestationVerifier::verify(ByteView document,
                                                        const Expectations& expected) const {
    AttestationReport result = report(document, expected);
    if (result.accepted())
        return VerifiedAttestation(std::move(*result.document), std::move(result.image_name),
                                   m_anchor.is_hardware());
    const auto failed = std::ranges::find(result.checks, Verdict::Failed, &CheckResult::verdict);
    if (failed == result.checks.end())
        return fail(Errc::Internal, "an attestation check was left out");
    return refuse(failed->check, failed->detail);
}

} // namespace keymeld::attestation
