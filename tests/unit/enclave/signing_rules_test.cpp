// What the enclave refuses in the rounds of a signing, and what it answers to a repetition.
#include "core/base/hex.h"
#include "core/crypto/encrypted_data.h"
#include "core/musig/nonce.h"
#include "tests/unit/enclave/signer_fixture.h"

namespace keymeld::test {
namespace {

class SigningRules : public SignerTest {
  protected:
    /// Round 1 at every enclave.
    RoundTrips first_rounds(const TestKeygen& keygen, const TestSigning& signing,
                            std::uint32_t attempt = 1) {
        RoundTrips trips;
        for (const std::size_t enclave : keygen.enclaves()) {
            const wire::Response response =
                gateway.ask(enclave, gateway.round1(keygen, signing, attempt));
            EXPECT_TRUE(succeeded(response));
            trips.round1[enclave] = response.sign_round1();
        }
        return trips;
    }
    /// And round 2 at every enclave but the coordinator's.
    RoundTrips both_rounds(const TestKeygen& keygen, const TestSigning& signing,
                           std::uint32_t attempt = 1) {
        RoundTrips trips = first_rounds(keygen, signing, attempt);
        for (const std::size_t enclave : keygen.enclaves()) {
            if (enclave == keygen.enclaves().front())
                continue;
            const wire::Response response =
                gateway.ask(enclave, gateway.round2(keygen, signing, trips, attempt));
            EXPECT_TRUE(succeeded(response));
            trips.round2[enclave] = response.sign_round2();
        }
        return trips;
    }
};

// ---- Evidence ----

TEST_F(SigningRules, SigningNeedsGenuineEvidence) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const auto refused = [&](auto&& change, Errc code, std::size_t enclave = 1) {
        TestSigning signing = gateway.start_signing(keygen);
        change(signing);
        return refused_with(gateway.send(enclave, gateway.round1(keygen, signing)), code);
    };
    EXPECT_TRUE(refused([](auto& s) { s.evidence.clear_session_header(); }, Errc::AuthMissing));
    EXPECT_TRUE(
        refused([](auto& s) { s.evidence.set_session_header("nonsense"); }, Errc::AuthMalformed));
    EXPECT_TRUE(
        refused([](auto& s) { s.evidence.set_message_hash("short"); }, Errc::InvalidArgument));
    EXPECT_TRUE(refused([](auto& s) { s.evidence.mutable_session_header()->back() ^= 1; },
                        Errc::AuthMalformed) ||
                refused([](auto& s) { s.evidence.mutable_session_header()->back() ^= 1; },
                        Errc::AuthFailed));
    TestKeygen other = ready({.slots = {0, 1}});
    EXPECT_TRUE(refused([&](auto& s) { s.evidence.set_session_header(other.session_header(0)); },
                        Errc::AuthFailed));
    // Any participant may start a signing.
    EXPECT_TRUE(refused([&](auto& s) { s.evidence.set_session_header(keygen.session_header(1)); },
                        Errc{0}));
    wire::Request zero = gateway.round1(keygen, gateway.start_signing(keygen), 0);
    EXPECT_TRUE(refused_with(gateway.send(0, zero), Errc::InvalidArgument));
}

TEST_F(SigningRules, TheMessageMustBeTheOneThatWasEncrypted) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const auto with = [&](const std::string& encrypted) {
        TestSigning signing = gateway.start_signing(keygen);
        signing.evidence.set_encrypted_message(encrypted);
        return gateway.send(1, gateway.round1(keygen, signing));
    };
    const ByteArray<32> other = random_message();
    EXPECT_TRUE(refused_with(with(hex_encode(other)), Errc::MessageMismatch));
    EXPECT_TRUE(refused_with(
        with(crypto::encrypted_data_seal(keygen.secret(), crypto::DataContext::Message, other)),
        Errc::MessageMismatch));
    EXPECT_TRUE(refused_with(
        with(crypto::encrypted_data_seal(keygen.secret(), crypto::DataContext::Signature, other)),
        Errc::MessageMismatch));
    EXPECT_TRUE(refused_with(with(crypto::encrypted_data_seal(
                                 keygen.secret(), crypto::DataContext::Message, Bytes(31, 1))),
                             Errc::MessageMismatch));
    EXPECT_TRUE(refused_with(with(""), Errc::ValidationFailed));
    EXPECT_TRUE(refused_with(with(std::string(64, 'z')), Errc::ValidationFailed));
    EXPECT_TRUE(refused_with(with("abcd"), Errc::ValidationFailed));
    EXPECT_TRUE(refused_with(with(std::string(1'000'000, 'a')), Errc::ValidationFailed));
    const wire::Response response = with(hex_encode(other));
    EXPECT_EQ(response.failure().pointer(), "/message_hash");
}

TEST_F(SigningRules, OneHeaderServesOneSigning) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.round1(keygen, signing))));
    // The same evidence at the other enclave of the session is no replay.
    ASSERT_TRUE(succeeded(gateway.send(1, gateway.round1(keygen, signing))));
    TestSigning replay = gateway.start_signing(keygen);
    replay.evidence = signing.evidence;
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, replay)), Errc::NonceReplayed));
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round1(keygen, replay)), Errc::NonceReplayed));
    // Nor after a restart, nor for a read.
    first.restart();
    EXPECT_TRUE(refused_with(gateway.ask(0, gateway.round1(keygen, replay)), Errc::NonceReplayed));
    wire::Request read;
    read.mutable_authenticate()->set_keygen_id(raw(keygen.id().bytes));
    read.mutable_authenticate()->set_session_header(signing.evidence.session_header());
    EXPECT_TRUE(refused_with(gateway.send(0, read), Errc::NonceReplayed));
}

TEST_F(SigningRules, AReadHeaderStartsNoSigning) {
    TestKeygen keygen = ready({.slots = {0, 0}});
    wire::Request read;
    read.mutable_authenticate()->set_keygen_id(raw(keygen.id().bytes));
    read.mutable_authenticate()->set_session_header(keygen.session_header(0));
    const wire::Response answer = gateway.send(0, read);
    ASSERT_TRUE(succeeded(answer));
    EXPECT_EQ(answer.authenticate().user_id(), raw(keygen.participant(0).id.bytes));
    EXPECT_TRUE(refused_with(gateway.send(0, read), Errc::NonceReplayed));
    TestSigning signing = gateway.start_signing(keygen);
    signing.evidence.set_session_header(read.authenticate().session_header());
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.round1(keygen, signing)), Errc::NonceReplayed));
    // A new stream may repeat a read whose answer was lost with the old one, once.
    first.reconnect();
    EXPECT_TRUE(succeeded(gateway.send(0, read)));
    EXPECT_TRUE(refused_with(gateway.send(0, read), Errc::NonceReplayed));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.round1(keygen, signing)), Errc::NonceReplayed));
}

TEST_F(SigningRules, AuthenticateTellsWho) {
    TestKeygen keygen = ready({.slots = {0, 1, 2}});
    wire::Request read;
    auto& authenticate = *read.mutable_authenticate();
    authenticate.set_keygen_id(raw(keygen.id().bytes));
    EXPECT_TRUE(refused_with(gateway.send(0, read), Errc::AuthMissing));
    authenticate.set_signing_header(keygen.signing_header(2));
    const wire::Response answer = gateway.send(0, read);
    ASSERT_TRUE(succeeded(answer));
    EXPECT_EQ(answer.authenticate().signer_index(), 2u);
    EXPECT_TRUE(refused_with(gateway.send(0, read), Errc::NonceReplayed));
    std::string header = keygen.signing_header(1);
    header.back() = header.back() == '0' ? '1' : '0';
    authenticate.set_signing_header(header);
    EXPECT_TRUE(refused_with(gateway.send(0, read), Errc::AuthFailed));
    TestKeygen other = ready({.slots = {0, 1}});
    authenticate.set_signing_header(other.signing_header(0));
    EXPECT_TRUE(refused_with(gateway.send(0, read), Errc::NotAParticipant));
}

TEST_F(SigningRules, AnUnfinishedKeygenSignsNothing) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 0}});
    ASSERT_TRUE(succeeded(gateway.ask(0, keygen.open())));
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, gateway.start_signing(keygen))),
                             Errc::WrongState));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.round2(keygen, gateway.start_signing(keygen), {})),
                     Errc::WrongState));
}

// ---- Quota and ids ----

TEST_F(SigningRules, QuotaCountsEveryAcceptedSession) {
    TestKeygen keygen = ready({.slots = {0, 1}, .max_signing_sessions = 3});
    const TestSigning one = gateway.start_signing(keygen);
    gateway.sign(keygen, one);
    gateway.sign(keygen, one, 2); // the same session again counts once
    const TestSigning two = gateway.start_signing(keygen);
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.round1(keygen, two))));
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.close(keygen, two))));
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.round1(keygen, gateway.start_signing(keygen)))));
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, gateway.start_signing(keygen))),
                             Errc::QuotaExceeded));
    first.restart();
    EXPECT_TRUE(refused_with(gateway.ask(0, gateway.round1(keygen, gateway.start_signing(keygen))),
                             Errc::QuotaExceeded));
    EXPECT_TRUE(refused_with(gateway.ask(0, gateway.round1(keygen, two)), Errc::WrongState));
}

TEST_F(SigningRules, ZeroQuotaForbidsSigning) {
    TestKeygen keygen = ready({.slots = {0, 0}, .max_signing_sessions = 0});
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, gateway.start_signing(keygen))),
                             Errc::QuotaExceeded));
}

TEST_F(SigningRules, AnIdStandsForOneMessage) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.round1(keygen, signing))));
    TestSigning other = gateway.start_signing(keygen);
    other.id = signing.id;
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, other)), Errc::DuplicateId));
    // The same header with another message.
    other.evidence.set_session_header(signing.evidence.session_header());
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, other)), Errc::DuplicateId));
}

TEST_F(SigningRules, AClosedSessionStaysClosed) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    const RoundTrips trips = both_rounds(keygen, signing);
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.close(keygen, signing))));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.finish(keygen, signing, trips)), Errc::WrongState));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.round1(keygen, signing, 2)), Errc::WrongState));
    EXPECT_FALSE(gateway.send(0, gateway.close(keygen, signing)).close_signing().has_sealed());
    first.restart();
    EXPECT_TRUE(refused_with(gateway.ask(0, gateway.round1(keygen, signing, 2)), Errc::WrongState));
}

// ---- Attempts ----

TEST_F(SigningRules, TheSameAttemptHasTheSameNoncesAHigherOneOthers) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    const auto first_time = gateway.send(0, gateway.round1(keygen, signing)).sign_round1();
    EXPECT_TRUE(first_time.has_sealed());
    const auto again = gateway.send(0, gateway.round1(keygen, signing)).sign_round1();
    EXPECT_FALSE(again.has_sealed());
    EXPECT_EQ(again.contribution().SerializeAsString(),
              first_time.contribution().SerializeAsString());
    const auto later = gateway.send(0, gateway.round1(keygen, signing, 5)).sign_round1();
    EXPECT_NE(later.contribution().nonces(0).pubnonce(),
              first_time.contribution().nonces(0).pubnonce());
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.round1(keygen, signing, 4)), Errc::AttemptVoid));
    const auto next = gateway.send(0, gateway.round1(keygen, signing, 6)).sign_round1();
    EXPECT_NE(next.contribution().nonces(0).pubnonce(), later.contribution().nonces(0).pubnonce());
}

TEST_F(SigningRules, RoundTwoSignsOnce) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    const RoundTrips trips = both_rounds(keygen, signing);
    // The same question: the very same answer.
    EXPECT_EQ(gateway.send(1, gateway.round2(keygen, signing, trips)).sign_round2().box(),
              trips.round2.at(1).box());
    // Fresh nonces of the coordinator against the nonce that has signed.
    RoundTrips others = trips;
    others.round1[0] = gateway.send(0, gateway.round1(keygen, signing, 2)).sign_round1();
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round2(keygen, signing, others)),
                             Errc::NonceConsumed));
    EXPECT_TRUE(
        refused_with(gateway.send(1, gateway.round2(keygen, signing, {})), Errc::NonceConsumed));
    // Round 1 of the attempt that has signed still shows the same public nonce, and no new one.
    EXPECT_EQ(gateway.send(1, gateway.round1(keygen, signing))
                  .sign_round1()
                  .contribution()
                  .SerializeAsString(),
              trips.round1.at(1).contribution().SerializeAsString());
}

TEST_F(SigningRules, FinishSignsOnce) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    const RoundTrips trips = both_rounds(keygen, signing);
    const wire::Request request = gateway.finish(keygen, signing, trips);
    const wire::Response finished = gateway.send(0, request);
    ASSERT_TRUE(succeeded(finished));
    EXPECT_EQ(gateway.send(0, request).sign_finish().final_signature(),
              finished.sign_finish().final_signature());
    wire::Request other = request;
    other.mutable_sign_finish()->mutable_partials(0)->mutable_box()->push_back('x');
    EXPECT_TRUE(refused_with(gateway.send(0, other), Errc::NonceConsumed));
}

TEST_F(SigningRules, RoundsAreForTheirEnclaves) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const TestSigning signing = gateway.start_signing(keygen);
    const RoundTrips trips = both_rounds(keygen, signing);
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round2(keygen, signing, trips)),
                             Errc::InvalidArgument));
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.finish(keygen, signing, trips)),
                             Errc::InvalidArgument));
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.finish(keygen, signing, trips, 2)),
                             Errc::AttemptVoid));
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round2(keygen, signing, trips, 2)),
                             Errc::AttemptVoid));
    EXPECT_TRUE(
        refused_with(gateway.send(1, gateway.round2(keygen, gateway.start_signing(keygen), trips)),
                     Errc::AttemptVoid));
}

// ---- Contributions ----

TEST_F(SigningRules, NobodyButTheEnclavesContributesNonces) {
    TestKeygen keygen = ready({.slots = {0, 1, 2}});
    const TestSigning signing = gateway.start_signing(keygen);
    const RoundTrips trips = first_rounds(keygen, signing);
    const auto refused = [&](auto&& change, Errc code = Errc::RosterMismatch) {
        wire::Request request = gateway.round2(keygen, signing, trips);
        change(*request.mutable_sign_round2()->mutable_contributions());
        return refused_with(gateway.send(1, request), code);
    };
    // A nonce of the gateway's own in place of a participant's.
    const auto key = crypto::SecretKey::generate();
    const auto own = musig::nonce_gen(key).value();
    EXPECT_TRUE(
        refused([&](auto& c) { c[0].mutable_nonces(0)->set_pubnonce(raw(own.pub.points())); }));
    EXPECT_TRUE(
        refused([&](auto& c) { c[1].mutable_nonces(0)->set_pubnonce(raw(own.pub.points())); }));
    EXPECT_TRUE(refused([&](auto& c) { c[0].set_ledger_version(c[0].ledger_version() + 1); }));
    EXPECT_TRUE(refused([&](auto& c) { c[0].mutable_tag()->back() ^= 1; }));
    EXPECT_TRUE(refused([&](auto& c) { c[0].clear_tag(); }));
    EXPECT_TRUE(refused([&](auto& c) { c[0].clear_nonces(); }));
    EXPECT_TRUE(refused([&](auto& c) { *c[0].add_nonces() = c[0].nonces(0); }));
    EXPECT_TRUE(refused([&](auto& c) { c[0].mutable_nonces(0)->set_signer_index(1); }));
    EXPECT_TRUE(
        refused([&](auto& c) { c[0].mutable_nonces(0)->set_signer_index(4'000'000'000u); }));
    EXPECT_TRUE(refused([&](auto& c) { c[0].mutable_nonces(0)->set_pubnonce("x"); }));
    EXPECT_TRUE(refused([&](auto& c) { c.RemoveLast(); }));
    EXPECT_TRUE(refused([&](auto& c) { *c.Add() = trips.round1.at(0).contribution(); }));
    EXPECT_TRUE(refused([&](auto& c) { c[2] = c[0]; }));
    EXPECT_TRUE(refused([&](auto& c) { c[0].set_enclave(c[2].enclave()); }));
    EXPECT_TRUE(refused([&](auto& c) { c[0].set_enclave("x"); }));
    // Genuine contributions, but to another signing, another attempt, another keygen session.
    const TestSigning other = gateway.start_signing(keygen, signing.message);
    const RoundTrips others = first_rounds(keygen, other);
    EXPECT_TRUE(refused([&](auto& c) { c[0] = others.round1.at(0).contribution(); }));
    EXPECT_TRUE(refused([&](auto& c) { c[1] = others.round1.at(1).contribution(); }));
    TestKeygen same = ready({.slots = {0, 1, 2}});
    const RoundTrips sames = first_rounds(same, gateway.start_signing(same));
    EXPECT_TRUE(refused([&](auto& c) { c[0] = sames.round1.at(0).contribution(); }));
    const auto second_attempt = gateway.send(0, gateway.round1(keygen, signing, 2)).sign_round1();
    EXPECT_TRUE(refused([&](auto& c) { c[0] = second_attempt.contribution(); }));
    // None of it cost the nonce. The coordinator is at attempt 2 by now, which the next attempt
    // repairs.
    EXPECT_TRUE(succeeded(gateway.send(1, gateway.round2(keygen, signing, trips))));
    gateway.sign(keygen, signing, 3);
}

TEST_F(SigningRules, BoxesBelongToTheirAttempt) {
    TestKeygen keygen = ready({.slots = {0, 1, 2}});
    const TestSigning signing = gateway.start_signing(keygen);
    const RoundTrips trips = both_rounds(keygen, signing);
    const RoundTrips others = both_rounds(keygen, gateway.start_signing(keygen, signing.message));
    const auto refused = [&](auto&& change, Errc code) {
        wire::Request request = gateway.finish(keygen, signing, trips);
        change(*request.mutable_sign_finish()->mutable_partials());
        return refused_with(gateway.send(0, request), code);
    };
    EXPECT_TRUE(
        refused([&](auto& p) { p[0].set_box(others.round2.at(1).box()); }, Errc::DecryptFailed));
    EXPECT_TRUE(
        refused([&](auto& p) { p[0].set_box(trips.round2.at(2).box()); }, Errc::DecryptFailed));
    EXPECT_TRUE(refused([&](auto& p) { p[0].mutable_box()->back() ^= 1; }, Errc::DecryptFailed));
    EXPECT_TRUE(refused([&](auto& p) { p[0].clear_box(); }, Errc::DecryptFailed));
    EXPECT_TRUE(refused([&](auto& p) { p.RemoveLast(); }, Errc::RosterMismatch));
    EXPECT_TRUE(refused([&](auto& p) { p[1] = p[0]; }, Errc::RosterMismatch));
    EXPECT_TRUE(refused([&](auto& p) { p[0].set_enclave(raw(first.public_key().bytes())); },
                        Errc::RosterMismatch));
    EXPECT_TRUE(refused([&](auto& p) { p[0].set_enclave("x"); }, Errc::RosterMismatch));
    // Nothing was consumed by what was refused.
    EXPECT_TRUE(succeeded(gateway.send(0, gateway.finish(keygen, signing, trips))));
}

TEST_F(SigningRules, APeerWhoseLedgerWentBackIsRefused) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const auto old_state = gateway.stored(0, keygen.id());
    for (int i = 0; i < 3; ++i)
        gateway.sign(keygen, gateway.start_signing(keygen));
    // The gateway gives the coordinator enclave, restarted, what it stored before the three
    // signings.
    first.restart();
    gateway.stored(0, keygen.id()) = old_state;
    const TestSigning signing = gateway.start_signing(keygen);
    RoundTrips trips = first_rounds(keygen, signing);
    const wire::Response response = gateway.send(1, gateway.round2(keygen, signing, trips));
    EXPECT_TRUE(refused_with(response, Errc::StateRolledBack));
    EXPECT_EQ(response.failure().peer_public_key(), raw(first.public_key().bytes()));
    // Also if the peer was restarted since: what it has seen is in its sealed state, but for the
    // last step.
    second.restart();
    EXPECT_TRUE(
        refused_with(gateway.ask(1, gateway.round2(keygen, signing, trips)), Errc::AttemptVoid));
    trips = first_rounds(keygen, signing, 2);
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round2(keygen, signing, trips, 2)),
                             Errc::StateRolledBack));
}

// ---- Bounds ----

TEST_F(SigningRules, AttemptsAreBounded) {
    LocalEnclave small(pki,
                       {.limits = {.max_attempts = 3, .attempt_age = std::chrono::seconds(60)}});
    TestGateway narrow({&small, &second});
    TestKeygen keygen(narrow.enclaves(), {.slots = {0, 1}});
    narrow.keygen(keygen);
    std::vector<TestSigning> sessions;
    for (int i = 0; i < 3; ++i) {
        sessions.push_back(narrow.start_signing(keygen));
        ASSERT_TRUE(succeeded(narrow.send(0, narrow.round1(keygen, sessions.back()))));
    }
    EXPECT_TRUE(refused_with(narrow.send(0, narrow.round1(keygen, narrow.start_signing(keygen))),
                             Errc::Overloaded));
    // Those that were given up make room once they are old; so do those that have ended.
    small.advance(std::chrono::seconds(61));
    const TestSigning late = narrow.start_signing(keygen);
    ASSERT_TRUE(succeeded(narrow.send(0, narrow.round1(keygen, late))));
    EXPECT_TRUE(
        refused_with(narrow.send(0, narrow.finish(keygen, sessions[0], {})), Errc::AttemptVoid));
    EXPECT_EQ(small.signer().counters().active_attempts, 3u);
    narrow.sign(keygen, late, 2);
}

TEST_F(SigningRules, SecretNoncesAreBounded) {
    LocalEnclave small(pki, {.limits = {.max_secret_nonces = 4}});
    TestGateway narrow({&small, &second});
    TestKeygen large(narrow.enclaves(), {.slots = {0, 0, 0, 0, 0, 1}});
    narrow.keygen(large);
    EXPECT_TRUE(refused_with(narrow.send(0, narrow.round1(large, narrow.start_signing(large))),
                             Errc::Overloaded));
    TestKeygen fits(narrow.enclaves(), {.slots = {0, 0, 0, 1}});
    narrow.keygen(fits);
    EXPECT_TRUE(succeeded(narrow.send(0, narrow.round1(fits, narrow.start_signing(fits)))));
    EXPECT_TRUE(refused_with(narrow.send(0, narrow.round1(fits, narrow.start_signing(fits))),
                             Errc::Overloaded));
}

} // namespace
} // namespace keymeld::test
