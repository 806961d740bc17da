// The verifier with the AWS root: nothing that a fuzzer finds is accepted, verify() and report()
// agree, and a payload that is read comes out the same when it is written and read again.
#include <algorithm>

#include "core/attestation/verifier.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::attestation;

namespace {

const AttestationVerifier& verifier() {
    static const AttestationVerifier one = [] {
        PcrValue value{};
        value.fill(1);
        return AttestationVerifier(
            TrustAnchor::aws(),
            PcrPolicy::make({{.name = "image", .required = {{PcrIndex::of<0>(), value}}}}).value());
    }();
    return one;
}

void check_payload(ByteView payload) {
    const auto document = AttestationDocument::parse_payload(payload);
    if (!document) {
        FUZZ_EXPECT(failed_check(document.error()).has_value());
        return;
    }
    const Bytes written = document->encode_payload();
    const auto again = AttestationDocument::parse_payload(written);
    FUZZ_EXPECT(again);
    FUZZ_EXPECT(again->encode_payload() == written);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input(data, size);
    check_payload(input);
    // The document's own time, so that only signatures stand between the input and acceptance.
    Expectations expected;
    expected.evidence = Evidence::Archived;
    const AttestationReport report = verifier().report(input, expected);
    FUZZ_EXPECT(!report.accepted());
    FUZZ_EXPECT(report.checks.size() == all_checks().size());
    const auto failed = std::ranges::find(report.checks, Verdict::Failed, &CheckResult::verdict);
    FUZZ_EXPECT(failed != report.checks.end());
    const auto verified = verifier().verify(input, expected);
    FUZZ_EXPECT(!verified);
    FUZZ_EXPECT(failed_check(verified.error()) == failed->check);
    if (const auto parts = parse_envelope(input))
        check_payload(parts->payload);
    return 0;
}
