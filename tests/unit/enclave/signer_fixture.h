// Three enclaves in this process and an honest gateway, for the tests of the signer.
#pragma once

#include <gtest/gtest.h>

#include "tests/support/enclave_harness.h"

namespace keymeld::test {

inline constexpr ApprovalPolicy kNone = ApprovalPolicy::None;
inline constexpr ApprovalPolicy kHeader = ApprovalPolicy::Header;
inline constexpr ApprovalPolicy kBound = ApprovalPolicy::Bound;

inline ::testing::AssertionResult refused_with(const wire::Response& response, Errc code) {
    if (code_of(response) == code)
        return ::testing::AssertionSuccess();
    if (!response.has_failure())
        return ::testing::AssertionFailure() << "was not refused";
    return ::testing::AssertionFailure() << "was refused with " << errc_name(code_of(response))
                                         << ": " << response.failure().detail();
}
inline ::testing::AssertionResult succeeded(const wire::Response& response) {
    if (!response.has_failure())
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << errc_name(code_of(response)) << ": " << response.failure().detail();
}

class SignerTest : public ::testing::Test {
  protected:
    LocalPki pki;
    LocalEnclave first{pki};
    LocalEnclave second{pki};
    LocalEnclave third{pki};
    TestGateway gateway{{&first, &second, &third}};

    TestKeygen ready(const KeygenSetup& setup) {
        TestKeygen keygen(gateway.enclaves(), setup);
        gateway.keygen(keygen);
        return keygen;
    }
};

} // namespace keymeld::test
