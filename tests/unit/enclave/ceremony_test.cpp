// Whole ceremonies over honest enclaves: every kind of session gives a signature that verifies
// under the reported key.
#include "core/base/hex.h"
#include "core/crypto/encrypted_data.h"
#include "tests/unit/enclave/signer_fixture.h"

namespace keymeld::test {
namespace {

using bitcoin::KeyOrder;
using bitcoin::TweakType;

struct CeremonyCase {
    const char* name;
    KeygenSetup setup;
};

bitcoin::TweakConfig tweak(TweakType type) {
    bitcoin::TweakConfig config{type, {}};
    if (config.has_value())
        config.value32.fill(0x17);
    return config;
}

class Ceremony : public SignerTest, public ::testing::WithParamInterface<CeremonyCase> {};

TEST_P(Ceremony, SignsTwice) {
    TestKeygen keygen = ready(GetParam().setup);
    const auto one = gateway.start_signing(keygen);
    const auto two = gateway.start_signing(keygen);
    EXPECT_NE(gateway.sign(keygen, one), gateway.sign(keygen, two));
}

TEST_P(Ceremony, SignsAfterRestartOfEveryEnclave) {
    TestKeygen keygen = ready(GetParam().setup);
    gateway.sign(keygen, gateway.start_signing(keygen));
    for (TestEnclave* const enclave : gateway.enclaves())
        enclave->restart();
    gateway.sign(keygen, gateway.start_signing(keygen));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Ceremony,
    ::testing::Values(
        CeremonyCase{"TwoOfTwo", {.slots = {0, 1}}},
        CeremonyCase{"ThreeEnclaves", {.slots = {0, 1, 2}}},
        CeremonyCase{"OneEnclaveHoldsAll", {.slots = {1, 1, 1}}},
        CeremonyCase{"SeveralParticipantsPerEnclave", {.slots = {2, 0, 1, 2, 0, 0, 1}}},
        CeremonyCase{"Unspendable",
                     {.slots = {0, 1}, .tweak = tweak(TweakType::UnspendableTaproot)}},
        CeremonyCase{"MerkleRoot",
                     {.slots = {0, 1}, .tweak = tweak(TweakType::TaprootWithMerkleRoot)}},
        CeremonyCase{"PlainTweak", {.slots = {0, 1, 2}, .tweak = tweak(TweakType::PlainTweak)}},
        CeremonyCase{"XOnlyTweak", {.slots = {0, 1, 2}, .tweak = tweak(TweakType::XOnlyTweak)}},
        CeremonyCase{"Sorted",
                     {.slots = {0, 1, 2, 0},
                      .tweak = tweak(TweakType::UnspendableTaproot),
                      .key_order = KeyOrder::Bip327Sorted}},
        CeremonyCase{"HeaderApprovals",
                     {.slots = {0, 1, 2}, .policies = {kHeader, kHeader, kHeader}}},
        CeremonyCase{"BoundApprovals", {.slots = {0, 1, 2}, .policies = {kBound, kBound, kBound}}},
        CeremonyCase{"MixedApprovals",
                     {.slots = {0, 1, 2, 1}, .policies = {kHeader, kNone, kBound, kHeader}}},
        CeremonyCase{"AloneWithApprovals", {.slots = {0, 0}, .policies = {kBound, kHeader}}},
        CeremonyCase{"WithAad",
                     {.slots = {0, 1, 2},
                      .policies = {kNone, kHeader, kBound},
                      .tweak = tweak(TweakType::TaprootWithMerkleRoot),
                      .ecies_aad = true}}),
    [](const auto& test) { return std::string(test.param.name); });

using CeremonyExtras = SignerTest;

TEST_F(CeremonyExtras, EncryptedMessageInEitherForm) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const ByteArray<32> message = random_message();
    const auto sign_with = [&](const std::string& encrypted) {
        TestSigning signing = gateway.start_signing(keygen, message);
        signing.evidence.set_encrypted_message(encrypted);
        gateway.sign(keygen, signing);
    };
    sign_with(hex_encode(message));
    sign_with(crypto::encrypted_data_seal(keygen.secret(), crypto::DataContext::Message, message));
    const std::string text = hex_encode(message);
    sign_with(
        crypto::encrypted_data_seal(keygen.secret(), crypto::DataContext::Message, as_bytes(text)));
}

TEST_F(CeremonyExtras, ManySessionsAtOnceInterleaved) {
    TestKeygen keygen = ready({.slots = {0, 1, 2}});
    std::vector<TestSigning> sessions;
    std::vector<RoundTrips> trips(8);
    for (std::size_t i = 0; i < trips.size(); ++i)
        sessions.push_back(gateway.start_signing(keygen));
    for (std::size_t i = 0; i < trips.size(); ++i)
        for (const std::size_t enclave : keygen.enclaves())
            trips[i].round1[enclave] =
                gateway.ask(enclave, gateway.round1(keygen, sessions[i])).sign_round1();
    // The later sessions end first: the ledger versions that enclaves see do not come in order.
    for (std::size_t i = trips.size(); i-- > 0;) {
        for (const std::size_t enclave : {1u, 2u}) {
            const auto second_round =
                gateway.ask(enclave, gateway.round2(keygen, sessions[i], trips[i]));
            ASSERT_TRUE(succeeded(second_round));
            trips[i].round2[enclave] = second_round.sign_round2();
        }
        const auto finished = gateway.ask(0, gateway.finish(keygen, sessions[i], trips[i]));
        ASSERT_TRUE(succeeded(finished));
        keygen.open_final(finished.sign_finish().final_signature(), sessions[i].message);
    }
}

TEST_F(CeremonyExtras, RestartInTheMiddleVoidsTheAttemptAndTheNextOneSigns) {
    TestKeygen keygen = ready({.slots = {0, 1, 2}, .policies = {kBound, kHeader, kNone}});
    const TestSigning signing = gateway.start_signing(keygen);
    RoundTrips trips;
    for (const std::size_t enclave : keygen.enclaves())
        trips.round1[enclave] = gateway.ask(enclave, gateway.round1(keygen, signing)).sign_round1();
    second.restart();
    EXPECT_TRUE(
        refused_with(gateway.ask(1, gateway.round2(keygen, signing, trips)), Errc::AttemptVoid));
    gateway.sign(keygen, signing, 2);
    first.restart();
    third.restart();
    gateway.sign(keygen, signing, 3);
}

TEST_F(CeremonyExtras, ALinkLostInTheMiddleIsNoReasonForARestore) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    RoundTrips trips;
    for (const std::size_t enclave : keygen.enclaves())
        trips.round1[enclave] = gateway.ask(enclave, gateway.round1(keygen, signing)).sign_round1();
    first.reconnect();
    second.reconnect();
    trips.round2[1] = gateway.send(1, gateway.round2(keygen, signing, trips)).sign_round2();
    const auto finished = gateway.send(0, gateway.finish(keygen, signing, trips));
    ASSERT_TRUE(succeeded(finished));
    keygen.open_final(finished.sign_finish().final_signature(), signing.message);
}

TEST_F(CeremonyExtras, OneThousandParticipants) {
    KeygenSetup setup;
    setup.slots.clear();
    for (std::size_t i = 0; i < 1000; ++i)
        setup.slots.push_back(i % 3);
    TestKeygen keygen = ready(setup);
    gateway.sign(keygen, gateway.start_signing(keygen));
    first.restart();
    gateway.sign(keygen, gateway.start_signing(keygen));
}

TEST_F(CeremonyExtras, CanaryVerifies) {
    wire::Request request;
    request.mutable_canary();
    const wire::Response response = first.call(request);
    ASSERT_TRUE(succeeded(response));
    const auto signature =
        bitcoin::SchnorrSignature::parse(as_bytes(response.canary().signature())).value();
    const auto key = bitcoin::XOnlyPubKey::parse(as_bytes(response.canary().x_only_key())).value();
    EXPECT_TRUE(bitcoin::schnorr_verify(signature, as_bytes(response.canary().message()), key));
}

TEST_F(CeremonyExtras, PingCountsSessions) {
    wire::Request ping;
    ping.mutable_ping();
    EXPECT_EQ(first.call(ping).ping().known_keygens(), 0u);
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    gateway.ask(0, gateway.round1(keygen, signing));
    first.advance(std::chrono::seconds(7));
    const wire::PingResult result = first.call(ping).ping();
    EXPECT_EQ(result.known_keygens(), 1u);
    EXPECT_EQ(result.active_signings(), 1u);
    EXPECT_EQ(result.uptime_seconds(), 7u);
    EXPECT_GT(result.cpu_micros(), 0u);
    gateway.send(0, gateway.close(keygen, signing));
    EXPECT_EQ(first.call(ping).ping().active_signings(), 0u);
}

} // namespace
} // namespace keymeld::test
