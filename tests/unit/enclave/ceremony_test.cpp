// Whole ceremonies over honest enclaves, in one process.
#include <gtest/gtest.h>

#include "tests/support/enclave_harness.h"

namespace keymeld::test {
namespace {

class CeremonyTest : public testing::Test {
  protected:
    LocalPki pki;
    LocalEnclave first{pki};
    LocalEnclave second{pki};
    LocalEnclave third{pki};
    TestGateway gateway{{&first, &second, &third}};
};

TEST_F(CeremonyTest, ThreeEnclavesSign) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1, 2}});
    gateway.keygen(keygen);
    gateway.sign(keygen, gateway.start_signing(keygen));
    gateway.sign(keygen, gateway.start_signing(keygen));
}

TEST_F(CeremonyTest, OneEnclaveHoldingAllSignsInOneTrip) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {1, 1, 1}});
    gateway.keygen(keygen);
    const RoundTrips trips = gateway.rounds(keygen, gateway.start_signing(keygen));
    EXPECT_EQ(trips.round1.size(), 1u);
    EXPECT_FALSE(trips.final_signature.empty());
}

} // namespace
} // namespace keymeld::test
