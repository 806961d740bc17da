// One expectation for all refusals: verify() and report() agree on which check failed.
#pragma once

#include <vector>

#include <gtest/gtest.h>

#include "core/attestation/verifier.h"

namespace keymeld::attestation::test {

inline std::vector<std::string_view> failed_names(const AttestationReport& report) {
    std::vector<std::string_view> names;
    for (const CheckResult& result : report.checks)
        if (result.verdict == Verdict::Failed)
            names.push_back(check_name(result.check));
    return names;
}

/// The document is refused for the first of these checks; the report finds exactly these failed.
inline void expect_refused(const AttestationVerifier& verifier, ByteView document,
                           const Expectations& expected,
                           const std::vector<AttestationCheck>& checks) {
    const AttestationCheck first = checks.front();
    const auto verified = verifier.verify(document, expected);
    ASSERT_FALSE(verified) << "accepted, although it is not true that " << check_text(first);
    EXPECT_EQ(verified.error().code, Errc::AttestationRefused);
    const auto found = failed_check(verified.error());
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(check_name(*found), check_name(first)) << verified.error().detail;
    EXPECT_TRUE(verified.error().detail.starts_with(std::string(check_name(first)) + ": "))
        << verified.error().detail;

    const AttestationReport report = verifier.report(document, expected);
    EXPECT_FALSE(report.accepted());
    std::vector<std::string_view> names;
    for (const AttestationCheck check : checks)
        names.push_back(check_name(check));
    EXPECT_EQ(failed_names(report), names);
}

} // namespace keymeld::attestation::test
