// Enclaves without a disk: real processes whose keys are sealed by their peers only. Killed and started again they come back as who they
// were, as long as one of them kept running.
#include "tests/integration/engine_rig.h"

#include <gtest/gtest.h>

namespace keymeld::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class EngineRecovery : public ::testing::Test {
  protected:
    EngineRecovery() : signers(3, true) {}

    /// Every enclave's key is with both others.
    static void wait_escrowed(Rig& rig) {
        rig.wait_healthy(3);
        rig.wait_escrowed(2);
    }
    static void sign(Rig& rig, Party& party, const engine::KeygenView& keygen, int number) {
        const auto message = some_message(number);
        const auto request = party.signing(message);
        const auto created = rig.run(rig->create_signing(request));
        ASSERT_TRUE(created.has_value()) << created.error().detail;
        party.expect_signature(party.outcome(request.id), keygen, message);
    }
    static std::vector<ByteArray<33>> keys(Rig& rig) {
        std::vector<ByteArray<33>> out;
        for (std::uint32_t id = 0; id < 3; ++id)
            out.push_back(rig->enclave(id)->public_key);
        return out;
    }

    Signers signers;
};

TEST_F(EngineRecovery, AKilledEnclaveComesBackWithItsKeyAndSignsWithOldKeygens) {
    Rig rig(signers, 3);
    wait_escrowed(rig);
    Party party(rig, {.participants = 3});
    const auto keygen = party.complete();
    const auto known = keys(rig);
    sign(rig, party, keygen, 0);
    // One after another, twice around: each is once the coordinator's, and once the one that hands over.
    for (int round = 0; round < 6; ++round) {
        const auto victim = static_cast<std::uint32_t>(round % 3);
        signers.kill(victim);
        rig.wait_healthy(2);
        signers.start(victim);
        wait_escrowed(rig);
        EXPECT_EQ(keys(rig), known);
        sign(rig, party, keygen, round + 1);
    }
}

TEST_F(EngineRecovery, TwoAtOnceComeBackFromTheThird) {
    Rig rig(signers, 3);
    wait_escrowed(rig);
    Party party(rig, {.participants = 3});
    const auto keygen = party.complete();
    const auto known = keys(rig);
    sign(rig, party, keygen, 0);
    signers.kill(0);
    signers.kill(2);
    rig.wait_healthy(1);
    signers.start(0);
    signers.start(2);
    wait_escrowed(rig);
    EXPECT_EQ(keys(rig), known);
    sign(rig, party, keygen, 1);
}

/// A session that was under way when its enclave died ends signed: with fresh nonces after the recovery.
TEST_F(EngineRecovery, WhatWasUnderWayIsSignedAfterwards) {
    Rig rig(signers, 3, {{"enclave_wait_max", "20s"}});
    wait_escrowed(rig);
    Party party(rig, {.participants = 3, .policies = {session::ApprovalPolicy::Header}});
    const auto keygen = party.complete();
    const auto message = some_message(7);
    const auto request = party.signing(message);
    ASSERT_TRUE(rig.run(rig->create_signing(request)).has_value());
    signers.kill(1);
    ASSERT_TRUE(rig.run(rig->approve(party.approval(request.id, 0))).has_value());
    rig.sleep(milliseconds(200));
    signers.start(1);
    party.expect_signature(party.outcome(request.id), keygen, message);
}

/// The appliance, too, was away: it knows only a hash of the key that it looks for.
TEST_F(EngineRecovery, AnApplianceThatRestartedFindsTheKeyAmongThePeers) {
    Rig rig(signers, 3);
    wait_escrowed(rig);
    Party party(rig, {.participants = 3});
    const auto keygen = party.complete();
    const auto known = keys(rig);
    signers.kill(1);
    rig.crash();
    signers.start(1);
    // A line that was left in the configuration does not make it give the key up, either.
    rig.config().enclaves[1].accept_key_epoch = 1;
    rig.start();
    wait_escrowed(rig);
    EXPECT_EQ(keys(rig), known);
    sign(rig, party, keygen, 1);
}

/// An operator's backup that is older than what the enclave has signed: its peers remember, and the restarted enclave refuses it.
TEST_F(EngineRecovery, AnOldDatabaseIsRefusedAfterARestart) {
    Rig rig(signers, 3);
    wait_escrowed(rig);
    Party party(rig, {.participants = 3});
    const auto keygen = party.complete();
    sign(rig, party, keygen, 0);
    rig.stop();
    std::filesystem::copy_file(rig.database(), rig.database().string() + ".old");
    rig.start();
    wait_escrowed(rig);
    for (int i = 1; i < 4; ++i)
        sign(rig, party, keygen, i);
    rig.sleep(seconds(3)); // pings every two seconds bring the reports
    rig.stop();
    for (const char* suffix : {"", "-wal", "-shm"})
        std::filesystem::remove(rig.database().string() + suffix);
    std::filesystem::rename(rig.database().string() + ".old", rig.database());
    signers.kill(0);
    signers.start(0);
    rig.start();
    wait_escrowed(rig);
    const auto refused = rig.run(rig->create_signing(party.signing(some_message(9))));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::Internal);
    EXPECT_NE(refused.error().detail.find("older than what the enclave has seen"), std::string::npos) << refused.error().detail;
}

TEST_F(EngineRecovery, AllAtOnceLoseTheirKeysAndSayWhy) {
    Rig rig(signers, 3, {{"enclave_wait_max", "1s"}});
    wait_escrowed(rig);
    Party party(rig, {.participants = 3});
    party.complete();
    const auto known = keys(rig);
    for (std::uint32_t id = 0; id < 3; ++id)
        signers.kill(id);
    for (std::uint32_t id = 0; id < 3; ++id)
        signers.start(id);
    // Nobody is taken for who it is not.
    rig.sleep(seconds(2));
    EXPECT_EQ(rig->health().healthy_enclaves, 0u);
    rig.stop();
    for (auto& enclave : rig.config().enclaves)
        enclave.accept_key_epoch = 1;
    rig.start();
    wait_escrowed(rig);
    for (std::uint32_t id = 0; id < 3; ++id)
        EXPECT_NE(keys(rig)[id], known[id]);
    EXPECT_EQ(rig.run(rig->create_signing(party.signing(some_message(1)))).error().code, Errc::Internal);
    // New keys are made and survive again.
    Party next(rig, {.participants = 3});
    const auto keygen = next.complete();
    signers.kill(1);
    rig.wait_healthy(2);
    signers.start(1);
    wait_escrowed(rig);
    sign(rig, next, keygen, 2);
}

} // namespace
} // namespace keymeld::test
