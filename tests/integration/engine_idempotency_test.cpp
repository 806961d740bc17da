// Repeated, replayed and forged requests through the engine over real storage and real signers (rest-v1.md 2.3, 2.4, 3.1).
#include <gtest/gtest.h>

#include "core/crypto/auth_header.h"
#include "tests/integration/engine_rig.h"

namespace keymeld::test {
namespace {

Signers& signers() {
    static Signers all(3);
    return all;
}

/// A header for a session and user of `target`, made with the session secret of `forger`.
std::string forged_header(const Party& forger, const Party& target, std::size_t index) {
    return crypto::make_session_hmac(forger.secret, target.id, target.users[index], crypto::make_header_nonce());
}

class EngineIdempotency : public ::testing::Test {
  protected:
    EngineIdempotency() : rig(signers(), 3) { rig.wait_healthy(3); }
    template <class T> Errc code(const Result<T>& result) { return result ? Errc::Internal : result.error().code; }
    Rig rig;
};

TEST_F(EngineIdempotency, CreationIsRepeatedByTheSameBodyAlone) {
    Party p(rig, {.participants = 3});
    const auto request = p.creation();
    const auto first = rig.run(rig->create_keygen(request));
    ASSERT_TRUE(first.has_value()) << first.error().detail;
    const auto again = rig.run(rig->create_keygen(request));
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->expires_at, first->expires_at);
    EXPECT_EQ(again->session_secret_echo, request.encrypted_session_secret_hex);
    auto other = request;
    other.timeout_secs += 1;
    EXPECT_EQ(code(rig.run(rig->create_keygen(other))), Errc::DuplicateId);
    EXPECT_EQ(code(rig.run(rig->create_keygen(p.creation()))), Errc::DuplicateId) << "new ciphertexts are another body";
}

TEST_F(EngineIdempotency, CreationsAtTheSameTimeMakeOneSession) {
    Party p(rig, {.participants = 3});
    const auto request = p.creation();
    std::vector<std::shared_ptr<std::optional<Result<engine::CreateKeygenAnswer>>>> begun;
    for (int i = 0; i < 5; ++i)
        begun.push_back(rig.begin(rig->create_keygen(request)));
    for (const auto& one : begun)
        EXPECT_TRUE(rig.end(one).has_value());
    EXPECT_EQ(rig->health().active_sessions, 1u);
}

TEST_F(EngineIdempotency, ARefusedCreationLeavesNothing) {
    Party p(rig, {.participants = 3});
    auto wrong = p.creation();
    wrong.coordinator_encrypted_private_key = p.registration(0, 1).encrypted_private_key; // to another enclave
    const auto refused = rig.run(rig->create_keygen(wrong));
    ASSERT_EQ(code(refused), Errc::WrongEnclave);
    EXPECT_EQ(refused.error().facts.at("assigned_enclave_id"), "0");
    EXPECT_EQ(refused.error().facts.at("enclave_key_epoch"), "1");
    EXPECT_EQ(code(rig.run(rig->keygen_exists(p.id))), Errc::NotFound);
    auto mismatch = p.creation();
    mismatch.coordinator_pubkey = p.keys[1].public_key().bytes();
    EXPECT_EQ(code(rig.run(rig->create_keygen(mismatch))), Errc::KeyMismatch);
    auto nowhere = p.creation();
    nowhere.coordinator_enclave_id = 77;
    EXPECT_EQ(code(rig.run(rig->create_keygen(nowhere))), Errc::ValidationFailed);
    auto tweaked = p.creation();
    tweaked.tweak.type = bitcoin::TweakType::PlainTweak;
    tweaked.tweak.value32.fill(0xff);
    EXPECT_EQ(code(rig.run(rig->create_keygen(tweaked))), Errc::ValidationFailed);
    // The same id is still free.
    p.expect_key(p.complete());
}

TEST_F(EngineIdempotency, RegistrationIsRepeatedByTheSameBodyWithAFreshHeader) {
    Party p(rig, {.participants = 2, .policies = {session::ApprovalPolicy::Header}});
    ASSERT_TRUE(rig.run(rig->create_keygen(p.creation())).has_value());
    auto request = p.registration(0, 0);
    const auto first = rig.run(rig->register_participant(request));
    ASSERT_TRUE(first.has_value()) << first.error().detail;
    EXPECT_TRUE(first->require_signing_approval);
    EXPECT_EQ(first->enclave_key_epoch, 1u);
    EXPECT_EQ(code(rig.run(rig->register_participant(request))), Errc::NonceReplayed) << "even though the body is equal";
    request.session_header = p.session_header(0);
    const auto again = rig.run(rig->register_participant(request));
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->participants_registered, 1u);
    EXPECT_EQ(code(rig.run(rig->register_participant(p.registration(0, 0)))), Errc::AlreadyRegistered);
    request.session_header = p.session_header(1);
    EXPECT_EQ(code(rig.run(rig->register_participant(request))), Errc::AuthFailed) << "the header of another user";
    ASSERT_TRUE(rig.run(rig->register_participant(p.registration(1, 1))).has_value());
    // The recorded answer, also after completion.
    request.session_header = p.session_header(0);
    const auto later = rig.run(rig->register_participant(request));
    ASSERT_TRUE(later.has_value());
    EXPECT_EQ(later->participants_registered, 1u);
}

TEST_F(EngineIdempotency, RegistrationIsRefusedForTheRightReasons) {
    Party p(rig, {.participants = 3});
    Party stranger(rig, {.participants = 3});
    ASSERT_TRUE(rig.run(rig->create_keygen(p.creation())).has_value());
    auto unknown = stranger.registration(0, 0);
    EXPECT_EQ(code(rig.run(rig->register_participant(unknown))), Errc::NotFound);
    unknown.keygen_id = p.id;
    EXPECT_EQ(code(rig.run(rig->register_participant(unknown))), Errc::NotAParticipant);
    auto forged = p.registration(0, 0);
    forged.session_header = forged_header(stranger, p, 0);
    EXPECT_EQ(code(rig.run(rig->register_participant(forged))), Errc::AuthFailed);
    const auto elsewhere = rig.run(rig->register_participant(p.registration(1, 0))); // its slot is on enclave 1
    ASSERT_EQ(code(elsewhere), Errc::WrongEnclave);
    EXPECT_EQ(elsewhere.error().facts.at("assigned_enclave_id"), "1");
    auto mismatch = p.registration(1, 1);
    mismatch.public_key = p.keys[2].public_key().bytes();
    EXPECT_EQ(code(rig.run(rig->register_participant(mismatch))), Errc::KeyMismatch);
    auto shorter = p.registration(1, 1);
    shorter.encrypted_private_key.resize(20);
    EXPECT_EQ(code(rig.run(rig->register_participant(shorter))), Errc::WrongEnclave);
    // None of it bound or registered anything.
    EXPECT_EQ(rig.run(rig->slots(p.id))->claimed, 0u);
    EXPECT_TRUE(rig.run(rig->register_participant(p.registration(1, 1))).has_value());
}

TEST_F(EngineIdempotency, ACiphertextServesOneUserOfOneSession) {
    Party p(rig, {.participants = 2});
    Party q(rig, {.participants = 2});
    ASSERT_TRUE(rig.run(rig->create_keygen(p.creation())).has_value());
    ASSERT_TRUE(rig.run(rig->create_keygen(q.creation())).has_value());
    const auto used = p.registration(0, 0);
    ASSERT_TRUE(rig.run(rig->register_participant(used)).has_value());
    auto stolen = q.registration(0, 0);
    stolen.encrypted_private_key = used.encrypted_private_key;
    stolen.public_key = used.public_key;
    EXPECT_EQ(code(rig.run(rig->register_participant(stolen))), Errc::BlobReused);
    Party r(rig, {.participants = 2});
    auto creation = r.creation();
    creation.coordinator_encrypted_private_key = used.encrypted_private_key;
    EXPECT_EQ(code(rig.run(rig->create_keygen(creation))), Errc::BlobReused);
}

TEST_F(EngineIdempotency, ANonceServesOneRequestWhateverItsKind) {
    Party p(rig, {.participants = 2, .policies = {session::ApprovalPolicy::Header}});
    p.complete();
    const auto header = p.session_header(0);
    ASSERT_TRUE(rig.run(rig->keygen_status(p.id, header)).has_value());
    EXPECT_EQ(code(rig.run(rig->keygen_status(p.id, header))), Errc::NonceReplayed);
    auto replayed = p.signing(some_message(1));
    replayed.session_header = header;
    EXPECT_EQ(code(rig.run(rig->create_signing(replayed))), Errc::NonceReplayed);

    const auto request = p.signing(some_message(1));
    ASSERT_TRUE(rig.run(rig->create_signing(request)).has_value());
    const auto poll = p.signing_header(0);
    ASSERT_TRUE(rig.run(rig->signing_status(request.id, poll)).has_value());
    const auto turned = rig.run(rig->approve({request.id, poll, std::nullopt}));
    ASSERT_FALSE(turned.has_value()) << "a poll was turned into an approval";
    EXPECT_EQ(turned.error().code, Errc::NonceReplayed);
    EXPECT_EQ(code(rig.run(rig->reject(request.id, poll))), Errc::NonceReplayed);
    EXPECT_EQ(p.status(request.id)->status, session::SigningStatus::CollectingParticipants);
    // The same nonce twice at the same time: one of them.
    const auto twice = p.signing_header(0);
    const auto one = rig.begin(rig->signing_status(request.id, twice));
    const auto two = rig.begin(rig->signing_status(request.id, twice));
    const int served = rig.end(one).has_value() + rig.end(two).has_value();
    EXPECT_EQ(served, 1);
}

TEST_F(EngineIdempotency, ASigningNonceIsUsedUpInEverySessionOfTheSameKey) {
    Party p(rig, {.participants = 2});
    Party q(rig, {.participants = 2});
    q.users = p.users;
    q.keys.clear();
    for (const auto& key : p.keys)
        q.keys.push_back(key.clone());
    p.complete();
    q.complete();
    const auto of_p = p.signing(some_message(1));
    const auto of_q = q.signing(some_message(1));
    ASSERT_TRUE(rig.run(rig->create_signing(of_p)).has_value());
    ASSERT_TRUE(rig.run(rig->create_signing(of_q)).has_value());
    const auto header = p.signing_header(0);
    ASSERT_TRUE(rig.run(rig->signing_status(of_p.id, header)).has_value());
    EXPECT_EQ(code(rig.run(rig->signing_status(of_q.id, header))), Errc::NonceReplayed);
}

TEST_F(EngineIdempotency, ASigningIsRepeatedByTheSameBodyWithAFreshHeader) {
    Party p(rig, {.participants = 3});
    p.complete();
    auto request = p.signing(some_message(1));
    const auto first = rig.run(rig->create_signing(request));
    ASSERT_TRUE(first.has_value()) << first.error().detail;
    EXPECT_EQ(code(rig.run(rig->create_signing(request))), Errc::NonceReplayed);
    request.session_header = p.session_header(1);
    const auto again = rig.run(rig->create_signing(request));
    ASSERT_TRUE(again.has_value()) << again.error().detail;
    EXPECT_EQ(again->expires_at, first->expires_at);
    p.outcome(request.id);
    request.session_header = p.session_header(0);
    EXPECT_TRUE(rig.run(rig->create_signing(request)).has_value()) << "in whatever state the session is";
    rig.stop();
    rig.start();
    rig.wait_healthy(3);
    request.session_header = p.session_header(0);
    EXPECT_TRUE(rig.run(rig->create_signing(request)).has_value()) << "after a restart";
    request.session_header = p.session_header(0);
    request.message_hash = some_message(2);
    EXPECT_EQ(code(rig.run(rig->create_signing(request))), Errc::DuplicateId);
    // A keygen id is no signing id either.
    auto taken = p.signing(some_message(3));
    taken.id = SigningId(p.id);
    EXPECT_EQ(code(rig.run(rig->create_signing(taken))), Errc::DuplicateId);
}

TEST_F(EngineIdempotency, ChecksComeInTheOrderOfTheSpecification) {
    Party p(rig, {.participants = 2});
    Party stranger(rig, {.participants = 2});
    ASSERT_TRUE(rig.run(rig->create_keygen(p.creation())).has_value());
    // 404 before 403, 403 before 409.
    auto request = p.signing(some_message(1));
    request.keygen_id = fresh_keygen_id();
    EXPECT_EQ(code(rig.run(rig->create_signing(request))), Errc::NotFound);
    request = p.signing(some_message(1));
    request.session_header = forged_header(stranger, p, 0);
    EXPECT_EQ(code(rig.run(rig->create_signing(request))), Errc::AuthFailed);
    const auto early = rig.run(rig->create_signing(p.signing(some_message(1))));
    ASSERT_EQ(code(early), Errc::WrongState);
    EXPECT_EQ(early.error().facts.at("status"), "collecting_participants");
    EXPECT_EQ(code(rig.run(rig->signing_status(fresh_signing_id(), p.signing_header(0)))), Errc::NotFound);
    EXPECT_EQ(code(rig.run(rig->keygen_status(p.id, forged_header(stranger, p, 0)))), Errc::AuthFailed);
    EXPECT_EQ(code(rig.run(rig->slots(fresh_keygen_id()))), Errc::NotFound);
}

} // namespace
} // namespace keymeld::test
