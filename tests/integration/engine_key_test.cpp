// Single keys through the engine over real storage and real signers, with restarts of both in between (rest-keys.md).
#include <gtest/gtest.h>

#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/bitcoin/schnorr.h"
#include "core/bitcoin/single_key.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/ecies.h"
#include "core/crypto/encrypted_data.h"
#include "core/secure/random.h"
#include "tests/integration/engine_rig.h"

namespace keymeld::test {
namespace {

using bitcoin::SignatureType;

/// The owner of one key, as a client of the engine.
struct Owner {
    explicit Owner(Rig& the_rig, UserId the_user = fresh_user_id(), crypto::SecretKey the_auth = crypto::SecretKey::generate())
        : rig(the_rig), user(the_user), auth(std::move(the_auth)) {}

    Rig& rig;
    UserId user;
    crypto::SecretKey auth;
    KeyId id;
    std::uint32_t enclave_id = 0;
    std::optional<crypto::PlainPubKey> enclave_key;
    std::optional<crypto::PlainPubKey> public_key;

    std::string header() const { return header(id); }
    std::string header(const Uuid& scope) const {
        return crypto::make_user_signature(auth, scope, user, crypto::make_header_nonce()).value();
    }
    void reserve() {
        const auto key = rig.run(rig->reserve_key(user));
        ASSERT_TRUE(key.has_value()) << key.error().detail;
        id = key->id;
        enclave_id = key->enclave_id;
        enclave_key = crypto::PlainPubKey::parse(key->enclave_public_key).value();
    }
    engine::GenerateKey generation() const {
        engine::GenerateKey request;
        request.id = id;
        request.user_id = user;
        request.user_header = header();
        request.auth_pubkey = auth.public_key().bytes();
        request.label = "treasury";
        return request;
    }
    engine::ImportKey import(const crypto::SecretKey& key) const {
        engine::ImportKey request;
        request.id = id;
        request.user_id = user;
        request.user_header = header();
        request.auth_pubkey = auth.public_key().bytes();
        request.enclave_public_key = enclave_key->bytes();
        request.ecies_aad = true;
        const std::string aad = bitcoin::import_aad(id, user, auth.public_key());
        request.encrypted_private_key = crypto::ecies_encrypt(*enclave_key, key.expose(), as_bytes(aad)).value();
        return request;
    }
    void ready() {
        reserve();
        const auto made = rig.run(rig->generate_key(generation()));
        ASSERT_TRUE(made.has_value()) << made.error().detail;
        public_key = crypto::PlainPubKey::parse(made->public_key).value();
    }
    engine::KeyRequest request() const { return {id, user, header()}; }

    struct Signing {
        secure::SecretArray<32> secret = secure::random_secret<32>();
        ByteArray<32> digest = some_message(42);
        SignatureType type = SignatureType::Ecdsa;
        engine::SignSingle request;
    };
    std::unique_ptr<Signing> signing(SignatureType type = SignatureType::Ecdsa, std::uint64_t ago = 0) const {
        auto out = std::make_unique<Signing>();
        out->type = type;
        engine::SignSingle& request = out->request;
        request.key_id = id;
        request.user_id = user;
        request.user_header = header();
        request.encrypted_message = crypto::binary_data_seal(out->secret, crypto::BinaryContext::SessionData,
                                                             as_bytes(hex_encode(out->digest)));
        request.type = type;
        request.encrypted_session_secret = crypto::ecies_encrypt(*enclave_key, out->secret.expose()).value();
        request.approval_timestamp = unix_seconds() - ago;
        request.approval_signature =
            crypto::ecdsa_sign(auth, bitcoin::approval_digest(request.encrypted_message, id, request.approval_timestamp, {})).value();
        return out;
    }
    void expect_signature(const Signing& signing, const Result<engine::SingleSigningView>& view) const {
        ASSERT_TRUE(view.has_value()) << errc_name(view.error().code) << ": " << view.error().detail;
        const auto plain = crypto::binary_data_open(signing.secret, crypto::BinaryContext::Signature, view->encrypted_signature);
        ASSERT_TRUE(plain.has_value() && plain->size() == 64);
        ByteArray<64> bytes{};
        std::copy(plain->expose().begin(), plain->expose().end(), bytes.begin());
        if (signing.type == SignatureType::Ecdsa)
            EXPECT_TRUE(crypto::ecdsa_verify(bytes, signing.digest, *public_key).has_value());
        else
            EXPECT_TRUE(bitcoin::schnorr_verify(bitcoin::SchnorrSignature{bytes}, signing.digest,
                                                bitcoin::XOnlyPubKey::from(*public_key))
                            .has_value());
    }
};

class EngineKeys : public ::testing::Test {
  protected:
    EngineKeys() : signers(2), rig(signers, 2) { rig.wait_healthy(2); }
    template <class T> Errc code(const Result<T>& result) { return result ? Errc::Internal : result.error().code; }
    Signers signers;
    Rig rig;
};

TEST_F(EngineKeys, GeneratesSignsListsAndDeletes) {
    Owner owner(rig);
    owner.ready();
    const auto ecdsa = owner.signing();
    const auto first = rig.run(rig->sign_single(ecdsa->request));
    owner.expect_signature(*ecdsa, first);
    const auto schnorr = owner.signing(SignatureType::SchnorrBip340);
    owner.expect_signature(*schnorr, rig.run(rig->sign_single(schnorr->request)));
    // The signature can be read again, by its own scope.
    const auto again = rig.run(rig->single_signing_status(first->id, owner.user, owner.header(first->id)));
    owner.expect_signature(*ecdsa, again);
    EXPECT_EQ(code(rig.run(rig->single_signing_status(first->id, owner.user, owner.header()))), Errc::AuthFailed);
    EXPECT_EQ(code(rig.run(rig->single_signing_status(first->id, fresh_user_id(), owner.header(first->id)))), Errc::NotFound);

    // A second key of the same owner, and one of somebody who took the same user id.
    Owner second(rig, owner.user, owner.auth.clone());
    second.ready();
    Owner squatter(rig, owner.user);
    squatter.ready();
    EXPECT_NE(owner.enclave_id, second.enclave_id) << "keys go round the enclaves";
    const auto keys = rig.run(rig->list_keys(second.request()));
    ASSERT_TRUE(keys.has_value());
    ASSERT_EQ(keys->size(), 2u);
    EXPECT_EQ(keys->front().id, owner.id);
    EXPECT_EQ(keys->front().public_key, owner.public_key->bytes());
    EXPECT_EQ(keys->front().label, "treasury");
    EXPECT_EQ(keys->back().id, second.id);
    const auto status = rig.run(rig->key_status(owner.request()));
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->public_key, owner.public_key->bytes());

    EXPECT_EQ(code(rig.run(rig->delete_key({owner.id, owner.user, squatter.header(owner.id)}))), Errc::AuthFailed);
    ASSERT_TRUE(rig.run(rig->delete_key(owner.request())).has_value());
    EXPECT_EQ(code(rig.run(rig->delete_key(owner.request()))), Errc::NotFound);
    EXPECT_EQ(code(rig.run(rig->sign_single(owner.signing()->request))), Errc::NotFound);
    EXPECT_EQ(code(rig.run(rig->single_signing_status(first->id, owner.user, owner.header(first->id)))), Errc::NotFound);
    EXPECT_EQ(rig.run(rig->list_keys(second.request()))->size(), 1u);
    // And it does not come back with either process.
    rig.stop();
    for (const std::uint32_t i : {0u, 1u}) {
        signers.kill(i);
        signers.start(i);
    }
    rig.start();
    rig.wait_healthy(2);
    EXPECT_EQ(code(rig.run(rig->sign_single(owner.signing()->request))), Errc::NotFound);
    const auto later = second.signing();
    second.expect_signature(*later, rig.run(rig->sign_single(later->request)));
}

TEST_F(EngineKeys, RequestsAreRefusedForTheRightReasons) {
    Owner owner(rig);
    EXPECT_EQ(code(rig.run(rig->generate_key(owner.generation()))), Errc::NotFound) << "nothing reserved";
    owner.reserve();
    EXPECT_EQ(code(rig.run(rig->sign_single(owner.signing()->request))), Errc::NotFound) << "reserved, not there yet";
    EXPECT_EQ(code(rig.run(rig->key_status(owner.request()))), Errc::NotFound);
    auto generation = owner.generation();
    generation.user_id = fresh_user_id();
    EXPECT_EQ(code(rig.run(rig->generate_key(generation))), Errc::NotFound) << "another user's reservation";
    const auto key = crypto::SecretKey::generate();
    auto wrong = owner.import(key);
    wrong.ecies_aad = false;
    EXPECT_EQ(code(rig.run(rig->import_key(wrong))), Errc::WrongEnclave);
    EXPECT_EQ(code(rig.run(rig->import_key(wrong))), Errc::NonceReplayed) << "a failed request has consumed its nonce";
    wrong = owner.import(key);
    wrong.enclave_public_key = key.public_key().bytes();
    const auto stale = rig.run(rig->import_key(wrong));
    ASSERT_EQ(code(stale), Errc::WrongEnclave);
    EXPECT_EQ(stale.error().facts.at("pointer"), "/enclave_public_key");
    auto good = owner.import(key);
    ASSERT_TRUE(rig.run(rig->import_key(good)).has_value());
    EXPECT_EQ(code(rig.run(rig->import_key(good))), Errc::NonceReplayed) << "even though the body is equal";
    good.user_header = owner.header();
    const auto repeated = rig.run(rig->import_key(good));
    ASSERT_TRUE(repeated.has_value()) << repeated.error().detail;
    EXPECT_EQ(repeated->public_key, key.public_key().bytes());
    EXPECT_EQ(code(rig.run(rig->import_key(owner.import(key)))), Errc::DuplicateId);
    EXPECT_EQ(code(rig.run(rig->generate_key(owner.generation()))), Errc::DuplicateId);
    owner.public_key = key.public_key();

    // The same ciphertext under another id: only who may ask at all is told that it was used.
    Owner copier(rig);
    copier.reserve();
    auto copied = copier.import(key);
    copied.encrypted_private_key = good.encrypted_private_key;
    copied.user_header = owner.header(copier.id);
    EXPECT_EQ(code(rig.run(rig->import_key(copied))), Errc::AuthFailed);
    copied.user_header = copier.header();
    EXPECT_EQ(code(rig.run(rig->import_key(copied))), Errc::BlobReused);
    EXPECT_EQ(code(rig.run(rig->import_key(copied))), Errc::NonceReplayed);

    const auto stale_approval = owner.signing(SignatureType::Ecdsa, 301);
    EXPECT_EQ(code(rig.run(rig->sign_single(stale_approval->request))), Errc::ApprovalExpired);
    Owner stranger(rig);
    stranger.ready();
    auto foreign = owner.signing();
    foreign->request.key_id = stranger.id;
    EXPECT_EQ(code(rig.run(rig->sign_single(foreign->request))), Errc::NotFound);
    foreign->request.user_id = stranger.user;
    EXPECT_EQ(code(rig.run(rig->sign_single(foreign->request))), Errc::AuthFailed);
    auto forged = owner.signing();
    forged->request.user_header = stranger.header(owner.id);
    EXPECT_EQ(code(rig.run(rig->sign_single(forged->request))), Errc::AuthFailed);
    auto unapproved = owner.signing();
    unapproved->request.approval_signature.back() ^= 1;
    EXPECT_EQ(code(rig.run(rig->sign_single(unapproved->request))), Errc::AuthFailed);

    const auto used = owner.signing();
    owner.expect_signature(*used, rig.run(rig->sign_single(used->request)));
    EXPECT_EQ(code(rig.run(rig->sign_single(used->request))), Errc::NonceReplayed);
    used->request.user_header = owner.header();
    EXPECT_EQ(code(rig.run(rig->sign_single(used->request))), Errc::NonceReplayed) << "the approval";
}

TEST_F(EngineKeys, ARequestWithAnIdOfTheClientIsIdempotent) {
    Owner owner(rig);
    owner.ready();
    const auto signing = owner.signing();
    signing->request.id = fresh_signing_id();
    const auto first = rig.run(rig->sign_single(signing->request));
    owner.expect_signature(*signing, first);
    EXPECT_EQ(first->id, *signing->request.id);
    signing->request.user_header = owner.header();
    const auto again = rig.run(rig->sign_single(signing->request));
    ASSERT_TRUE(again.has_value()) << again.error().detail;
    EXPECT_EQ(again->encrypted_signature, first->encrypted_signature);
    auto other = owner.signing();
    other->request.id = first->id;
    EXPECT_EQ(code(rig.run(rig->sign_single(other->request))), Errc::DuplicateId);
    Owner stranger(rig);
    stranger.ready();
    auto taken = stranger.signing();
    taken->request.id = first->id;
    EXPECT_EQ(code(rig.run(rig->sign_single(taken->request))), Errc::DuplicateId);
}

TEST_F(EngineKeys, SurviveRestartsOfEnclaveAndAppliance) {
    Owner owner(rig);
    owner.ready();
    const auto before = owner.signing();
    const auto signed_before = rig.run(rig->sign_single(before->request));
    owner.expect_signature(*before, signed_before);

    signers.kill(owner.enclave_id);
    signers.start(owner.enclave_id);
    const auto between = owner.signing(SignatureType::SchnorrBip340);
    owner.expect_signature(*between, rig.run(rig->sign_single(between->request)));

    rig.crash();
    rig.start();
    rig.wait_healthy(2);
    owner.expect_signature(*before, rig.run(rig->single_signing_status(signed_before->id, owner.user, owner.header(signed_before->id))));
    EXPECT_EQ(code(rig.run(rig->sign_single(before->request))), Errc::NonceReplayed);
    before->request.user_header = owner.header();
    EXPECT_EQ(code(rig.run(rig->sign_single(before->request))), Errc::NonceReplayed) << "the approval, after both restarts";
    const auto after = owner.signing();
    owner.expect_signature(*after, rig.run(rig->sign_single(after->request)));
    // A reservation that was acknowledged is there too.
    Owner reserved(rig);
    reserved.reserve();
    rig.crash();
    rig.start();
    rig.wait_healthy(2);
    EXPECT_TRUE(rig.run(rig->generate_key(reserved.generation())).has_value());
}

TEST_F(EngineKeys, ABatchHasAResultOrAnErrorForEachItem) {
    Owner owner(rig);
    owner.ready();
    Owner other(rig);
    other.ready();
    std::vector<std::unique_ptr<Owner::Signing>> all;
    std::vector<engine::SignSingle> requests;
    for (int i = 0; i < 40; ++i) {
        const Owner& who = i % 2 == 0 ? owner : other;
        all.push_back(who.signing(i % 3 == 0 ? SignatureType::SchnorrBip340 : SignatureType::Ecdsa));
        requests.push_back(all.back()->request);
    }
    requests[7].approval_signature[0] ^= 1;
    requests[8] = requests[4];
    requests[9].key_id = KeyId(fresh_user_id());
    const auto run = [&]() -> Async<Result<std::vector<Result<engine::SingleSigningView>>>> {
        return [](engine::Engine& engine, std::vector<engine::SignSingle> items) -> Async<Result<std::vector<Result<engine::SingleSigningView>>>> {
            auto results = co_await engine.sign_batch(std::move(items));
            co_return results;
        }(*rig, requests);
    };
    const auto results = rig.run(run());
    ASSERT_EQ(results->size(), requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const auto& result = (*results)[i];
        if (i == 7)
            EXPECT_EQ(code(result), Errc::AuthFailed);
        else if (i == 8)
            EXPECT_EQ(code(result), Errc::NonceReplayed);
        else if (i == 9)
            EXPECT_EQ(code(result), Errc::NotFound);
        else
            (i % 2 == 0 ? owner : other).expect_signature(*all[i], result);
    }
}

TEST_F(EngineKeys, KeepsOnesOwnKeyOfACompletedKeygen) {
    Party party(rig, {.participants = 2});
    const auto keygen = party.complete();
    Owner owner(rig, party.users[1], bitcoin::derive_auth_key(party.keys[1]).value());
    owner.reserve();
    engine::KeepKey request;
    request.keygen_id = party.id;
    request.user_id = owner.user;
    request.id = owner.id;
    request.session_header = party.session_header(1);
    request.user_header = crypto::make_user_signature(party.keys[0], owner.id, owner.user, crypto::make_header_nonce()).value();
    EXPECT_EQ(code(rig.run(rig->keep_key(request))), Errc::AuthFailed);
    request.session_header = party.session_header(0);
    request.user_header = owner.header();
    EXPECT_EQ(code(rig.run(rig->keep_key(request))), Errc::AuthFailed);
    // The enclave has to be given the keygen back first.
    const std::uint32_t slot = 1;
    signers.kill(slot);
    signers.start(slot);
    request.session_header = party.session_header(1);
    request.user_header = owner.header();
    const auto kept = rig.run(rig->keep_key(request));
    ASSERT_TRUE(kept.has_value()) << errc_name(kept.error().code) << ": " << kept.error().detail;
    EXPECT_EQ(kept->public_key, party.keys[1].public_key().bytes());
    EXPECT_EQ(kept->enclave_id, slot);
    EXPECT_EQ(code(rig.run(rig->keep_key(request))), Errc::NonceReplayed);
    // Which nonces were used is told to nobody without the session's secret.
    auto forged = request;
    char& last = forged.session_header.back();
    last = last == '0' ? '1' : '0';
    EXPECT_EQ(code(rig.run(rig->keep_key(forged))), Errc::AuthFailed);
    owner.public_key = party.keys[1].public_key();
    owner.enclave_key = crypto::PlainPubKey::parse(party.enclave_key(slot)).value();
    const auto signing = owner.signing();
    owner.expect_signature(*signing, rig.run(rig->sign_single(signing->request)));
    const auto keys = rig.run(rig->list_keys(owner.request()));
    ASSERT_TRUE(keys.has_value());
    EXPECT_EQ(keys->front().origin_keygen, party.id);
    // The session signs as before.
    const auto message = some_message(7);
    const auto session = rig.run(rig->create_signing(party.signing(message)));
    ASSERT_TRUE(session.has_value());
    party.expect_signature(party.outcome(session->id), keygen, message);
}

} // namespace
} // namespace keymeld::test
