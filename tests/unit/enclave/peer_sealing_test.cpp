// An enclave's key across its restart: what peers keep, to whom they give it, and what a hostile
// gateway gets out of carrying it.
#include "core/crypto/peer_channel.h"
#include "tests/unit/enclave/signer_fixture.h"

namespace keymeld::test {
namespace {

constexpr LocalEnclave::Options kPeer{.peer_sealing = true};
const std::string kNoVersions(8, '\0');

class PeerSealing : public ::testing::Test {
  protected:
    LocalPki pki;
    LocalEnclave first{pki, kPeer};
    LocalEnclave second{pki, kPeer};
    LocalEnclave third{pki, kPeer};
    TestGateway gateway{{&first, &second, &third}};

    TestKeygen ready(const KeygenSetup& setup) {
        TestKeygen keygen(gateway.enclaves(), setup);
        gateway.keygen(keygen);
        return keygen;
    }

    static void introduce(TestEnclave& whom, TestEnclave& to) {
        TestGateway pair({&whom, &to});
        pair.introduce(0, 1);
    }
    static wire::Response escrow_box(TestEnclave& owner, const crypto::PlainPubKey& holder) {
        wire::Request request;
        request.mutable_escrow_identity()->set_peer_public_key(raw(holder.bytes()));
        return owner.call(request);
    }
    static wire::Response keep(TestEnclave& holder, const crypto::PlainPubKey& owner,
                               const std::string& box, const std::string& versions = kNoVersions) {
        wire::Request request;
        request.mutable_keep_escrow()->set_owner_public_key(raw(owner.bytes()));
        request.mutable_keep_escrow()->set_box(box);
        request.mutable_keep_escrow()->set_versions(versions);
        return holder.call(request);
    }
    static std::string escrow(TestEnclave& owner, TestEnclave& holder) {
        introduce(owner, holder);
        introduce(holder, owner);
        const wire::Response given = escrow_box(owner, holder.public_key());
        EXPECT_TRUE(succeeded(given));
        EXPECT_TRUE(succeeded(keep(holder, owner.public_key(), given.escrow_identity().box(),
                                   given.escrow_identity().versions())));
        return given.escrow_identity().box();
    }
    static wire::Response hand_over(TestEnclave& giver, const crypto::PlainPubKey& owner,
                                    const crypto::PlainPubKey& heir) {
        wire::Request request;
        request.mutable_hand_over()->set_owner_public_key(raw(owner.bytes()));
        request.mutable_hand_over()->set_heir_public_key(raw(heir.bytes()));
        return giver.call(request);
    }
    static wire::Response take_over(TestEnclave& heir, const crypto::PlainPubKey& giver,
                                    const std::string& box,
                                    const std::string& versions = kNoVersions) {
        wire::Request request;
        request.mutable_take_over()->set_giver_public_key(raw(giver.bytes()));
        request.mutable_take_over()->set_box(box);
        request.mutable_take_over()->set_versions(versions);
        return heir.call(request);
    }
    /// As an honest gateway does it; a new stream follows.
    static wire::Response recover(TestEnclave& heir, TestEnclave& giver,
                                  const crypto::PlainPubKey& owner) {
        introduce(giver, heir);
        introduce(heir, giver);
        const wire::Response given = hand_over(giver, owner, heir.public_key());
        if (given.has_failure())
            return given;
        wire::Response taken = take_over(heir, giver.public_key(), given.hand_over().box(),
                                         given.hand_over().versions());
        heir.reconnect();
        return taken;
    }
    static wire::ReportVersionsResult report(TestEnclave& owner,
                                             const crypto::PlainPubKey& holder) {
        wire::Request request;
        request.mutable_report_versions()->add_peer_public_keys(raw(holder.bytes()));
        const wire::Response response = owner.call(request);
        EXPECT_TRUE(succeeded(response));
        EXPECT_EQ(response.report_versions().tags_size(), 1);
        return response.report_versions();
    }
    static wire::Response keep_versions(TestEnclave& holder, const crypto::PlainPubKey& owner,
                                        const std::string& versions, const std::string& tag) {
        wire::Request request;
        request.mutable_keep_versions()->set_owner_public_key(raw(owner.bytes()));
        request.mutable_keep_versions()->set_versions(versions);
        request.mutable_keep_versions()->set_tag(tag);
        return holder.call(request);
    }
    static void tell(TestEnclave& owner, TestEnclave& holder) {
        const auto told = report(owner, holder.public_key());
        EXPECT_TRUE(
            succeeded(keep_versions(holder, owner.public_key(), told.versions(), told.tags(0))));
    }
    static std::uint32_t unreported(TestEnclave& enclave) {
        wire::Request request;
        request.mutable_ping();
        return enclave.call(request).ping().unreported_states();
    }
    static std::uint64_t kept_incarnation(TestEnclave& holder, const crypto::PlainPubKey& owner) {
        wire::Request request;
        request.mutable_list_escrows();
        const wire::Response response = holder.call(request);
        EXPECT_TRUE(succeeded(response));
        for (const auto& entry : response.list_escrows().escrows())
            if (entry.owner_public_key() == raw(owner.bytes()))
                return entry.incarnation();
        return 0;
    }
};

TEST_F(PeerSealing, ARestartedEnclaveGetsItsKeyBackAndSignsOn) {
    const TestKeygen keygen = ready({.slots = {0, 1, 1}});
    gateway.sign(keygen, gateway.start_signing(keygen));
    escrow(second, third);
    const crypto::PlainPubKey key = second.public_key();
    const Uuid boot = second.boot_id();
    EXPECT_EQ(second.incarnation(), 1u);

    second.restart();
    const Uuid temporary_boot = second.boot_id();
    EXPECT_NE(second.public_key(), key);
    EXPECT_TRUE(second.may_take_over());
    const wire::Response taken = recover(second, third, key);
    ASSERT_TRUE(succeeded(taken));
    EXPECT_EQ(taken.take_over().public_key(), raw(key.bytes()));
    EXPECT_EQ(second.public_key(), key);
    EXPECT_EQ(second.incarnation(), 2u);
    EXPECT_FALSE(second.may_take_over());
    // Every attempt of either life is void.
    EXPECT_NE(second.boot_id(), boot);
    EXPECT_NE(second.boot_id(), temporary_boot);
    // It attests the old key: a peer believes it afresh.
    introduce(second, first);
    gateway.sign(keygen, gateway.start_signing(keygen));
    gateway.sign(keygen, gateway.start_signing(keygen));

    // Again, from another peer, which was told of the second life.
    escrow(second, first);
    EXPECT_EQ(kept_incarnation(first, key), 2u);
    second.restart();
    ASSERT_TRUE(succeeded(recover(second, first, key)));
    EXPECT_EQ(second.incarnation(), 3u);
    gateway.sign(keygen, gateway.start_signing(keygen));
}

TEST_F(PeerSealing, SealedStateNeedsTheKeyThatSealedIt) {
    const TestKeygen keygen = ready({.slots = {0, 1}});
    escrow(second, third);
    const crypto::PlainPubKey key = second.public_key();
    second.restart();
    EXPECT_TRUE(refused_with(second.call(gateway.restore(1, keygen.id())), Errc::SealBroken));
    // It was asked to work with its new key: from now on no other takes its place.
    EXPECT_TRUE(refused_with(recover(second, third, key), Errc::WrongState));
    second.restart();
    EXPECT_TRUE(succeeded(recover(second, third, key)));
}

TEST_F(PeerSealing, SecretNoncesDoNotComeBack) {
    const TestKeygen keygen = ready({.slots = {0, 1}});
    escrow(second, third);
    const crypto::PlainPubKey key = second.public_key();
    const TestSigning signing = gateway.start_signing(keygen);
    RoundTrips trips;
    for (const std::size_t enclave : {0u, 1u})
        trips.round1[enclave] =
            gateway.send(enclave, TestGateway::round1(keygen, signing)).sign_round1();
    second.restart();
    ASSERT_TRUE(succeeded(recover(second, third, key)));
    ASSERT_TRUE(succeeded(second.call(gateway.restore(1, keygen.id()))));
    const wire::Request round2 = TestGateway::round2(keygen, signing, trips);
    EXPECT_TRUE(refused_with(gateway.send(1, round2), Errc::AttemptVoid));
    // Made again under the old attempt's number they are others, and what was said is no answer.
    const wire::Response again = gateway.send(1, TestGateway::round1(keygen, signing));
    ASSERT_TRUE(succeeded(again));
    EXPECT_NE(again.sign_round1().contribution().nonces(0).pubnonce(),
              trips.round1[1].contribution().nonces(0).pubnonce());
    EXPECT_TRUE(refused_with(gateway.send(1, round2), Errc::RosterMismatch));
    gateway.sign(keygen, signing, 2);
}

// ---- A hostile gateway ----

TEST_F(PeerSealing, AnEarlierLifeIsNotSignedWith) {
    const TestKeygen keygen = ready({.slots = {0, 1}});
    gateway.sign(keygen, gateway.start_signing(keygen));
    escrow(second, first);
    const crypto::PlainPubKey key = second.public_key();
    // A second enclave gets the key while the first one lives: they have one key, one sealed state.
    LocalEnclave clone(pki, kPeer);
    ASSERT_TRUE(succeeded(recover(clone, first, key)));
    EXPECT_EQ(clone.public_key(), second.public_key());
    // The peer that gave it knows: from now on the older one is nobody, in every session.
    const TestSigning signing = gateway.start_signing(keygen);
    RoundTrips trips;
    for (const std::size_t enclave : {0u, 1u})
        trips.round1[enclave] =
            gateway.send(enclave, TestGateway::round1(keygen, signing)).sign_round1();
    trips.round2[1] = gateway.send(1, TestGateway::round2(keygen, signing, trips)).sign_round2();
    const wire::Response refused = gateway.send(0, gateway.finish(keygen, signing, trips));
    EXPECT_TRUE(refused_with(refused, Errc::StateRolledBack));
    EXPECT_EQ(refused.failure().peer_public_key(), raw(key.bytes()));
    // The later one goes on with the session.
    TestGateway later({&first, &clone, &third});
    for (const std::size_t enclave : {0u, 1u})
        later.stored(enclave, keygen.id()) = gateway.stored(enclave, keygen.id());
    later.sign(keygen, signing, 2);
}

TEST_F(PeerSealing, OfTwoHeirsWithOneNumberASessionKnowsOne) {
    const TestKeygen keygen = ready({.slots = {0, 1, 2}});
    escrow(second, first);
    escrow(second, third);
    const crypto::PlainPubKey key = second.public_key();
    second.restart();
    LocalEnclave clone(pki, kPeer);
    ASSERT_TRUE(succeeded(recover(second, first, key)));
    ASSERT_TRUE(succeeded(recover(clone, third, key)));
    EXPECT_EQ(second.incarnation(), clone.incarnation());
    gateway.sign(keygen, gateway.start_signing(keygen));
    // The same session with the other one in its place.
    TestGateway other({&first, &clone, &third});
    other.stored(1, keygen.id()) = gateway.stored(1, keygen.id());
    const TestSigning signing = gateway.start_signing(keygen);
    const auto refused = [&](std::uint32_t attempt) {
        const wire::Request round1 = TestGateway::round1(keygen, signing, attempt);
        RoundTrips trips;
        for (const std::size_t enclave : {0u, 1u, 2u})
            trips.round1[enclave] =
                (enclave == 1 ? other : gateway).ask(enclave, round1).sign_round1();
        return refused_with(gateway.send(2, TestGateway::round2(keygen, signing, trips, attempt)),
                            Errc::StateRolledBack);
    };
    EXPECT_TRUE(refused(1));
    // What a peer has seen is in its sealed state: its own restart makes it forget nothing.
    gateway.sign(keygen, gateway.start_signing(keygen));
    const crypto::PlainPubKey third_key = third.public_key();
    escrow(third, first);
    third.restart();
    ASSERT_TRUE(succeeded(recover(third, first, third_key)));
    EXPECT_TRUE(refused(2));
    gateway.sign(keygen, gateway.start_signing(keygen));
}

TEST_F(PeerSealing, TheIncarnationIsVouchedFor) {
    const TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    RoundTrips trips;
    for (const std::size_t enclave : {0u, 1u})
        trips.round1[enclave] =
            gateway.send(enclave, TestGateway::round1(keygen, signing)).sign_round1();
    for (const bool number : {true, false}) {
        RoundTrips hostile = trips;
        auto& contribution = *hostile.round1[0].mutable_contribution();
        if (number)
            contribution.set_incarnation(contribution.incarnation() + 1);
        else
            contribution.set_instance(contribution.instance() + 1);
        EXPECT_TRUE(refused_with(gateway.send(1, TestGateway::round2(keygen, signing, hostile)),
                                 Errc::RosterMismatch));
    }
    EXPECT_TRUE(succeeded(gateway.send(1, TestGateway::round2(keygen, signing, trips))));
}

TEST_F(PeerSealing, OldStateThatPeersWereToldOfIsRefusedAfterARestart) {
    // A session that no other enclave shares: only reports tell of it.
    const TestKeygen keygen = ready({.slots = {1, 1}});
    escrow(second, third);
    const auto at_escrow = gateway.stored(1, keygen.id());
    gateway.sign(keygen, gateway.start_signing(keygen));
    const auto before = gateway.stored(1, keygen.id());
    gateway.sign(keygen, gateway.start_signing(keygen));
    EXPECT_EQ(unreported(second), 1u);
    tell(second, third);
    EXPECT_EQ(unreported(second), 0u);
    const auto newest = gateway.stored(1, keygen.id());
    const crypto::PlainPubKey key = second.public_key();
    for (int life = 0; life < 2; ++life) {
        second.restart();
        // What the first life was told of, its heir tells whoever holds its key next.
        LocalEnclave& giver = life == 0 ? third : first;
        ASSERT_TRUE(succeeded(recover(second, giver, key)));
        for (const auto& old : {at_escrow, before}) {
            gateway.stored(1, keygen.id()) = old;
            EXPECT_TRUE(refused_with(gateway.send(1, gateway.restore(1, keygen.id())),
                                     Errc::StateRolledBack));
        }
        escrow(second, first);
        gateway.stored(1, keygen.id()) = newest;
        EXPECT_TRUE(succeeded(gateway.send(1, gateway.restore(1, keygen.id()))));
    }
    gateway.sign(keygen, gateway.start_signing(keygen));
}

TEST_F(PeerSealing, WhatAnEnclaveShowedWhenItSignedNeedsNoReport) {
    const TestKeygen keygen = ready({.slots = {0, 1}});
    escrow(second, first);
    const auto before = gateway.stored(1, keygen.id());
    gateway.sign(keygen, gateway.start_signing(keygen));
    const auto newest = gateway.stored(1, keygen.id());
    const crypto::PlainPubKey key = second.public_key();
    second.restart();
    ASSERT_TRUE(succeeded(recover(second, first, key)));
    gateway.stored(1, keygen.id()) = before;
    EXPECT_TRUE(
        refused_with(gateway.send(1, gateway.restore(1, keygen.id())), Errc::StateRolledBack));
    gateway.stored(1, keygen.id()) = newest;
    gateway.sign(keygen, gateway.start_signing(keygen));
}

TEST_F(PeerSealing, WhatWasDeletedStaysDeletedAndWhatWasGivenUpMayBeMade) {
    const TestKeygen keygen = ready({.slots = {1, 1}});
    escrow(second, third);
    TestKeygen given_up(gateway.enclaves(), {.slots = {1, 1}});
    EXPECT_TRUE(succeeded(gateway.send(1, given_up.open())));
    wire::Request remove;
    remove.mutable_delete_keygen()->set_keygen_id(raw(keygen.id().bytes));
    EXPECT_TRUE(succeeded(second.call(remove)));
    tell(second, third);
    const crypto::PlainPubKey key = second.public_key();
    second.restart();
    ASSERT_TRUE(succeeded(recover(second, third, key)));
    EXPECT_TRUE(
        refused_with(gateway.send(1, gateway.restore(1, keygen.id())), Errc::StateRolledBack));
    EXPECT_TRUE(succeeded(gateway.send(1, given_up.open())));
}

TEST_F(PeerSealing, VersionsAreVouchedFor) {
    const TestKeygen keygen = ready({.slots = {1, 1}});
    const crypto::PlainPubKey key = second.public_key();
    introduce(second, third);
    introduce(third, second);
    introduce(second, first);
    introduce(first, second);
    const wire::EscrowIdentityResult given =
        escrow_box(second, third.public_key()).escrow_identity();
    ASSERT_GT(given.versions().size(), kNoVersions.size());
    EXPECT_TRUE(refused_with(keep(third, key, given.box()), Errc::DecryptFailed));
    std::string lower = given.versions();
    lower[kNoVersions.size() / 2 + 15] = 0;
    EXPECT_TRUE(refused_with(keep(third, key, given.box(), lower), Errc::DecryptFailed));
    const auto told = report(second, third.public_key());
    EXPECT_TRUE(
        refused_with(keep_versions(third, key, told.versions(), told.tags(0)), Errc::NotFound));
    EXPECT_TRUE(succeeded(keep(third, key, given.box(), given.versions())));
    EXPECT_TRUE(succeeded(keep_versions(third, key, told.versions(), told.tags(0))));
    EXPECT_TRUE(
        refused_with(keep_versions(third, key, kNoVersions, told.tags(0)), Errc::AuthFailed));
    EXPECT_TRUE(refused_with(keep_versions(third, key, told.versions(), ""), Errc::AuthFailed));
    EXPECT_TRUE(
        refused_with(keep_versions(first, key, told.versions(), told.tags(0)), Errc::AuthFailed));
    // A tag serves one direction.
    EXPECT_TRUE(
        refused_with(keep_versions(second, third.public_key(), told.versions(), told.tags(0)),
                     Errc::AuthFailed));
    // Nothing is reported to who was not introduced, nor lost by it.
    gateway.sign(keygen, gateway.start_signing(keygen));
    wire::Request request;
    request.mutable_report_versions()->add_peer_public_keys(
        raw(crypto::SecretKey::generate().public_key().bytes()));
    EXPECT_TRUE(refused_with(second.call(request), Errc::PeerUnknown));
    EXPECT_EQ(unreported(second), 1u);
    // The heir takes all that comes with the key, or nothing.
    second.restart();
    introduce(second, third);
    introduce(third, second);
    const wire::Response over = hand_over(third, key, second.public_key());
    ASSERT_TRUE(succeeded(over));
    EXPECT_TRUE(refused_with(take_over(second, third.public_key(), over.hand_over().box()),
                             Errc::DecryptFailed));
    EXPECT_TRUE(succeeded(take_over(second, third.public_key(), over.hand_over().box(),
                                    over.hand_over().versions())));
}

TEST_F(PeerSealing, OnlyVerifiedEnclavesOfTheImageGiveKeepAndGet) {
    const crypto::PlainPubKey key = second.public_key();
    // Nobody was introduced.
    EXPECT_TRUE(refused_with(escrow_box(second, third.public_key()), Errc::PeerUnknown));
    introduce(third, second);
    const wire::Response box = escrow_box(second, third.public_key());
    ASSERT_TRUE(succeeded(box));
    EXPECT_TRUE(refused_with(keep(third, key, box.escrow_identity().box()), Errc::PeerUnknown));
    introduce(second, third);
    EXPECT_TRUE(succeeded(keep(third, key, box.escrow_identity().box())));

    // A key that no enclave attested gets and gives nothing.
    const crypto::SecretKey gateways = crypto::SecretKey::generate();
    EXPECT_TRUE(refused_with(escrow_box(second, gateways.public_key()), Errc::PeerUnknown));
    EXPECT_TRUE(refused_with(hand_over(third, key, gateways.public_key()), Errc::PeerUnknown));
    const auto channel = crypto::PeerChannel::create(gateways, third.public_key()).value();
    EXPECT_TRUE(refused_with(
        keep(third, gateways.public_key(), raw(channel.seal("escrow-identity", gateways.expose()))),
        Errc::PeerUnknown));
    second.restart();
    EXPECT_TRUE(refused_with(hand_over(third, key, second.public_key()), Errc::PeerUnknown));
    EXPECT_TRUE(refused_with(take_over(second, gateways.public_key(), "box"), Errc::PeerUnknown));
    introduce(second, third);
    const wire::Response given = hand_over(third, key, second.public_key());
    ASSERT_TRUE(succeeded(given));
    EXPECT_TRUE(refused_with(take_over(second, third.public_key(), given.hand_over().box()),
                             Errc::PeerUnknown));

    // Neither does an enclave of another image, nor one under another root.
    LocalEnclave other_image(pki, {.measurement = 2, .peer_sealing = true});
    EXPECT_THROW(introduce(other_image, third), std::runtime_error);
    EXPECT_TRUE(refused_with(hand_over(third, key, other_image.public_key()), Errc::PeerUnknown));
    EXPECT_THROW(introduce(other_image, second), std::runtime_error);
    LocalPki other_pki;
    LocalEnclave stranger(other_pki, kPeer);
    EXPECT_THROW(introduce(stranger, third), std::runtime_error);
    EXPECT_TRUE(refused_with(hand_over(third, key, stranger.public_key()), Errc::PeerUnknown));
}

TEST_F(PeerSealing, BoxesOpenForWhomAndForWhatTheyWereMade) {
    const crypto::PlainPubKey key = second.public_key();
    const std::string escrowed = escrow(second, third);
    introduce(second, first);
    introduce(first, second);
    introduce(first, third);
    introduce(third, first);
    // To another holder, under another owner's name, damaged, cut, too long.
    EXPECT_TRUE(refused_with(keep(first, key, escrowed), Errc::DecryptFailed));
    EXPECT_TRUE(refused_with(keep(third, first.public_key(), escrowed), Errc::DecryptFailed));
    std::string damaged = escrowed;
    damaged.back() = static_cast<char>(damaged.back() ^ 1);
    EXPECT_TRUE(refused_with(keep(third, key, damaged), Errc::DecryptFailed));
    EXPECT_TRUE(refused_with(keep(third, key, ""), Errc::DecryptFailed));
    EXPECT_TRUE(refused_with(keep(third, key, std::string(100'000, 'x')), Errc::DecryptFailed));

    second.restart();
    LocalEnclave other(pki, kPeer);
    for (LocalEnclave* const heir : {&second, &other}) {
        introduce(*heir, third);
        introduce(third, *heir);
    }
    const wire::Response given = hand_over(third, key, second.public_key());
    ASSERT_TRUE(succeeded(given));
    // To another heir; an escrow in place of a hand-over; a box that opens, again after it was
    // used.
    EXPECT_TRUE(refused_with(take_over(other, third.public_key(), given.hand_over().box()),
                             Errc::DecryptFailed));
    EXPECT_TRUE(refused_with(take_over(second, third.public_key(), escrowed), Errc::DecryptFailed));
    EXPECT_TRUE(succeeded(take_over(second, third.public_key(), given.hand_over().box())));
    introduce(third, second);
    EXPECT_TRUE(refused_with(take_over(second, third.public_key(), given.hand_over().box()),
                             Errc::WrongState));
    // After the next restart the key that it was made for is gone.
    second.restart();
    introduce(third, second);
    EXPECT_TRUE(refused_with(take_over(second, third.public_key(), given.hand_over().box()),
                             Errc::DecryptFailed));
    EXPECT_TRUE(second.may_take_over());
}

TEST_F(PeerSealing, AnOldEscrowTurnsNothingBack) {
    const crypto::PlainPubKey key = second.public_key();
    const std::string old = escrow(second, third);
    second.restart();
    ASSERT_TRUE(succeeded(recover(second, third, key)));
    EXPECT_EQ(kept_incarnation(third, key), 2u);
    EXPECT_TRUE(succeeded(keep(third, key, old)));
    EXPECT_EQ(kept_incarnation(third, key), 2u);
    // A hand-over that nobody took counts, too: no number is given twice.
    second.restart();
    introduce(second, third);
    EXPECT_TRUE(succeeded(hand_over(third, key, second.public_key())));
    ASSERT_TRUE(succeeded(recover(second, third, key)));
    EXPECT_EQ(second.incarnation(), 4u);
}

TEST_F(PeerSealing, AnEnclaveInUseKeepsItsKey) {
    const crypto::PlainPubKey key = second.public_key();
    escrow(second, third);
    // `first` runs with a key of its own, on which a keygen hangs.
    const TestKeygen keygen = ready({.slots = {0, 2}});
    const crypto::PlainPubKey own = first.public_key();
    EXPECT_TRUE(refused_with(recover(first, third, key), Errc::WrongState));
    EXPECT_EQ(first.public_key(), own);
    gateway.sign(keygen, gateway.start_signing(keygen));
    // And one whose key a peer keeps, though nothing was made with it yet.
    LocalEnclave fresh(pki, kPeer);
    EXPECT_TRUE(fresh.may_take_over());
    escrow(fresh, third);
    fresh.reconnect();
    EXPECT_FALSE(fresh.may_take_over());
    EXPECT_TRUE(refused_with(recover(fresh, third, key), Errc::WrongState));
}

TEST_F(PeerSealing, WhoIsNotKeptIsNotFound) {
    introduce(second, third);
    EXPECT_TRUE(
        refused_with(hand_over(third, first.public_key(), second.public_key()), Errc::NotFound));
    // A restart empties the vault; its owner's boxes are for the key before.
    const std::string box = escrow(second, third);
    third.restart();
    introduce(second, third);
    EXPECT_EQ(kept_incarnation(third, second.public_key()), 0u);
    EXPECT_TRUE(refused_with(keep(third, second.public_key(), box), Errc::DecryptFailed));
}

TEST_F(PeerSealing, TheVaultIsBounded) {
    LocalEnclave small(pki, {.limits = {.max_escrows = 2}, .peer_sealing = true});
    escrow(first, small);
    escrow(second, small);
    escrow(first, small); // renewed
    escrow(third, small);
    EXPECT_EQ(kept_incarnation(small, first.public_key()), 1u);
    EXPECT_EQ(kept_incarnation(small, second.public_key()), 0u);
    EXPECT_EQ(kept_incarnation(small, third.public_key()), 1u);
}

TEST_F(PeerSealing, OtherKindsOfSealingHaveNoPartInIt) {
    LocalEnclave none(pki);
    EXPECT_FALSE(none.may_take_over());
    EXPECT_EQ(none.incarnation(), 0u);
    introduce(none, third);
    introduce(third, none);
    EXPECT_TRUE(refused_with(escrow_box(none, third.public_key()), Errc::Unsupported));
    EXPECT_TRUE(refused_with(keep(none, third.public_key(), "box"), Errc::Unsupported));
    EXPECT_TRUE(
        refused_with(hand_over(none, third.public_key(), third.public_key()), Errc::Unsupported));
    EXPECT_TRUE(refused_with(take_over(none, third.public_key(), "box"), Errc::Unsupported));
    wire::Request list;
    list.mutable_list_escrows();
    EXPECT_TRUE(refused_with(none.call(list), Errc::Unsupported));
}

} // namespace
} // namespace keymeld::test
