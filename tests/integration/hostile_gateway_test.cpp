// A hostile gateway against real keymeld-enclave processes over the real protocol: what it may try,
// and the code with which each enclave refuses. The rules one by one are in tests/unit/enclave;
// here each attack of the threat model runs from end to end.
#include <gtest/gtest.h>

#include <algorithm>

#include <google/protobuf/stubs/logging.h>

#include "core/crypto/auth_header.h"
#include "core/musig/nonce.h"
#include "core/protocol/frame.h"
#include "core/protocol/message.h"
#include "core/secure/random.h"
#include "tests/support/enclave_harness.h"
#include "tests/support/key_owner.h"

namespace keymeld::test {
namespace {

constexpr ApprovalPolicy kNone = ApprovalPolicy::None;
constexpr ApprovalPolicy kHeader = ApprovalPolicy::Header;
constexpr ApprovalPolicy kBound = ApprovalPolicy::Bound;

::testing::AssertionResult refused_with(const wire::Response& response, Errc code) {
    if (code_of(response) == code)
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << (response.has_failure()
                   ? std::string(errc_name(code_of(response))) + ": " + response.failure().detail()
                   : std::string("was not refused"));
}

class HostileGateway : public ::testing::Test {
  protected:
    // One set of processes for all tests: what one test does to them must not matter to the next.
    static void SetUpTestSuite() {
        s_folder = new ScratchFolder;
        ProcessEnclave::sim_init(s_folder->path());
        for (int i = 0; i < 3; ++i)
            s_enclaves.push_back(
                std::make_unique<ProcessEnclave>(s_folder->path(), "enclave" + std::to_string(i)));
    }
    static void TearDownTestSuite() {
        s_enclaves.clear();
        delete s_folder;
    }

    TestGateway gateway{{s_enclaves[0].get(), s_enclaves[1].get(), s_enclaves[2].get()}};
    static ProcessEnclave& process(std::size_t i) { return *s_enclaves[i]; }

    TestKeygen ready(const KeygenSetup& setup) {
        TestKeygen keygen(gateway.enclaves(), setup);
        gateway.keygen(keygen);
        return keygen;
    }
    RoundTrips first_rounds(const TestKeygen& keygen, const TestSigning& signing,
                            std::uint32_t attempt = 1) {
        RoundTrips trips;
        for (const std::size_t enclave : keygen.enclaves())
            trips.round1[enclave] =
                gateway.ask(enclave, gateway.round1(keygen, signing, attempt)).sign_round1();
        return trips;
    }
    std::uint64_t soon() const { return process(0).unix_seconds() + 600; }

    static inline ScratchFolder* s_folder = nullptr;
    static inline std::vector<std::unique_ptr<ProcessEnclave>> s_enclaves;
};

TEST_F(HostileGateway, AnHonestCeremonyWorks) {
    TestKeygen keygen =
        ready({.slots = {0, 1, 2}, .policies = {kBound, kHeader, kNone}, .ecies_aad = true});
    gateway.sign(keygen, gateway.start_signing(keygen));
}

TEST_F(HostileGateway, RestartOfAllEnclavesBetweenKeygenAndSigning) {
    TestKeygen keygen = ready({.slots = {0, 1, 2}, .policies = {kBound, kHeader, kNone}});
    for (std::size_t i = 0; i < 3; ++i)
        process(i).restart();
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round1(keygen, gateway.start_signing(keygen))),
                             Errc::StateUnknown));
    gateway.sign(keygen, gateway.start_signing(keygen));
}

// ---- Single keys ----

TEST_F(HostileGateway, GetsNoSecondSignatureOutOfOneApproval) {
    KeyOwner owner(process(0));
    owner.ready();
    KeySigning signing;
    const wire::Request request = owner.sign(signing);
    ASSERT_TRUE(owner.verifies(owner.send(request), signing));
    // Redirected: a fresh header of a read, a session of its own choice, both.
    for (const bool restarted : {false, true}) {
        if (restarted) {
            process(0).restart();
            ASSERT_FALSE(process(0).call(owner.restore()).has_failure());
        }
        wire::Request again = request;
        again.mutable_sign_single()->set_signing_id(raw(random_signing().bytes));
        EXPECT_TRUE(refused_with(owner.send(again), Errc::NonceReplayed));
        again.mutable_sign_single()->set_user_header(owner.header());
        EXPECT_TRUE(refused_with(owner.send(again), Errc::NonceReplayed));
        again.mutable_sign_single()->set_approval_timestamp(signing.timestamp + 1);
        again.mutable_sign_single()->set_user_header(owner.header());
        EXPECT_TRUE(refused_with(owner.send(again), Errc::AuthFailed)) << "made fresh";
    }
}

TEST_F(HostileGateway, ChangesNothingOfASingleKeysRequest) {
    KeyOwner owner(process(0));
    owner.ready();
    KeyOwner other(process(0));
    other.ready();
    KeySigning signing;
    signing.type = bitcoin::SignatureType::SchnorrBip340;
    const auto changed = [&](auto&& change) {
        wire::Request request = owner.sign(signing);
        change(*request.mutable_sign_single());
        return owner.send(request);
    };
    // Its own secret instead of the client's, to read the signature; its own message; another key, another tweak.
    const auto own_secret = secure::random_secret<32>();
    EXPECT_TRUE(refused_with(
        changed([&](auto& r) { r.set_encrypted_session_secret(owner.encrypt(own_secret.expose())); }),
        Errc::MessageMismatch));
    EXPECT_TRUE(refused_with(changed([&](auto& r) {
                                 r.set_encrypted_session_secret(owner.encrypt(own_secret.expose()));
                                 r.set_encrypted_message(crypto::binary_data_seal(
                                     own_secret, crypto::BinaryContext::SessionData,
                                     as_bytes(std::string(64, '0'))));
                             }),
                             Errc::AuthFailed));
    EXPECT_TRUE(refused_with(changed([&](auto& r) {
                                 r.set_key_id(raw(other.id.bytes));
                                 r.set_user_id(raw(other.user.bytes));
                             }),
                             Errc::AuthFailed));
    EXPECT_TRUE(refused_with(
        changed([](auto& r) { r.mutable_tweak()->set_type(wire::TweakConfig::UNSPENDABLE_TAPROOT); }),
        Errc::AuthFailed));
    EXPECT_TRUE(refused_with(changed([&](auto& r) { r.set_user_header(other.header(owner.id)); }),
                             Errc::AuthFailed));
    // A header of a read neither signs another's message nor deletes the key twice over.
    wire::Request read = owner.authenticate(owner.id);
    ASSERT_FALSE(owner.send(read).has_failure());
    wire::Request removal = owner.remove();
    removal.mutable_delete_key()->set_user_header(read.authenticate_key().user_header());
    EXPECT_TRUE(refused_with(owner.send(removal), Errc::NonceReplayed));
    // Keys that it puts its own authentication key to.
    const auto key = crypto::SecretKey::generate();
    KeyOwner victim(process(0));
    KeyOwner thief(process(0));
    thief.id = victim.id;
    thief.user = victim.user;
    wire::Request stolen = thief.import(key);
    stolen.mutable_import_key()->set_encrypted_private_key(
        victim.import(key).import_key().encrypted_private_key());
    EXPECT_TRUE(refused_with(thief.send(stolen), Errc::WrongEnclave));
    EXPECT_TRUE(owner.verifies(changed([](auto&) {}), signing));
}

TEST_F(HostileGateway, GivesBackNoOldStateOfASingleKey) {
    KeyOwner owner(process(0));
    owner.ready();
    const wire::Request old = owner.restore();
    KeySigning signing;
    ASSERT_TRUE(owner.verifies(owner.send(owner.sign(signing)), signing));
    EXPECT_FALSE(process(0).call(old).has_failure()) << "of no effect while the key is there";
    KeySigning next;
    const wire::Request request = owner.sign(next);
    ASSERT_TRUE(owner.verifies(owner.send(request), next));
    process(0).restart();
    wire::Request hole = owner.restore();
    hole.mutable_restore_key()->mutable_updates()->DeleteSubrange(1, 1);
    EXPECT_TRUE(refused_with(process(0).call(hole), Errc::SealBroken));
    EXPECT_TRUE(refused_with(process(1).call(owner.restore()), Errc::SealBroken)) << "another enclave";
    ASSERT_FALSE(process(0).call(owner.restore()).has_failure());
    ASSERT_FALSE(owner.send(owner.remove()).has_failure());
    EXPECT_TRUE(refused_with(process(0).call(owner.restore()), Errc::StateRolledBack));
    EXPECT_TRUE(refused_with(owner.send(request), Errc::NotFound));
}

// ---- Approvals ----

TEST_F(HostileGateway, SignsNothingWithoutApproval) {
    TestKeygen keygen = ready({.slots = {0, 1, 2}, .policies = {kNone, kBound, kHeader}});
    TestSigning signing = gateway.start_signing(keygen);
    const auto approvals = signing.approvals;
    for (std::size_t missing = 0; missing < approvals.size(); ++missing) {
        signing = gateway.start_signing(keygen);
        signing.approvals.erase(signing.approvals.begin() + static_cast<std::ptrdiff_t>(missing));
        for (const std::size_t enclave : keygen.enclaves()) {
            const wire::Response response = gateway.send(enclave, gateway.round1(keygen, signing));
            EXPECT_EQ(response.sign_round1().awaiting_size(), 1) << enclave;
            EXPECT_FALSE(response.sign_round1().has_contribution()) << enclave;
            // Nothing that could be continued was made.
            EXPECT_TRUE(refused_with(gateway.send(enclave, gateway.round2(keygen, signing, {})),
                                     Errc::AttemptVoid));
        }
    }
}

TEST_F(HostileGateway, ReplaysNoHeaderApproval) {
    TestKeygen keygen = ready({.slots = {0, 1}, .policies = {kNone, kHeader}});
    const TestSigning approved = gateway.start_signing(keygen);
    gateway.sign(keygen, approved);
    TestSigning other = gateway.start_signing(keygen);
    other.approvals = approved.approvals;
    for (const std::size_t enclave : keygen.enclaves())
        EXPECT_TRUE(refused_with(gateway.send(enclave, gateway.round1(keygen, other)),
                                 Errc::NonceReplayed));
    // Nor into an attempt under the old id with another message.
    other.id = approved.id;
    other.evidence = keygen.evidence(other.message);
    for (const std::size_t enclave : keygen.enclaves())
        EXPECT_TRUE(refused_with(gateway.send(enclave, gateway.round1(keygen, other, 2)),
                                 Errc::DuplicateId));
}

TEST_F(HostileGateway, TurnsNoBoundApprovalIntoAnother) {
    TestKeygen keygen = ready({.slots = {0, 1}, .policies = {kNone, kBound}});
    const TestSigning approved = gateway.start_signing(keygen);
    gateway.sign(keygen, approved);
    // A fresh header (from a status poll, say) with the old bound part; for the same message and
    // for another.
    for (const auto& message : {approved.message, random_message()}) {
        TestSigning other = gateway.start_signing(keygen, message);
        other.approvals = approved.approvals;
        other.approvals[0].set_signing_header(keygen.signing_header(1));
        const Errc expected =
            message == approved.message ? Errc::AuthFailed : Errc::MessageMismatch;
        EXPECT_TRUE(refused_with(gateway.send(1, gateway.round1(keygen, other)), expected));
        other.approvals[0].clear_bound();
        other.approvals[0].set_signing_header(keygen.signing_header(1));
        EXPECT_TRUE(refused_with(gateway.send(1, gateway.round1(keygen, other)),
                                 Errc::BoundApprovalRequired));
    }
}

TEST_F(HostileGateway, SwapsNoMessage) {
    TestKeygen keygen = ready({.slots = {0, 1}, .policies = {kNone, kBound}});
    TestSigning signing = gateway.start_signing(keygen);
    const RoundTrips honest = first_rounds(keygen, signing);
    // The same session with another message, at one enclave or at all.
    TestSigning swapped = signing;
    swapped.message = random_message();
    swapped.evidence.set_message_hash(raw(swapped.message));
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, swapped)), Errc::DuplicateId));
    EXPECT_TRUE(
        refused_with(gateway.send(1, gateway.round1(keygen, swapped, 2)), Errc::DuplicateId));
    // A session that was approved for one message and is shown to the other enclave with another
    // one first.
    TestSigning fresh = gateway.start_signing(keygen);
    TestSigning other = fresh;
    other.evidence.set_message_hash(raw(random_message()));
    EXPECT_TRUE(
        refused_with(gateway.send(1, gateway.round1(keygen, other)), Errc::MessageMismatch));
    other.approvals.clear();
    EXPECT_EQ(gateway.send(0, gateway.round1(keygen, other)).sign_round1().awaiting_size(), 1);
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, fresh)), Errc::DuplicateId));
}

TEST_F(HostileGateway, RevivesNoRejectedSession) {
    TestKeygen keygen = ready({.slots = {0, 1}, .policies = {kHeader, kHeader}});
    TestSigning signing = gateway.start_signing(keygen);
    TestSigning waiting = signing;
    waiting.approvals.clear();
    ASSERT_TRUE(gateway.send(0, gateway.round1(keygen, waiting)).has_sign_round1());
    ASSERT_TRUE(
        gateway.send(0, gateway.reject(keygen, signing, keygen.signing_header(1))).has_reject());
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, signing)), Errc::WrongState));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.approve(keygen, signing, keygen.header_approval(0))),
                     Errc::WrongState));
    ASSERT_TRUE(gateway.send(0, gateway.close(keygen, signing)).has_close_signing());
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.round1(keygen, signing, 7)), Errc::WrongState));
    // Without the coordinator enclave's share there is no signature, whatever the other one does.
    RoundTrips trips;
    trips.round1[1] = gateway.send(1, gateway.round1(keygen, signing)).sign_round1();
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round2(keygen, signing, trips)),
                             Errc::RosterMismatch));
}

// ---- Keys, policies, parameters ----

TEST_F(HostileGateway, ReplacesNoParticipantsKeyAndDropsNoPolicy) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1, 2}, .policies = {kNone, kBound, kNone}});
    const wire::Response opened = gateway.ask(0, keygen.open());
    for (const std::size_t enclave : {1u, 2u})
        ASSERT_TRUE(
            gateway.ask(enclave, keygen.join(enclave, opened.open_keygen())).has_join_keygen());
    std::vector<wire::Registration> honest;
    for (std::size_t i = 0; i < 3; ++i)
        honest.push_back(gateway.ask(i, keygen.register_participant(i)).register_().registration());
    const auto own = crypto::SecretKey::generate();
    auto hostile = honest;
    hostile[1].set_public_key(raw(own.public_key().bytes()));
    EXPECT_TRUE(refused_with(gateway.send(0, keygen.complete(hostile)), Errc::RosterMismatch));
    hostile = honest;
    hostile[1].set_policy(wire::POLICY_NONE);
    EXPECT_TRUE(refused_with(gateway.send(0, keygen.complete(hostile)), Errc::RosterMismatch));
    EXPECT_TRUE(refused_with(gateway.send(2, keygen.complete(hostile)), Errc::RosterMismatch));
}

TEST_F(HostileGateway, TellsEnclavesNoDifferentParameters) {
    gateway.introduce_all();
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1}});
    const wire::Response opened = gateway.send(0, keygen.open());
    wire::Request join = keygen.join(1, opened.open_keygen());
    join.mutable_join_keygen()->mutable_params()->set_max_signing_sessions(1'000'000);
    EXPECT_TRUE(refused_with(gateway.send(1, join), Errc::RosterMismatch));
    join = keygen.join(1, opened.open_keygen());
    join.mutable_join_keygen()->mutable_params()->mutable_tweak()->set_type(
        wire::TweakConfig::UNSPENDABLE_TAPROOT);
    EXPECT_TRUE(refused_with(gateway.send(1, join), Errc::RosterMismatch));
}

TEST_F(HostileGateway, GetsNoHandoverToAKeyOfItsOwn) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1}});
    const auto own = crypto::SecretKey::generate();
    wire::Request open = keygen.open();
    open.mutable_open_keygen()->mutable_params()->set_slot_enclaves(1,
                                                                    raw(own.public_key().bytes()));
    const wire::Response response = gateway.send(0, open);
    EXPECT_TRUE(refused_with(response, Errc::PeerUnknown));
    EXPECT_EQ(response.failure().peer_public_key(), raw(own.public_key().bytes()));
    // Nor does a document without our nonce introduce anybody.
    wire::Request introduce;
    wire::Request attest;
    attest.mutable_attest();
    introduce.mutable_introduce_peer()->set_attestation_document(
        gateway.send(1, attest).attest().attestation_document());
    EXPECT_TRUE(refused_with(gateway.send(0, introduce), Errc::AttestationRefused));
}

TEST_F(HostileGateway, UsesNoCapturedBlobElsewhere) {
    TestKeygen victim = ready({.slots = {0, 0}});
    // A session of the gateway's own, with the victim's ciphertext as its participant.
    TestKeygen own(gateway.enclaves(), {.slots = {0, 0}});
    ASSERT_TRUE(gateway.send(0, own.open()).has_open_keygen());
    wire::Request request = own.register_participant(1);
    request.mutable_register_()->set_encrypted_private_key(
        victim.registering[1].encrypted_private_key());
    request.mutable_register_()->set_public_key(victim.registering[1].public_key());
    EXPECT_TRUE(refused_with(gateway.send(0, request), Errc::BlobReused));
}

// ---- Nonces ----

TEST_F(HostileGateway, GetsNoSecondSignatureFromOneNonce) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    RoundTrips trips = first_rounds(keygen, signing);
    const wire::Response box = gateway.send(1, gateway.round2(keygen, signing, trips));
    ASSERT_TRUE(box.has_sign_round2());
    EXPECT_EQ(gateway.send(1, gateway.round2(keygen, signing, trips)).sign_round2().box(),
              box.sign_round2().box());
    // Other nonces of the coordinator, genuine but of another attempt; then made up.
    RoundTrips others = trips;
    others.round1[0] = gateway.send(0, gateway.round1(keygen, signing, 2)).sign_round1();
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round2(keygen, signing, others)),
                             Errc::NonceConsumed));
    others.round1[0].mutable_contribution()->mutable_nonces(0)->set_pubnonce(
        raw(musig::nonce_gen(keygen.participant(0).key).value().pub.points()));
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round2(keygen, signing, others)),
                             Errc::NonceConsumed));
    // Round 1 again gives the nonce that has signed, or, for a higher attempt, a fresh one.
    const auto again = gateway.send(1, gateway.round1(keygen, signing)).sign_round1();
    EXPECT_EQ(again.contribution().nonces(0).pubnonce(),
              trips.round1[1].contribution().nonces(0).pubnonce());
    const auto later = gateway.send(1, gateway.round1(keygen, signing, 2)).sign_round1();
    EXPECT_NE(later.contribution().nonces(0).pubnonce(),
              trips.round1[1].contribution().nonces(0).pubnonce());
    EXPECT_TRUE(
        refused_with(gateway.send(1, gateway.round1(keygen, signing, 1)), Errc::AttemptVoid));
}

TEST_F(HostileGateway, FeedsNoNoncesOfItsOwn) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    RoundTrips trips = first_rounds(keygen, signing);
    RoundTrips hostile = trips;
    const auto pair = musig::nonce_gen(crypto::SecretKey::generate()).value();
    hostile.round1[0].mutable_contribution()->mutable_nonces(0)->set_pubnonce(
        raw(pair.pub.points()));
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round2(keygen, signing, hostile)),
                             Errc::RosterMismatch));
    hostile = trips;
    hostile.round1[0].mutable_contribution()->set_ledger_version(1'000'000);
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round2(keygen, signing, hostile)),
                             Errc::RosterMismatch));
    EXPECT_TRUE(gateway.send(1, gateway.round2(keygen, signing, trips)).has_sign_round2());
}

TEST_F(HostileGateway, MovesNoBoxBetweenSessions) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning one = gateway.start_signing(keygen);
    const TestSigning two = gateway.start_signing(keygen, one.message);
    RoundTrips first_trips = first_rounds(keygen, one);
    RoundTrips second_trips = first_rounds(keygen, two);
    first_trips.round2[1] = gateway.send(1, gateway.round2(keygen, one, first_trips)).sign_round2();
    second_trips.round2[1] =
        gateway.send(1, gateway.round2(keygen, two, second_trips)).sign_round2();
    RoundTrips mixed = first_trips;
    mixed.round2[1] = second_trips.round2[1];
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.finish(keygen, one, mixed)), Errc::DecryptFailed));
    EXPECT_TRUE(gateway.send(0, gateway.finish(keygen, one, first_trips)).has_sign_finish());
}

// ---- Quota and rollback ----

TEST_F(HostileGateway, StretchesNoQuota) {
    TestKeygen keygen = ready({.slots = {0, 1}, .max_signing_sessions = 2});
    const TestSigning one = gateway.start_signing(keygen);
    gateway.sign(keygen, one);
    const TestSigning two = gateway.start_signing(keygen);
    gateway.sign(keygen, two);
    for (const std::size_t enclave : keygen.enclaves()) {
        ASSERT_TRUE(gateway.send(enclave, gateway.close(keygen, two)).has_close_signing());
        EXPECT_TRUE(refused_with(
            gateway.send(enclave, gateway.round1(keygen, gateway.start_signing(keygen))),
            Errc::QuotaExceeded));
        // An id that was counted, for another message, open or closed.
        TestSigning other = gateway.start_signing(keygen);
        other.id = one.id;
        EXPECT_TRUE(refused_with(gateway.send(enclave, gateway.round1(keygen, other, 9)),
                                 Errc::DuplicateId));
        other = gateway.start_signing(keygen);
        other.id = two.id;
        EXPECT_TRUE(refused_with(gateway.send(enclave, gateway.round1(keygen, other, 9)),
                                 Errc::WrongState));
    }
    for (const std::size_t enclave : keygen.enclaves()) {
        process(enclave).restart();
        EXPECT_TRUE(refused_with(
            gateway.ask(enclave, gateway.round1(keygen, gateway.start_signing(keygen))),
            Errc::QuotaExceeded));
    }
}

TEST_F(HostileGateway, RollsNoSingleEnclaveBack) {
    TestKeygen keygen = ready({.slots = {0, 1, 2}, .max_signing_sessions = 3});
    const auto before = gateway.stored(0, keygen.id());
    for (int i = 0; i < 2; ++i)
        gateway.sign(keygen, gateway.start_signing(keygen));
    process(0).restart();
    gateway.stored(0, keygen.id()) = before;
    const TestSigning signing = gateway.start_signing(keygen);
    const RoundTrips trips = first_rounds(keygen, signing);
    for (const std::size_t enclave : {1u, 2u}) {
        const wire::Response response =
            gateway.send(enclave, gateway.round2(keygen, signing, trips));
        EXPECT_TRUE(refused_with(response, Errc::StateRolledBack));
        EXPECT_EQ(response.failure().peer_public_key(), raw(process(0).public_key().bytes()));
    }
}

TEST_F(HostileGateway, ChangesNoSealedState) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    gateway.sign(keygen, gateway.start_signing(keygen));
    gateway.sign(keygen, gateway.start_signing(keygen));
    const auto good = gateway.stored(0, keygen.id());
    ASSERT_GE(good.size(), 3u);
    process(0).restart();
    const auto refused = [&](auto&& change) {
        auto updates = good;
        change(updates);
        gateway.stored(0, keygen.id()) = updates;
        return refused_with(gateway.send(0, gateway.restore(0, keygen.id())), Errc::SealBroken);
    };
    EXPECT_TRUE(refused([](auto& u) { u[0].mutable_blob()->back() ^= 1; }));
    EXPECT_TRUE(refused([](auto& u) { u.erase(u.begin() + 1); }));
    EXPECT_TRUE(refused([](auto& u) { std::swap(u[1], u[2]); }));
    EXPECT_TRUE(refused([](auto& u) { u[1].set_snapshot(true); }));
    EXPECT_TRUE(refused([&](auto& u) { u = gateway.stored(1, keygen.id()); }));
    gateway.stored(0, keygen.id()) = good;
    gateway.sign(keygen, gateway.start_signing(keygen));
}

// ---- Bytes ----

TEST_F(HostileGateway, OversizedFieldsAreRefusedAndCrashNothing) {
    TestKeygen keygen = ready({.slots = {0, 1}, .policies = {kNone, kHeader}});
    const std::string huge(3'000'000, 'x');
    const TestSigning signing = gateway.start_signing(keygen);
    const auto refused = [&](const wire::Request& request, std::size_t enclave = 0) {
        const wire::Response response = gateway.send(enclave, request);
        EXPECT_LT(response.ByteSizeLong(), 2000u);
        return response.has_failure();
    };
    wire::Request request = gateway.round1(keygen, signing);
    request.mutable_sign_round1()->set_signing_id(huge);
    EXPECT_TRUE(refused(request));
    request = gateway.round1(keygen, signing);
    request.mutable_sign_round1()->mutable_evidence()->set_session_header(huge);
    EXPECT_TRUE(refused(request));
    request = gateway.round1(keygen, signing);
    request.mutable_sign_round1()->mutable_evidence()->set_encrypted_message(huge);
    EXPECT_TRUE(refused(request));
    request = gateway.round1(keygen, signing);
    request.mutable_sign_round1()->mutable_approvals(0)->set_signing_header(huge);
    EXPECT_TRUE(refused(request));
    request = gateway.round1(keygen, signing);
    for (int i = 0; i < 10'000; ++i)
        *request.mutable_sign_round1()->add_approvals() = signing.approvals[0];
    EXPECT_TRUE(refused(request));
    const RoundTrips trips = first_rounds(keygen, signing);
    request = gateway.round2(keygen, signing, trips);
    for (int i = 0; i < 10'000; ++i)
        *request.mutable_sign_round2()->add_contributions() = trips.round1.at(0).contribution();
    EXPECT_TRUE(refused(request, 1));
    request = gateway.round2(keygen, signing, trips);
    for (int i = 0; i < 10'000; ++i)
        *request.mutable_sign_round2()->mutable_contributions(0)->add_nonces() =
            trips.round1.at(0).contribution().nonces(0);
    EXPECT_TRUE(refused(request, 1));
    request = gateway.restore(0, KeygenId(random_user()));
    for (int i = 0; i < 100; ++i)
        request.mutable_restore()->add_updates()->set_blob(std::string(10'000, 's'));
    EXPECT_TRUE(refused(request));
    request.mutable_introduce_peer()->set_attestation_document(huge);
    EXPECT_TRUE(refused(request));
    request.mutable_attest()->set_nonce(huge);
    EXPECT_TRUE(refused(request));
    request = TestKeygen(gateway.enclaves(), {.slots = {0, 0}}).open();
    for (int i = 0; i < 50'000; ++i)
        request.mutable_open_keygen()->mutable_params()->add_expected_participants(
            raw(random_user().bytes));
    EXPECT_TRUE(refused(request));
    request = TestKeygen(gateway.enclaves(), {.slots = {0, 0}}).open();
    request.mutable_open_keygen()->set_encrypted_session_secret(huge);
    EXPECT_TRUE(refused(request));
    gateway.sign(keygen, signing, 2);
}

TEST_F(HostileGateway, BrokenFramesCloseTheirStreamOnly) {
    EXPECT_TRUE(process(0).closes_on(Bytes(100, 0xff)));  // a length beyond the bound
    EXPECT_TRUE(process(0).closes_on(Bytes{0, 0, 0, 0})); // an empty frame
    EXPECT_TRUE(process(0).closes_on(Bytes{0, 0, 0, 3, 9, 9, 9}));
    // A command before Hello.
    wire::Request request;
    request.set_id(1);
    request.mutable_ping();
    protocol::FrameWriter writer;
    ASSERT_TRUE(protocol::append_message(writer, request));
    EXPECT_TRUE(process(0).closes_on(writer.unsent()));
    request.mutable_ping();
    EXPECT_TRUE(gateway.send(0, request).has_ping());
}

TEST_F(HostileGateway, RandomMutationsOfHonestRequestsCrashNothing) {
    TestKeygen keygen = ready({.slots = {0, 1}, .policies = {kHeader, kBound}});
    const TestSigning signing = gateway.start_signing(keygen);
    RoundTrips trips = first_rounds(keygen, signing);
    std::vector<std::string> seeds;
    for (const wire::Request& request :
         {keygen.open(), keygen.register_participant(0), gateway.round1(keygen, signing),
          gateway.round2(keygen, signing, trips), gateway.finish(keygen, signing, trips),
          gateway.approve(keygen, signing, keygen.header_approval(0)),
          gateway.restore(0, keygen.id())})
        seeds.push_back(request.SerializeAsString());
    google::protobuf::SetLogHandler(nullptr);
    std::size_t parsed = 0;
    for (int i = 0; i < 3000; ++i) {
        std::string bytes = seeds[static_cast<std::size_t>(i) % seeds.size()];
        const auto random = secure::random_array<9>();
        const std::size_t at =
            (static_cast<std::size_t>(random[0]) << 8 | random[1]) % bytes.size();
        switch (random[2] % 3) {
        case 0:
            bytes[at] = static_cast<char>(random[3]);
            break;
        case 1:
            bytes.erase(at, random[3] % 8u + 1);
            break;
        case 2:
            bytes.insert(at, reinterpret_cast<const char*>(random.data()) + 3, random[8] % 6u + 1);
            break;
        }
        wire::Request request;
        if (!request.ParseFromString(bytes) || request.has_hello() || request.has_delete_keygen() ||
            request.has_close_signing() || request.has_fail_keygen())
            continue;
        ++parsed;
        process(static_cast<std::size_t>(i) % 2).call(request);
    }
    EXPECT_GT(parsed, 500u);
    // What was answered to mutations was not stored: new streams, as an honest gateway would.
    process(0).reconnect();
    process(1).reconnect();
    gateway.sign(keygen, gateway.start_signing(keygen));
}

// ---- The process ----

TEST_F(HostileGateway, TheProcessHidesItsMemoryAndEndsCleanly) {
    ProcessEnclave enclave(s_folder->path(), "ending");
    const std::string proc = "/proc/" + std::to_string(enclave.pid());
    std::string limits;
    {
        std::FILE* const file = std::fopen((proc + "/limits").c_str(), "r");
        ASSERT_NE(file, nullptr);
        char line[256];
        while (std::fgets(line, sizeof line, file) != nullptr)
            if (std::string_view(line).starts_with("Max core file size"))
                limits = line;
        std::fclose(file);
    }
    EXPECT_NE(limits.find(" 0 "), std::string::npos) << limits;
    EXPECT_EQ(enclave.terminate(), 0);
}

} // namespace
} // namespace keymeld::test
