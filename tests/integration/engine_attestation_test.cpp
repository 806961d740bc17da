// Whom the engine believes: every stream to an enclave is attested anew, and a key or an epoch that is not the known one is refused until
// the operator names it. (A lost key: engine_failure_test. Enclaves among themselves: unit/enclave/peer_directory_test, hostile_gateway_test.)
#include "core/plugin/loader.h"
#include "tests/integration/engine_rig.h"

#include <gtest/gtest.h>

namespace keymeld::test {
namespace {

using std::chrono::milliseconds;

class EngineAttestation : public ::testing::Test {
  protected:
    EngineAttestation() : signers(3) {}

    /// It stays away however often it is tried again.
    static void expect_refused(Rig& rig, std::uint32_t enclave) {
        rig.wait_healthy(2);
        rig.sleep(milliseconds(700));
        EXPECT_FALSE(rig->enclave(enclave)->healthy);
    }

    Signers signers;
};

TEST_F(EngineAttestation, AnotherEpochIsRefusedEvenWithTheSameKey) {
    Rig rig(signers, 3);
    rig.wait_healthy(3);
    const auto key = rig->enclave(1)->public_key;
    signers.kill(1);
    signers.set_epoch(1, 2);
    signers.start(1);
    expect_refused(rig, 1);
    // Back at the known epoch it is welcome, and the key is the same all the time.
    signers.kill(1);
    signers.set_epoch(1, 1);
    signers.start(1);
    rig.wait_healthy(3);
    EXPECT_EQ(rig->enclave(1)->public_key, key);

    // The same over a restart of the appliance, and then the operator accepts it: this epoch and no other.
    signers.kill(1);
    signers.set_epoch(1, 2);
    signers.start(1);
    rig.stop();
    rig.start();
    expect_refused(rig, 1);
    rig.stop();
    rig.config().enclaves[1].accept_key_epoch = 3;
    rig.start();
    expect_refused(rig, 1);
    rig.stop();
    rig.config().enclaves[1].accept_key_epoch = 2;
    rig.start();
    rig.wait_healthy(3);
    EXPECT_EQ(rig->enclave(1)->key_epoch, 2u);
    EXPECT_EQ(rig->enclave(1)->public_key, key);
    // What was accepted once does not open the way back.
    signers.kill(1);
    signers.set_epoch(1, 1);
    signers.start(1);
    expect_refused(rig, 1);
}

/// It has the very key, but its documents lead to another root: the key alone opens no stream, at no reconnect.
TEST_F(EngineAttestation, EveryReconnectIsAttestedAnew) {
    Rig rig(signers, 3);
    rig.wait_healthy(3);
    Party p(rig, {.participants = 3});
    const auto keygen = p.complete();
    for (int round = 0; round < 2; ++round) {
        signers.kill(1);
        signers.start_impostor(1);
        expect_refused(rig, 1);
        signers.kill(1);
        signers.start(1);
        rig.wait_healthy(3);
        const auto message = some_message(round);
        const auto request = p.signing(message);
        ASSERT_TRUE(rig.run(rig->create_signing(request)).has_value());
        p.expect_signature(p.outcome(request.id), keygen, message);
    }
}

} // namespace
} // namespace keymeld::test
