// Sealed state: what the gateway may give back, and what the enclave forgets and remembers.
#include <algorithm>

#include "tests/unit/enclave/signer_fixture.h"

namespace keymeld::test {
namespace {

class Sealing : public SignerTest {
  protected:
    wire::Response restore(std::size_t enclave, const TestKeygen& keygen,
                           TestGateway::Stored updates) {
        gateway.stored(enclave, keygen.id()) = std::move(updates);
        return gateway.send(enclave, gateway.restore(enclave, keygen.id()));
    }
};

TEST_F(Sealing, VersionsAreConsecutiveAndTheFirstIsASnapshot) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 0}});
    const wire::SealedUpdate opened = gateway.send(0, keygen.open()).open_keygen().sealed();
    EXPECT_EQ(opened.version(), 1u);
    EXPECT_TRUE(opened.snapshot());
    const wire::Response one = gateway.send(0, keygen.register_participant(0));
    EXPECT_EQ(one.register_().sealed().version(), 2u);
    EXPECT_FALSE(one.register_().sealed().snapshot());
    const wire::Response two = gateway.send(0, keygen.register_participant(1));
    EXPECT_EQ(two.register_().sealed().version(), 3u);
    const wire::Response completed = gateway.send(
        0, keygen.complete({one.register_().registration(), two.register_().registration()}));
    EXPECT_EQ(completed.complete_keygen().sealed().version(), 4u);
    EXPECT_TRUE(completed.complete_keygen().sealed().snapshot());
}

TEST_F(Sealing, NothingDurableNothingSealed) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    EXPECT_TRUE(gateway.send(0, gateway.round1(keygen, signing)).sign_round1().has_sealed());
    EXPECT_FALSE(gateway.send(0, gateway.round1(keygen, signing)).sign_round1().has_sealed());
    EXPECT_FALSE(gateway.send(0, gateway.round1(keygen, signing, 2)).sign_round1().has_sealed());
}

TEST_F(Sealing, ANewStreamGetsASnapshotFirst) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    // The answer is lost with the stream, so the gateway stores nothing of it.
    const wire::Response lost = first.call(gateway.round1(keygen, signing));
    ASSERT_TRUE(succeeded(lost));
    first.reconnect();
    const wire::Response again = gateway.send(0, gateway.round1(keygen, signing));
    ASSERT_TRUE(again.sign_round1().has_sealed());
    EXPECT_TRUE(again.sign_round1().sealed().snapshot());
    EXPECT_EQ(again.sign_round1().sealed().version(), lost.sign_round1().sealed().version() + 1);
    // What is stored now holds the lost change.
    first.restart();
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.restore(0, keygen.id()))));
    TestSigning replay = gateway.start_signing(keygen);
    replay.evidence = signing.evidence;
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, replay)), Errc::NonceReplayed));
}

TEST_F(Sealing, AnOlderStreamIsNoReasonToForget) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const std::uint64_t old_stream = first.stream();
    first.reconnect();
    EXPECT_TRUE(gateway.send(0, gateway.round1(keygen, gateway.start_signing(keygen)))
                    .sign_round1()
                    .sealed()
                    .snapshot());
    // A request that was still under way on the old stream, and then the new one again: each gets
    // everything.
    const wire::Response late =
        first.call_on(old_stream, gateway.round1(keygen, gateway.start_signing(keygen)));
    EXPECT_TRUE(late.sign_round1().sealed().snapshot());
    EXPECT_TRUE(gateway.send(0, gateway.round1(keygen, gateway.start_signing(keygen)))
                    .sign_round1()
                    .sealed()
                    .snapshot());
    EXPECT_FALSE(gateway.send(0, gateway.round1(keygen, gateway.start_signing(keygen)))
                     .sign_round1()
                     .sealed()
                     .snapshot());
}

TEST_F(Sealing, TamperedStateIsRefused) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    TestKeygen other = ready({.slots = {0, 1}});
    for (int i = 0; i < 3; ++i)
        gateway.sign(keygen, gateway.start_signing(keygen));
    const TestGateway::Stored good = gateway.stored(0, keygen.id());
    ASSERT_EQ(good.size(), 4u);
    first.restart();
    const auto refused = [&](auto&& change) {
        TestGateway::Stored updates = good;
        change(updates);
        return refused_with(restore(0, keygen, updates), Errc::SealBroken);
    };
    EXPECT_TRUE(refused([](auto& u) { u.clear(); }));
    EXPECT_TRUE(refused([](auto& u) { u.erase(u.begin()); }));                   // no snapshot
    EXPECT_TRUE(refused([](auto& u) { u.erase(u.begin() + 1); }));               // a gap
    EXPECT_TRUE(refused([](auto& u) { std::swap(u[1], u[2]); }));                // another order
    EXPECT_TRUE(refused([](auto& u) { u.insert(u.begin() + 1, u[1]); }));        // one twice
    EXPECT_TRUE(refused([](auto& u) { u[2].set_version(u[2].version() + 1); })); // another number
    EXPECT_TRUE(refused([](auto& u) { u[0].set_version(u[0].version() + 1); }));
    EXPECT_TRUE(refused([](auto& u) { u[0].set_version(0); }));
    EXPECT_TRUE(refused([](auto& u) { u[0].set_version(~std::uint64_t{0}); }));
    EXPECT_TRUE(refused([](auto& u) { u[1].set_snapshot(true); })); // another kind
    EXPECT_TRUE(refused([](auto& u) { u[0].set_snapshot(false); }));
    EXPECT_TRUE(refused([](auto& u) { u.push_back(u[0]); }));
    EXPECT_TRUE(refused([](auto& u) { u[0].clear_blob(); }));
    EXPECT_TRUE(refused([](auto& u) { u[1].mutable_blob()->pop_back(); }));
    for (const std::size_t at : {0u, 5u, 12u, 40u})
        EXPECT_TRUE(refused(
            [&](auto& u) { (*u[0].mutable_blob())[at] = static_cast<char>(u[0].blob()[at] ^ 1); }));
    EXPECT_TRUE(refused([](auto& u) { u[3].mutable_blob()->back() ^= 1; }));
    EXPECT_TRUE(refused([&](auto& u) { u = gateway.stored(0, other.id()); }));  // another session's
    EXPECT_TRUE(refused([&](auto& u) { u = gateway.stored(1, keygen.id()); })); // another enclave's
    const wire::Response restored = restore(0, keygen, good);
    ASSERT_TRUE(succeeded(restored));
    EXPECT_EQ(restored.restore().version(), good.back().version());
    gateway.sign(keygen, gateway.start_signing(keygen));
}

TEST_F(Sealing, DeltasOfTwoHistoriesDoNotMix) {
    TestKeygen keygen = ready({.slots = {0, 0}});
    gateway.sign(keygen, gateway.start_signing(keygen));
    const TestGateway::Stored trunk = gateway.stored(0, keygen.id());
    gateway.sign(keygen, gateway.start_signing(keygen));
    gateway.sign(keygen, gateway.start_signing(keygen));
    const TestGateway::Stored left = gateway.stored(0, keygen.id());
    first.restart();
    ASSERT_TRUE(succeeded(restore(0, keygen, trunk)));
    gateway.sign(keygen, gateway.start_signing(keygen)); // a snapshot
    gateway.sign(keygen, gateway.start_signing(
                             keygen)); // a delta with a version that the other history has too
    const TestGateway::Stored right = gateway.stored(0, keygen.id());
    ASSERT_EQ(right.back().version(), left.back().version());
    TestGateway::Stored mixed = left;
    mixed.back() = right.back();
    first.restart();
    EXPECT_TRUE(refused_with(restore(0, keygen, mixed), Errc::SealBroken));
    EXPECT_TRUE(succeeded(restore(0, keygen, left)));
}

TEST_F(Sealing, ManyDeltasBecomeASnapshot) {
    TestKeygen keygen = ready({.slots = {0, 1}, .max_signing_sessions = 1000});
    std::size_t most = 0;
    int snapshots = 0;
    for (int i = 0; i < 200; ++i) {
        const wire::Response response =
            gateway.send(0, gateway.round1(keygen, gateway.start_signing(keygen)));
        ASSERT_TRUE(succeeded(response));
        snapshots += response.sign_round1().sealed().snapshot() ? 1 : 0;
        most = std::max(most, gateway.stored(0, keygen.id()).size());
    }
    EXPECT_GE(snapshots, 1);
    EXPECT_LE(snapshots, 3);
    EXPECT_GE(most, 65u);
    first.restart();
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.restore(0, keygen.id()))));
    TestKeygen limit = ready({.slots = {0, 1}, .max_signing_sessions = 1});
    EXPECT_TRUE(succeeded(gateway.send(0, gateway.round1(keygen, gateway.start_signing(keygen)))));
}

TEST_F(Sealing, AHeldSessionIgnoresWhatIsGivenBack) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestGateway::Stored old = gateway.stored(0, keygen.id());
    const TestSigning signing = gateway.start_signing(keygen);
    gateway.sign(keygen, signing);
    const std::uint64_t version = gateway.stored(0, keygen.id()).back().version();
    const wire::Response answer = restore(0, keygen, old);
    ASSERT_TRUE(succeeded(answer));
    EXPECT_EQ(answer.restore().version(), version);
    TestSigning replay = gateway.start_signing(keygen);
    replay.evidence = signing.evidence;
    EXPECT_TRUE(refused_with(first.call(gateway.round1(keygen, replay)), Errc::NonceReplayed));
}

class Eviction : public ::testing::Test {
  protected:
    LocalPki pki;
    LocalEnclave small{pki, {.limits = limits()}};
    TestGateway gateway{{&small}};

    virtual enclave::Limits limits() const { return {.max_keygens = 2, .max_parked_bytes = 0}; }
    TestKeygen ready() {
        TestKeygen keygen(
            gateway.enclaves(),
            {.slots = {0, 0}, .policies = {ApprovalPolicy::Header, ApprovalPolicy::None}});
        gateway.keygen(keygen);
        return keygen;
    }
};

TEST_F(Eviction, TheLeastRecentlyUsedGoesAndComesBack) {
    TestKeygen one = ready();
    TestKeygen two = ready();
    gateway.sign(one, gateway.start_signing(one));
    TestKeygen three = ready();
    EXPECT_EQ(small.signer().counters().keygens, 2u);
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(two, gateway.start_signing(two))),
                             Errc::StateUnknown));
    EXPECT_TRUE(refused_with(gateway.send(0, two.open()), Errc::StateUnknown));
    EXPECT_TRUE(succeeded(gateway.send(0, gateway.round1(one, gateway.start_signing(one)))));
    gateway.sign(two, gateway.start_signing(two)); // with Restore
}

TEST_F(Eviction, OldStateDoesNotComeBackWithinOneLife) {
    TestKeygen one = ready();
    const TestGateway::Stored old = gateway.stored(0, one.id());
    const TestSigning signing = gateway.start_signing(one);
    gateway.sign(one, signing);
    TestKeygen two = ready();
    TestKeygen three = ready();
    const TestGateway::Stored latest = gateway.stored(0, one.id());
    gateway.stored(0, one.id()) = old;
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.restore(0, one.id())), Errc::StateRolledBack));
    gateway.stored(0, one.id()) = latest;
    EXPECT_TRUE(succeeded(gateway.send(0, gateway.restore(0, one.id()))));
    TestSigning replay = gateway.start_signing(one);
    replay.evidence = signing.evidence;
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(one, replay)), Errc::NonceReplayed));
}

TEST_F(Eviction, PrivateKeysCount) {
    LocalEnclave few_keys(pki, {.limits = {.max_private_keys = 5, .max_parked_bytes = 0}});
    TestGateway own({&few_keys});
    TestKeygen one(own.enclaves(), {.slots = {0, 0}});
    own.keygen(one);
    TestKeygen two(own.enclaves(), {.slots = {0, 0, 0}});
    own.keygen(two);
    EXPECT_EQ(few_keys.signer().counters().keygens, 2u);
    TestKeygen three(own.enclaves(), {.slots = {0, 0}});
    own.keygen(three);
    own.sign(two, own.start_signing(two));
    TestKeygen four(own.enclaves(), {.slots = {0, 0}});
    own.keygen(four);
    EXPECT_EQ(few_keys.signer().counters().keygens, 2u);
    own.sign(one, own.start_signing(one)); // with Restore
}

TEST_F(Eviction, NotWhileAnAttemptIsUnderWay) {
    LocalEnclave other(pki);
    TestGateway wide({&small, &other});
    const auto spread = [&] {
        TestKeygen keygen(wide.enclaves(), {.slots = {0, 1}});
        wide.keygen(keygen);
        return keygen;
    };
    TestKeygen busy = spread();
    const TestSigning signing = wide.start_signing(busy);
    RoundTrips trips;
    for (const std::size_t enclave : {0u, 1u})
        trips.round1[enclave] = wide.send(enclave, wide.round1(busy, signing)).sign_round1();
    for (int i = 0; i < 4; ++i)
        spread();
    trips.round2[1] = wide.send(1, wide.round2(busy, signing, trips)).sign_round2();
    EXPECT_TRUE(succeeded(wide.send(0, wide.finish(busy, signing, trips))));
}

TEST_F(Eviction, DeletedWhileEvictedStaysDeleted) {
    TestKeygen one = ready();
    TestKeygen two = ready();
    TestKeygen three = ready();
    wire::Request deleting;
    deleting.mutable_delete_keygen()->set_keygen_id(raw(one.id().bytes));
    ASSERT_TRUE(succeeded(gateway.send(0, deleting)));
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.restore(0, one.id())), Errc::StateRolledBack));
    EXPECT_TRUE(refused_with(gateway.send(0, one.open()), Errc::DuplicateId));
}

class Parking : public Eviction {
  protected:
    enclave::Limits limits() const override {
        return {.max_keygens = 2, .max_parked_bytes = 1 << 20};
    }
};

TEST_F(Parking, AParkedSessionNeedsNobody) {
    LocalEnclave roomy(pki, {.limits = limits()});
    TestGateway own({&roomy});
    std::vector<TestKeygen> keygens;
    for (int i = 0; i < 5; ++i) {
        keygens.emplace_back(own.enclaves(), KeygenSetup{.slots = {0, 0}});
        own.keygen(keygens.back());
    }
    EXPECT_EQ(roomy.signer().counters().keygens, 2u);
    EXPECT_EQ(roomy.signer().counters().parked, 3u);
    const TestSigning signing = own.start_signing(keygens[0]);
    const wire::Response response = own.send(0, own.round1(keygens[0], signing));
    ASSERT_TRUE(succeeded(response));
    keygens[0].open_final(response.sign_round1().final_signature(), signing.message);
    EXPECT_TRUE(response.sign_round1().sealed().snapshot());
    // Nothing of the ledger was lost on the way.
    for (const std::size_t i : {1u, 2u, 3u})
        own.sign(keygens[i], own.start_signing(keygens[i]));
    TestSigning replay = own.start_signing(keygens[0]);
    replay.evidence = signing.evidence;
    EXPECT_TRUE(refused_with(own.send(0, own.round1(keygens[0], replay)), Errc::NonceReplayed));
}

TEST_F(Sealing, AFullLedgerAcceptsNothingMore) {
    LocalEnclave small(pki, {.limits = {.max_state_bytes = 3000}});
    TestGateway narrow({&small, &second});
    TestKeygen keygen(narrow.enclaves(), {.slots = {0, 1}, .max_signing_sessions = 1000});
    narrow.keygen(keygen);
    int accepted = 0;
    wire::Response response;
    while (
        succeeded(response = narrow.send(0, narrow.round1(keygen, narrow.start_signing(keygen)))) &&
        accepted < 1000)
        ++accepted;
    EXPECT_TRUE(refused_with(response, Errc::QuotaExceeded));
    EXPECT_GT(accepted, 10);
    small.restart();
    EXPECT_TRUE(succeeded(narrow.send(0, narrow.restore(0, keygen.id()))));
}

TEST_F(Sealing, HistoryIsBounded) {
    LocalEnclave small(pki, {.limits = {.max_history = 3}});
    TestGateway narrow({&small});
    for (int i = 0; i < 3; ++i) {
        TestKeygen keygen(narrow.enclaves(), {.slots = {0, 0}});
        ASSERT_TRUE(succeeded(narrow.send(0, keygen.open())));
    }
    TestKeygen keygen(narrow.enclaves(), {.slots = {0, 0}});
    EXPECT_TRUE(refused_with(narrow.send(0, keygen.open()), Errc::Overloaded));
    EXPECT_TRUE(refused_with(narrow.send(0, narrow.restore(0, keygen.id())), Errc::SealBroken));
    wire::Request deleting;
    deleting.mutable_delete_keygen()->set_keygen_id(raw(keygen.id().bytes));
    EXPECT_TRUE(refused_with(narrow.send(0, deleting), Errc::Overloaded));
}

TEST_F(Sealing, BindingsAreBounded) {
    LocalEnclave small(pki, {.limits = {.max_bindings = 3}});
    TestGateway narrow({&small});
    TestKeygen keygen(narrow.enclaves(), {.slots = {0, 0}});
    ASSERT_TRUE(succeeded(narrow.send(0, keygen.open())));
    ASSERT_TRUE(succeeded(narrow.send(0, keygen.register_participant(0))));
    EXPECT_TRUE(refused_with(narrow.send(0, keygen.register_participant(1)), Errc::Overloaded));
    EXPECT_TRUE(succeeded(narrow.send(0, keygen.register_participant(0))));
    // What is given back needs its bindings too.
    small.restart();
    TestKeygen other(narrow.enclaves(), {.slots = {0, 0}});
    ASSERT_TRUE(succeeded(narrow.send(0, other.open())));
    EXPECT_TRUE(refused_with(narrow.send(0, narrow.restore(0, keygen.id())), Errc::Overloaded));
}

} // namespace
} // namespace keymeld::test
