// Whole ceremonies through the engine over real storage and real signers.
#include <gtest/gtest.h>

#include "tests/integration/engine_rig.h"

namespace keymeld::test {
namespace {

using session::SigningStatus;

/// Five enclaves for all tests of this program.
Signers& signers() {
    static Signers all(5);
    return all;
}

void sign_once(Party& party, const engine::KeygenView& keygen, int number) {
    const ByteArray<32> message = some_message(number);
    const auto request = party.signing(message);
    const auto created = party.rig.run(party.rig->create_signing(request));
    ASSERT_TRUE(created.has_value()) << created.error().detail;
    EXPECT_EQ(created->participants_count, party.options.participants);
    party.expect_signature(party.outcome(request.id), keygen, message);
}

struct Size {
    std::uint32_t participants, enclaves;
};

TEST(EngineCeremony, SignsForEverySizeOfPartyAndFleet) {
    for (const Size size : {Size{2, 1}, Size{2, 2}, Size{3, 1}, Size{3, 3}, Size{5, 2}, Size{7, 5}, Size{20, 1}, Size{20, 5}}) {
        SCOPED_TRACE(std::to_string(size.participants) + " participants, " + std::to_string(size.enclaves) + " enclaves");
        Rig rig(signers(), size.enclaves);
        rig.wait_healthy(size.enclaves);
        Party party(rig, {.participants = size.participants, .coordinator_enclave = size.enclaves - 1});
        const auto keygen = party.complete();
        party.expect_key(keygen);
        EXPECT_EQ(keygen.expires_at, 0u);
        EXPECT_EQ(keygen.registered_participants, size.participants);
        for (int number = 0; number < 3; ++number)
            sign_once(party, keygen, number);
    }
}

TEST(EngineCeremony, SignsForEveryTweakInBothOrders) {
    Rig rig(signers(), 3);
    rig.wait_healthy(3);
    ByteArray<32> value{};
    value.fill(0x5a);
    using enum bitcoin::TweakType;
    for (const auto order : {bitcoin::KeyOrder::UserId, bitcoin::KeyOrder::Bip327Sorted})
        for (const auto type : {None, UnspendableTaproot, TaprootWithMerkleRoot, PlainTweak, XOnlyTweak})
            for (const bool aad : {false, true}) {
                SCOPED_TRACE(std::string(bitcoin::text(type)) + " " + std::string(bitcoin::text(order)) + (aad ? " aad" : ""));
                bitcoin::TweakConfig tweak{type, {}};
                if (tweak.has_value())
                    tweak.value32 = value;
                Party party(rig, {.participants = 4, .tweak = tweak, .order = order, .ecies_aad = aad});
                const auto keygen = party.complete();
                party.expect_key(keygen);
                sign_once(party, keygen, 1);
            }
}

TEST(EngineCeremony, GivesTheSlotsOfTheSpecification) {
    Rig rig(signers(), 3);
    rig.wait_healthy(3);
    Party party(rig, {.participants = 6, .coordinator_enclave = 1});
    const auto created = rig.run(rig->create_keygen(party.creation()));
    ASSERT_TRUE(created.has_value()) << created.error().detail;
    EXPECT_EQ(created->expected_participants, 6u);
    const auto before = rig.run(rig->slots(party.id));
    ASSERT_TRUE(before.has_value());
    std::vector<std::uint32_t> enclaves;
    for (const auto& slot : before->available)
        enclaves.push_back(slot.enclave_id);
    EXPECT_EQ(enclaves, (std::vector<std::uint32_t>{1, 0, 2, 0, 1, 2}));
    const auto registered = rig.run(rig->register_participant(party.registration(3, 0)));
    ASSERT_TRUE(registered.has_value()) << registered.error().detail;
    EXPECT_EQ(registered->participants_registered, 1u);
    EXPECT_EQ(registered->signer_index, 3u);
    EXPECT_EQ(registered->assigned_enclave_id, 0u);
    const auto after = rig.run(rig->slots(party.id));
    ASSERT_TRUE(after.has_value());
    EXPECT_EQ(after->claimed, 1u);
    EXPECT_EQ(after->available.size(), 5u);
}

TEST(EngineCeremony, CompletesBeforeTheLastRegistrationIsAnswered) {
    Rig rig(signers(), 2);
    rig.wait_healthy(2);
    Party party(rig, {.participants = 2});
    ASSERT_TRUE(rig.run(rig->create_keygen(party.creation())).has_value());
    ASSERT_TRUE(rig.run(rig->register_participant(party.registration(0, 0))).has_value());
    const auto waiting = party.status(1);
    ASSERT_TRUE(waiting.has_value());
    EXPECT_EQ(waiting->signer_index, 1u);
    EXPECT_FALSE(waiting->aggregate_public_key.has_value());
    // A long poll ends with the completion, not with its time.
    const auto poll = rig.begin(rig->wait_keygen_status(*waiting, std::chrono::steady_clock::now() + std::chrono::seconds(30)));
    ASSERT_TRUE(rig.run(rig->register_participant(party.registration(1, 1))).has_value());
    const auto done = party.status(0);
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(done->status, session::KeygenStatus::Completed);
    const auto polled = rig.end(poll);
    ASSERT_TRUE(polled.has_value());
    EXPECT_EQ(polled->status, session::KeygenStatus::Completed);
    EXPECT_GT(polled->event_seq, waiting->event_seq);
    EXPECT_EQ(rig.run(rig->slots(party.id)).error().code, Errc::WrongState);
}

TEST(EngineCeremony, SignsManyAtOnceOnOneKey) {
    Rig rig(signers(), 3);
    rig.wait_healthy(3);
    Party party(rig, {.participants = 3});
    const auto keygen = party.complete();
    constexpr int kMany = 200;
    std::vector<engine::CreateSigning> requests;
    std::vector<std::shared_ptr<std::optional<Result<engine::CreateSigningAnswer>>>> begun;
    for (int i = 0; i < kMany; ++i) {
        requests.push_back(party.signing(some_message(i)));
        begun.push_back(rig.begin(rig->create_signing(requests.back())));
    }
    for (int i = 0; i < kMany; ++i) {
        const auto created = rig.end(begun[static_cast<std::size_t>(i)]);
        ASSERT_TRUE(created.has_value()) << created.error().detail;
    }
    for (int i = 0; i < kMany; ++i)
        party.expect_signature(party.outcome(requests[static_cast<std::size_t>(i)].id), keygen, some_message(i));
}

TEST(EngineCeremony, StartsAgainWithEverythingItHad) {
    Rig rig(signers(), 3);
    rig.wait_healthy(3);
    Party party(rig, {.participants = 3});
    const auto keygen = party.complete();
    sign_once(party, keygen, 1);
    const auto old = party.session_header(0);
    ASSERT_TRUE(rig.run(rig->keygen_status(party.id, old)).has_value());
    rig.stop();
    rig.start();
    rig.wait_healthy(3);
    EXPECT_EQ(rig.run(rig->keygen_status(party.id, old)).error().code, Errc::NonceReplayed);
    const auto again = party.status();
    ASSERT_TRUE(again.has_value());
    party.expect_key(*again);
    EXPECT_EQ(again->event_seq, keygen.event_seq);
    sign_once(party, *again, 2);
}

TEST(EngineCeremony, IsReadyOnceEveryEnclaveSignedACanary) {
    Rig rig(signers(), 3);
    rig.spin([&] { return rig->ready().ready; });
    EXPECT_TRUE(rig->ready().reasons.empty());
    const auto health = rig->health();
    EXPECT_EQ(health.healthy_enclaves, 3u);
    EXPECT_EQ(health.total_enclaves, 3u);
    const auto enclaves = rig->enclaves();
    ASSERT_EQ(enclaves.size(), 3u);
    for (const auto& enclave : enclaves) {
        EXPECT_TRUE(enclave.healthy && enclave.reached);
        EXPECT_EQ(enclave.key_epoch, 1u);
        EXPECT_FALSE(enclave.attestation_document.empty());
        EXPECT_FALSE(enclave.pcrs.empty());
    }
    const auto attested = rig.run(rig->attestation(1, {1, 2, 3}));
    ASSERT_TRUE(attested.has_value());
    EXPECT_EQ(attested->public_key, enclaves[1].public_key);
    EXPECT_EQ(rig.run(rig->attestation(9, {})).error().code, Errc::NotFound);
}

} // namespace
} // namespace keymeld::test
