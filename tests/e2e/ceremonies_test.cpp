// Keygen and signing through real HTTP, real signer processes and SQLite: every size, number of enclaves, tweak, order and parity.
// Each key and each signature is checked by the independent implementation (OpenSSL), inside the harness.
#include "core/base/hex.h"
#include "core/secure/random.h"
#include "tests/e2e/harness.h"

namespace keymeld::e2e {
namespace {

using bitcoin::KeyOrder;
using bitcoin::TweakConfig;
using bitcoin::TweakType;
using namespace std::chrono_literals;

constexpr std::array kTweaks{TweakType::None, TweakType::UnspendableTaproot, TweakType::TaprootWithMerkleRoot, TweakType::PlainTweak,
                             TweakType::XOnlyTweak};

TweakConfig tweak_of(TweakType type) {
    TweakConfig out{type, {}};
    if (out.has_value()) {
        out.value32 = secure::random_array<32>();
        out.value32[0] &= 0x7f; // below the group order
    }
    return out;
}

class EnclaveCount : public ::testing::TestWithParam<std::uint32_t> {};

/// 2 to 20 participants; tweaks and orders take turns.
TEST_P(EnclaveCount, SignsForTwoToTwenty) {
    const std::uint32_t enclaves = GetParam();
    const auto fleet = start_fleet({.enclaves = enclaves});
    Client client(*fleet);
    for (std::size_t size = 2; size <= 20; ++size) {
        SCOPED_TRACE(std::to_string(size) + " participants over " + std::to_string(enclaves) + " enclaves");
        Group group({.size = size,
                     .policies = {Approval::Header, Approval::Bound},
                     .tweak = tweak_of(kTweaks[(size + enclaves) % kTweaks.size()]),
                     .key_order = size % 2 == 0 ? KeyOrder::UserId : KeyOrder::Bip327Sorted});
        client.make_key(group);
        const auto first = client.sign(group);
        const auto second = client.sign(group);
        EXPECT_NE(first.hex().substr(0, 64), second.hex().substr(0, 64)) << "two signatures share a nonce";
    }
    EXPECT_EQ(fleet->casualties(), "");
    EXPECT_TRUE(fleet->shut_down());
}

INSTANTIATE_TEST_SUITE_P(OneToFive, EnclaveCount, ::testing::Values(1, 2, 3, 4, 5), ::testing::PrintToStringParamName());

class Ceremonies : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { s_fleet = start_fleet(); }
    static void TearDownTestSuite() {
        EXPECT_EQ(s_fleet->casualties(), "");
        const Status stopped = s_fleet->shut_down();
        EXPECT_TRUE(stopped) << (stopped ? "" : explain(stopped.error()));
        s_fleet.reset();
    }
    static std::unique_ptr<fleet::SimFleet> s_fleet;
};
std::unique_ptr<fleet::SimFleet> Ceremonies::s_fleet;

TEST_F(Ceremonies, EveryTweakOrderAndParity) {
    Client client(*s_fleet);
    for (const TweakType type : kTweaks)
        for (const KeyOrder order : {KeyOrder::UserId, KeyOrder::Bip327Sorted})
            for (const bool odd : {false, true}) {
                SCOPED_TRACE(std::string(bitcoin::text(type)) + ", " + std::string(bitcoin::text(order)) + (odd ? ", odd" : ", even"));
                Group group({.tweak = tweak_of(type), .key_order = order, .odd_aggregate = odd});
                client.make_key(group);
                EXPECT_EQ(group.key->untweaked.has_even_y(), !odd);
                client.sign(group);
            }
}

TEST_F(Ceremonies, SignsNothingWithoutEveryApproval) {
    Client client(*s_fleet);
    Group group({.policies = {Approval::Header, Approval::Bound, Approval::Bound}});
    client.make_key(group);
    client::Ceremony ceremony(client.rest());
    const auto message = secure::random_array<32>();
    const SigningId id =
        must(run(ceremony.create_signing(*group.invitation, group.people[0].user_id, message, 120)), "creating a session");
    const auto status = [&] { return must(run(client.rest().signing_status(id, group.people[0].signing_header())), "status"); };
    EXPECT_EQ(status().requiring_approval.size(), 3u);
    must(run(ceremony.approve(*group.invitation, group.people[0], id, message, Approval::Header)), "approving");
    // The header alone is not enough for a participant whose policy is "bound".
    const Status refused = run(ceremony.approve(*group.invitation, group.people[1], id, message, Approval::Header));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::BoundApprovalRequired);
    // Nor is a signature over another message.
    const Status other = run(ceremony.approve(*group.invitation, group.people[1], id, secure::random_array<32>(), Approval::Bound));
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, Errc::MessageMismatch);
    must(run(ceremony.approve(*group.invitation, group.people[1], id, message, Approval::Bound)), "approving");
    EXPECT_EQ(status().status, "collecting_participants");
    EXPECT_EQ(status().approved.size(), 2u);
    must(run(ceremony.approve(*group.invitation, group.people[2], id, message, Approval::Bound)), "approving");
    must(client.fetch(group, id, message), "signature");
}

TEST_F(Ceremonies, ARejectionEndsTheSessionAndLeavesTheKey) {
    Client client(*s_fleet);
    Group group({.policies = {Approval::None, Approval::Bound}});
    client.make_key(group);
    client::Ceremony ceremony(client.rest());
    const auto message = secure::random_array<32>();
    const SigningId id =
        must(run(ceremony.create_signing(*group.invitation, group.people[0].user_id, message, 120)), "creating a session");
    const auto rejected = must(run(client.rest().reject(id, group.people[1].signing_header())), "rejecting");
    EXPECT_EQ(rejected.status, "failed");
    ASSERT_TRUE(rejected.failure);
    EXPECT_EQ(rejected.failure->type, "rejected");
    const auto fetched = client.fetch(group, id, message, 5s);
    ASSERT_FALSE(fetched);
    EXPECT_EQ(fetched.error().code, Errc::WrongState);
    client.sign(group);
}

TEST_F(Ceremonies, TheQuotaHolds) {
    Client client(*s_fleet);
    Group group({.size = 2, .max_signing_sessions = 2});
    client.make_key(group);
    client.sign(group);
    client.sign(group);
    client::Ceremony ceremony(client.rest());
    const auto third = run(ceremony.create_signing(*group.invitation, group.people[0].user_id, secure::random_array<32>(), 120));
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, Errc::QuotaExceeded);
}

TEST_F(Ceremonies, ARepeatedRequestIsAnsweredAsBefore) {
    Client client(*s_fleet);
    Group group({.size = 2});
    const auto create = keygen_body(client, group);
    must(run(client.rest().create_keygen(create)), "creating");
    must(run(client.rest().create_keygen(create)), "creating again");
    for (std::size_t who : {0u, 1u}) {
        const auto body = register_body(client, group, who);
        for (int repeat = 0; repeat < 2; ++repeat)
            must(run(client.rest().register_participant(body, group.invitation->session_header(body.user_id))), "registering");
    }
    client::Ceremony ceremony(client.rest());
    group.key = must(run(ceremony.aggregate_key(*group.invitation, group.people[1], steady_clock::now() + 30s)), "key");
    const auto message = secure::random_array<32>();
    const auto body = signing_body(group, message);
    for (int repeat = 0; repeat < 3; ++repeat)
        must(run(client.rest().create_signing(body, group.invitation->session_header(group.people[0].user_id))), "signing");
    const auto first = must(client.fetch(group, body.signing_id, message), "signature");
    EXPECT_EQ(must(client.fetch(group, body.signing_id, message), "signature").hex(), first.hex());
    auto changed = body;
    changed.timeout_secs += 1;
    const Status refused = run(client.rest().create_signing(changed, group.invitation->session_header(group.people[0].user_id)));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::DuplicateId);
}

TEST_F(Ceremonies, AClientRefusesEnclavesItWasNotToldToTrust) {
    Client client(*s_fleet);
    const auto stranger = start_fleet({.enclaves = 1});
    // Right root, other measurements; then right measurements, other root.
    const auto other_root = must(client::Trust::load(stranger->trust_root().string(), s_fleet->pcrs()), "trust");
    const auto refused = run(other_root.verify(client.rest(), 0));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::AttestationRefused);
    const auto aws = must(client::Trust::load("aws", s_fleet->pcrs()), "trust");
    const auto not_hardware = run(aws.verify(client.rest(), 0));
    ASSERT_FALSE(not_hardware);
    EXPECT_EQ(not_hardware.error().code, Errc::AttestationRefused);
    // And without a trust anchor nothing is encrypted at all.
    Group group({.size = 2});
    client::Ceremony blind(client.rest());
    const auto blindly = run(blind.create_keygen(group.people[0], {group.people[0].user_id, group.people[1].user_id}, {}));
    ASSERT_FALSE(blindly);
    EXPECT_EQ(blindly.error().code, Errc::AttestationRefused);
}

} // namespace
} // namespace keymeld::e2e
