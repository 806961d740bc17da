// What the enclave makes of single keys, and what it refuses (rest-keys.md).
#include "core/base/hex.h"
#include "tests/support/key_owner.h"
#include "tests/unit/enclave/signer_fixture.h"

namespace keymeld::test {
namespace {

using bitcoin::SignatureType;
using bitcoin::TweakType;

class SingleKeys : public SignerTest {
  protected:
    KeyOwner owner{first};

    wire::Response signs(KeyOwner& who, KeySigning& signing) { return who.send(who.sign(signing)); }
};

// ---- What it does ----

TEST_F(SingleKeys, SignsByBothSchemesAndForTaprootOutputs) {
    owner.ready();
    ByteArray<32> root{};
    root.fill(7);
    for (const auto& [type, tweak] :
         {std::pair{SignatureType::Ecdsa, bitcoin::TweakConfig{}},
          std::pair{SignatureType::SchnorrBip340, bitcoin::TweakConfig{}},
          std::pair{SignatureType::SchnorrBip340,
                    bitcoin::TweakConfig{TweakType::UnspendableTaproot, {}}},
          std::pair{SignatureType::SchnorrBip340,
                    bitcoin::TweakConfig{TweakType::TaprootWithMerkleRoot, root}}}) {
        KeySigning signing;
        signing.type = type;
        signing.tweak = tweak;
        const wire::Response response = signs(owner, signing);
        ASSERT_TRUE(succeeded(response));
        EXPECT_TRUE(owner.verifies(response, signing));
    }
    EXPECT_EQ(first.signer().counters().signatures, 4u);
}

TEST_F(SingleKeys, ImportedKeySignsAsTheVectorsOfItsScheme) {
    // BIP-340, vector 1: the key. Its signatures need given auxiliary bytes, so only the public key
    // can be compared; ECDSA by RFC 6979 is one value for each (key, digest).
    const auto key =
        crypto::SecretKey::parse(
            hex_decode("B7E151628AED2A6ABF7158809CF4F3C762E7160F38B4DA56A784D9045190CFEF").value())
            .value();
    const wire::Response imported = owner.send(owner.import(key));
    ASSERT_TRUE(succeeded(imported));
    owner.public_key =
        crypto::PlainPubKey::parse(as_bytes(imported.import_key().public_key())).value();
    EXPECT_EQ(hex_encode(owner.public_key->x_coordinate()),
              "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659");
    KeySigning signing;
    signing.type = SignatureType::SchnorrBip340;
    const wire::Response response = signs(owner, signing);
    EXPECT_TRUE(owner.verifies(response, signing));

    // RFC 6979 on secp256k1 with SHA-256, key 1, message "Satoshi Nakamoto": known since Bitcoin's
    // wallets agreed on it.
    KeyOwner one(second);
    ByteArray<32> scalar{};
    scalar[31] = 1;
    const wire::Response imported_one =
        one.send(one.import(crypto::SecretKey::parse(scalar).value()));
    ASSERT_TRUE(succeeded(imported_one));
    one.public_key =
        crypto::PlainPubKey::parse(as_bytes(imported_one.import_key().public_key())).value();
    KeySigning satoshi;
    satoshi.digest = crypto::sha256(as_bytes("Satoshi Nakamoto"));
    const wire::Response signed_one = signs(one, satoshi);
    ASSERT_TRUE(succeeded(signed_one));
    const auto plain = crypto::binary_data_open(satoshi.secret, crypto::BinaryContext::Signature,
                                                signed_one.sign_single().encrypted_signature());
    ASSERT_TRUE(plain.has_value());
    EXPECT_EQ(hex_encode(plain->expose()),
              "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
              "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5");
}

TEST_F(SingleKeys, GeneratedKeyIsVouchedForUnderTheClientsSecret) {
    const auto secret = secure::random_secret<32>();
    wire::Request request = owner.generate(2);
    request.mutable_generate_key()->set_encrypted_tag_key(owner.encrypt(secret.expose()));
    const wire::Response response = owner.send(request);
    ASSERT_TRUE(succeeded(response));
    const auto key =
        crypto::PlainPubKey::parse(as_bytes(response.generate_key().public_key())).value();
    EXPECT_EQ(response.generate_key().key_tag(),
              raw(bitcoin::key_tag(secret, owner.id, owner.user, owner.auth.public_key(), key,
                                   {false, true})));
    // The same command again: the same key. Another id: another key.
    request.mutable_generate_key()->set_user_header(owner.header());
    EXPECT_EQ(owner.send(request).generate_key().public_key(),
              response.generate_key().public_key());
    KeyOwner other(first);
    EXPECT_NE(*other.ready().public_key, key);
}

TEST_F(SingleKeys, TheSameCommandGivesTheSameSignatureAndNoOtherCommandDoes) {
    owner.ready();
    KeySigning signing;
    const wire::Request request = owner.sign(signing);
    ASSERT_TRUE(owner.verifies(owner.send(request), signing));
    first.reconnect(); // the answer was lost with the stream
    EXPECT_TRUE(owner.verifies(owner.send(request), signing));
    wire::Request other = request;
    other.mutable_sign_single()->set_signing_id(raw(random_signing().bytes));
    EXPECT_TRUE(refused_with(owner.send(other), Errc::NonceReplayed))
        << "header and approval again";
    other.mutable_sign_single()->set_user_header(owner.header());
    EXPECT_TRUE(refused_with(owner.send(other), Errc::NonceReplayed)) << "the approval again";
    KeySigning fresh;
    wire::Request borrowed = owner.sign(fresh);
    borrowed.mutable_sign_single()->set_user_header(request.sign_single().user_header());
    EXPECT_TRUE(refused_with(owner.send(borrowed), Errc::NonceReplayed)) << "the header again";
    EXPECT_TRUE(owner.verifies(owner.send(owner.sign(fresh)), fresh))
        << "the approval was not used up";
}

TEST_F(SingleKeys, KeepsAParticipantsKeyForItsOwnerAlone) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    const auto auth = bitcoin::derive_auth_key(keygen.participant(0).key).value();
    KeyOwner kept(first);
    kept.user = keygen.participant(0).id;
    kept.auth = auth.clone();
    wire::Request request;
    wire::KeepKey& command = *request.mutable_keep_key();
    command.set_keygen_id(raw(keygen.id().bytes));
    command.set_user_id(raw(kept.user.bytes));
    command.set_key_id(raw(kept.id.bytes));
    // Who knows the session secret, as every participant does, does not have this one's key.
    command.set_session_header(keygen.session_header(0));
    command.set_user_header(crypto::make_user_signature(keygen.participant(1).key, kept.id,
                                                        kept.user, crypto::make_header_nonce())
                                .value());
    EXPECT_TRUE(refused_with(first.call(request), Errc::AuthFailed));
    command.set_session_header(keygen.session_header(1));
    command.set_user_header(kept.header());
    EXPECT_TRUE(refused_with(first.call(request), Errc::AuthFailed))
        << "another participant's session header";
    command.set_session_header(keygen.session_header(0));
    command.set_user_header(kept.header());
    const wire::Response response = first.call(request);
    ASSERT_TRUE(succeeded(response));
    EXPECT_EQ(response.keep_key().public_key(),
              raw(keygen.participant(0).key.public_key().bytes()));
    EXPECT_EQ(response.keep_key().auth_pubkey(), raw(auth.public_key().bytes()));
    kept.public_key = keygen.participant(0).key.public_key();
    KeySigning signing;
    EXPECT_TRUE(kept.verifies(signs(kept, signing), signing));
    gateway.sign(keygen, gateway.start_signing(keygen)); // and the session is as it was
    command.set_user_id(raw(keygen.participant(1).id.bytes));
    EXPECT_TRUE(refused_with(first.call(request), Errc::NotAParticipant))
        << "the slot is at another enclave";
}

// ---- What it refuses ----

TEST_F(SingleKeys, HeadersOfOthersAndOfOtherScopes) {
    owner.ready();
    KeyOwner stranger(first);
    stranger.ready();
    KeySigning signing;
    const auto with = [&](std::string header) {
        wire::Request request = owner.sign(signing);
        request.mutable_sign_single()->set_user_header(std::move(header));
        return owner.send(request);
    };
    EXPECT_TRUE(refused_with(with(""), Errc::AuthMissing));
    EXPECT_TRUE(refused_with(with("00:11"), Errc::AuthMalformed));
    EXPECT_TRUE(refused_with(with(std::string(600, 'a')), Errc::AuthMalformed));
    EXPECT_TRUE(refused_with(with(stranger.header(owner.id)), Errc::AuthFailed));
    EXPECT_TRUE(refused_with(with(owner.header(stranger.id)), Errc::AuthFailed));
    EXPECT_TRUE(refused_with(with(owner.header(signing.id)), Errc::AuthFailed))
        << "scope of a status request";
    wire::Request foreign = owner.sign(signing);
    foreign.mutable_sign_single()->set_key_id(raw(stranger.id.bytes));
    EXPECT_TRUE(refused_with(owner.send(foreign), Errc::AuthFailed));
    foreign = owner.sign(signing);
    foreign.mutable_sign_single()->set_user_id(raw(stranger.user.bytes));
    EXPECT_TRUE(refused_with(owner.send(foreign), Errc::AuthFailed));
    foreign.mutable_sign_single()->set_key_id(raw(random_key_id().bytes));
    EXPECT_TRUE(refused_with(owner.send(foreign), Errc::StateUnknown));

    EXPECT_TRUE(succeeded(owner.send(owner.authenticate(owner.id))));
    EXPECT_TRUE(succeeded(owner.send(owner.authenticate(signing.id))));
    wire::Request read = owner.authenticate(owner.id);
    read.mutable_authenticate_key()->set_scope(raw(signing.id.bytes));
    EXPECT_TRUE(refused_with(owner.send(read), Errc::AuthFailed));
}

TEST_F(SingleKeys, AHeaderServesOneRequest) {
    owner.ready();
    wire::Request read = owner.authenticate(owner.id);
    ASSERT_TRUE(succeeded(owner.send(read)));
    EXPECT_TRUE(refused_with(owner.send(read), Errc::NonceReplayed));
    const std::string used = read.authenticate_key().user_header();
    KeySigning signing;
    wire::Request request = owner.sign(signing);
    request.mutable_sign_single()->set_user_header(used);
    EXPECT_TRUE(refused_with(owner.send(request), Errc::NonceReplayed))
        << "a read is no request to sign";
    wire::Request removal = owner.remove();
    removal.mutable_delete_key()->set_user_header(used);
    EXPECT_TRUE(refused_with(owner.send(removal), Errc::NonceReplayed)) << "nor one to delete";
    request = owner.sign(signing);
    ASSERT_TRUE(succeeded(owner.send(request)));
    removal.mutable_delete_key()->set_user_header(request.sign_single().user_header());
    EXPECT_TRUE(refused_with(owner.send(removal), Errc::NonceReplayed));
}

TEST_F(SingleKeys, ApprovalsAreTheOwnersForThisMessageNow) {
    owner.ready();
    const std::uint64_t now = first.unix_seconds();
    const auto at = [&](std::uint64_t timestamp) {
        KeySigning signing;
        signing.timestamp = timestamp;
        return owner.send(owner.sign(signing));
    };
    EXPECT_TRUE(succeeded(at(now)));
    EXPECT_TRUE(succeeded(at(now - 300)));
    EXPECT_TRUE(refused_with(at(now - 301), Errc::ApprovalExpired));
    EXPECT_TRUE(succeeded(at(now + 5)));
    EXPECT_TRUE(refused_with(at(now + 6), Errc::ApprovalExpired));
    EXPECT_TRUE(refused_with(at(std::numeric_limits<std::uint64_t>::max()), Errc::ApprovalExpired));

    KeySigning signing;
    const wire::Request good = owner.sign(signing);
    const auto changed = [&](auto&& change) {
        wire::Request request = good;
        request.mutable_sign_single()->set_user_header(owner.header());
        change(*request.mutable_sign_single());
        return owner.send(request);
    };
    EXPECT_TRUE(
        refused_with(changed([](auto& r) { r.set_approval_timestamp(r.approval_timestamp() - 1); }),
                     Errc::AuthFailed));
    KeySigning other;
    EXPECT_TRUE(refused_with(changed([&](auto& r) {
                                 r.set_encrypted_message(
                                     owner.sign(other).sign_single().encrypted_message());
                             }),
                             Errc::AuthFailed));
    EXPECT_TRUE(refused_with(changed([](auto& r) { r.mutable_approval_signature()->back() ^= 1; }),
                             Errc::AuthFailed));
    EXPECT_TRUE(refused_with(changed([](auto& r) { r.clear_approval_signature(); }),
                             Errc::InvalidArgument));
    // A tweak cannot be added to, changed in or taken from an approved request.
    EXPECT_TRUE(refused_with(changed([](auto& r) {
                                 r.set_type(wire::SCHNORR_BIP340);
                                 r.mutable_tweak()->set_type(
                                     wire::TweakConfig::UNSPENDABLE_TAPROOT);
                             }),
                             Errc::AuthFailed));
    EXPECT_TRUE(succeeded(changed([](auto&) {}))) << "nothing of this used it up";
}

TEST_F(SingleKeys, WhatIsNotAllowedOrDoesNotOpen) {
    owner.ready(1);
    KeySigning schnorr;
    schnorr.type = SignatureType::SchnorrBip340;
    EXPECT_TRUE(refused_with(signs(owner, schnorr), Errc::NotPermitted));
    KeyOwner only_schnorr(first);
    only_schnorr.ready(2);
    KeySigning ecdsa;
    EXPECT_TRUE(refused_with(signs(only_schnorr, ecdsa), Errc::NotPermitted));

    KeySigning signing;
    const auto changed = [&](auto&& change) {
        wire::Request request = owner.sign(signing);
        change(*request.mutable_sign_single());
        owner.approve(*request.mutable_sign_single());
        return owner.send(request);
    };
    KeyOwner elsewhere(second);
    const std::string foreign = elsewhere.encrypt(signing.secret.expose());
    EXPECT_TRUE(refused_with(changed([&](auto& r) { r.set_encrypted_session_secret(foreign); }),
                             Errc::WrongEnclave));
    EXPECT_TRUE(refused_with(changed([&](auto& r) { r.set_encrypted_session_secret("short"); }),
                             Errc::WrongEnclave));
    const auto other_secret = secure::random_secret<32>();
    EXPECT_TRUE(refused_with(changed([&](auto& r) {
                                 r.set_encrypted_session_secret(
                                     owner.encrypt(other_secret.expose()));
                             }),
                             Errc::MessageMismatch));
    const auto sealed = [&](crypto::BinaryContext context, std::string_view text) {
        return crypto::binary_data_seal(signing.secret, context, as_bytes(text));
    };
    const std::string hex = hex_encode(signing.digest);
    using crypto::BinaryContext;
    for (const std::string& message :
         {std::string("zz"), std::string(9000, '0'), sealed(BinaryContext::Signature, hex),
          sealed(BinaryContext::SessionData, hex.substr(1)),
          sealed(BinaryContext::SessionData, std::string(64, 'g'))})
        EXPECT_TRUE(refused_with(changed([&](auto& r) { r.set_encrypted_message(message); }),
                                 Errc::MessageMismatch))
            << message.substr(0, 20);
    EXPECT_TRUE(
        refused_with(changed([](auto& r) { r.set_type(static_cast<wire::SignatureType>(2)); }),
                     Errc::InvalidArgument));
    EXPECT_TRUE(refused_with(changed([](auto& r) {
                                 r.mutable_tweak()->set_type(
                                     wire::TweakConfig::UNSPENDABLE_TAPROOT);
                             }),
                             Errc::InvalidArgument))
        << "ECDSA has no taproot";
    EXPECT_TRUE(refused_with(changed([](auto& r) {
                                 r.set_type(wire::SCHNORR_BIP340);
                                 r.mutable_tweak()->set_type(wire::TweakConfig::X_ONLY_TWEAK);
                             }),
                             Errc::InvalidArgument));
    EXPECT_TRUE(owner.verifies(changed([](auto&) {}), signing));
}

TEST_F(SingleKeys, ImportRules) {
    const auto key = crypto::SecretKey::generate();
    const wire::Request good = owner.import(key);
    const auto changed = [&](auto&& change) {
        wire::Request request = good;
        request.mutable_import_key()->set_user_header(owner.header());
        change(*request.mutable_import_key());
        return owner.send(request);
    };
    EXPECT_TRUE(refused_with(
        changed([&](auto& r) { r.set_enclave_public_key(raw(second.public_key().bytes())); }),
        Errc::WrongEnclave));
    EXPECT_TRUE(refused_with(changed([](auto& r) { r.set_ecies_aad(false); }), Errc::WrongEnclave));
    EXPECT_TRUE(
        refused_with(changed([](auto& r) { r.set_user_header("x"); }), Errc::AuthMalformed));
    // With ecies_aad nobody can put an authentication key of his own to the blob.
    KeyOwner thief(first);
    thief.id = owner.id;
    thief.user = owner.user;
    EXPECT_TRUE(refused_with(changed([&](auto& r) {
                                 r.set_auth_pubkey(raw(thief.auth.public_key().bytes()));
                                 r.set_user_header(thief.header());
                             }),
                             Errc::WrongEnclave));
    EXPECT_TRUE(refused_with(
        changed([&](auto& r) {
            ByteArray<32> zero{};
            r.set_encrypted_private_key(owner.encrypt(
                zero, bitcoin::import_aad(owner.id, owner.user, owner.auth.public_key())));
        }),
        Errc::KeyMismatch));
    ASSERT_TRUE(succeeded(changed([](auto&) {})));
    EXPECT_TRUE(succeeded(changed([](auto&) {}))) << "the same again";
    EXPECT_TRUE(refused_with(owner.send(owner.import(key)), Errc::DuplicateId)) << "another blob";
    EXPECT_TRUE(refused_with(owner.send(owner.generate()), Errc::DuplicateId));
    // A blob serves one key, whoever brings it: also one that came with a keygen registration.
    KeyOwner plain(first);
    const wire::Request unbound = plain.import(key, false);
    ASSERT_TRUE(succeeded(plain.send(unbound)));
    KeyOwner copy(first);
    wire::Request copied = copy.import(key, false);
    copied.mutable_import_key()->set_encrypted_private_key(
        unbound.import_key().encrypted_private_key());
    EXPECT_TRUE(refused_with(copy.send(copied), Errc::BlobReused));
    TestKeygen keygen = ready({.slots = {0, 0}});
    copied.mutable_import_key()->set_user_header(copy.header());
    copied.mutable_import_key()->set_encrypted_private_key(
        keygen.registering[0].encrypted_private_key());
    EXPECT_TRUE(refused_with(copy.send(copied), Errc::BlobReused));
}

TEST_F(SingleKeys, GenerateRules) {
    EXPECT_TRUE(refused_with(owner.send(owner.generate(0)), Errc::InvalidArgument));
    EXPECT_TRUE(refused_with(owner.send(owner.generate(4)), Errc::InvalidArgument));
    wire::Request request = owner.generate();
    request.mutable_generate_key()->set_auth_pubkey(std::string(33, 'x'));
    EXPECT_TRUE(refused_with(owner.send(request), Errc::InvalidPoint));
    request = owner.generate();
    request.mutable_generate_key()->set_key_id("short");
    EXPECT_TRUE(refused_with(owner.send(request), Errc::InvalidArgument));
    request = owner.generate();
    KeyOwner stranger(first);
    request.mutable_generate_key()->set_user_header(stranger.header(owner.id));
    EXPECT_TRUE(refused_with(owner.send(request), Errc::AuthFailed));
    request = owner.generate();
    request.mutable_generate_key()->set_encrypted_tag_key("not for this enclave");
    EXPECT_TRUE(refused_with(owner.send(request), Errc::WrongEnclave));
    EXPECT_TRUE(succeeded(owner.send(owner.generate()))) << "nothing was left";
}

// ---- Restarts ----

TEST_F(SingleKeys, SurvivesARestartWithItsUsedApprovals) {
    owner.ready();
    KeySigning before;
    const wire::Request used = owner.sign(before);
    ASSERT_TRUE(owner.verifies(owner.send(used), before));
    first.restart();
    KeySigning after;
    EXPECT_TRUE(refused_with(signs(owner, after), Errc::StateUnknown));
    ASSERT_TRUE(succeeded(first.call(owner.restore())));
    EXPECT_TRUE(refused_with(owner.send(used), Errc::NonceReplayed)) << "the very same request";
    wire::Request again = used;
    again.mutable_sign_single()->set_user_header(owner.header());
    EXPECT_TRUE(refused_with(owner.send(again), Errc::NonceReplayed)) << "its approval";
    wire::Request borrowed = owner.sign(after);
    borrowed.mutable_sign_single()->set_user_header(used.sign_single().user_header());
    EXPECT_TRUE(refused_with(owner.send(borrowed), Errc::NonceReplayed)) << "its header";
    EXPECT_TRUE(owner.verifies(signs(owner, after), after));
    EXPECT_TRUE(owner.stored.front().snapshot());
}

TEST_F(SingleKeys, ForgottenApprovalsAreTooOldWhateverTheClockSays) {
    LocalEnclave small(pki, {.limits = {.max_approvals_per_key = 2}});
    KeyOwner busy(small);
    busy.ready();
    const std::uint64_t start = small.unix_seconds();
    std::vector<wire::Request> used;
    for (std::uint64_t i = 0; i < 3; ++i) {
        KeySigning signing;
        signing.timestamp = start - 10 + i;
        used.push_back(busy.sign(signing));
        ASSERT_TRUE(busy.verifies(busy.send(used.back()), signing));
    }
    for (const bool restarted : {false, true}) {
        if (restarted) {
            small.restart();
            ASSERT_TRUE(succeeded(small.call(busy.restore())));
        }
        for (wire::Request& request : used) {
            request.mutable_sign_single()->set_user_header(busy.header());
            request.mutable_sign_single()->set_signing_id(raw(random_signing().bytes));
        }
        EXPECT_TRUE(busy.send(used[0]).has_failure()) << "forgotten, so refused by its time";
        EXPECT_TRUE(refused_with(busy.send(used[2]), Errc::NonceReplayed));
        KeySigning old;
        old.timestamp = start - 10;
        EXPECT_TRUE(refused_with(busy.send(busy.sign(old)), Errc::ApprovalExpired));
    }
}

TEST_F(SingleKeys, ManySignaturesAreSnapshotsAndDeltasThatRestore) {
    owner.ready();
    std::size_t snapshots = 0;
    std::vector<wire::Request> used;
    for (int i = 0; i < 150; ++i) {
        KeySigning signing;
        used.push_back(owner.sign(signing));
        const wire::Response response = owner.send(used.back());
        ASSERT_TRUE(owner.verifies(response, signing));
        snapshots += response.sign_single().sealed().snapshot() ? 1u : 0u;
    }
    EXPECT_GE(snapshots, 1u);
    EXPECT_LE(snapshots, 4u);
    first.restart();
    ASSERT_TRUE(succeeded(first.call(owner.restore())));
    for (const wire::Request& request : used)
        EXPECT_TRUE(refused_with(first.call(request), Errc::NonceReplayed));
    // What cannot be presented any more need not be remembered.
    first.advance(std::chrono::seconds(400));
    KeySigning late;
    ASSERT_TRUE(succeeded(signs(owner, late)));
    first.reconnect();
    KeySigning last;
    const wire::Response response = signs(owner, last);
    ASSERT_TRUE(response.sign_single().sealed().snapshot());
    EXPECT_LT(response.sign_single().sealed().blob().size(), 400u);
}

TEST_F(SingleKeys, SealedStateIsForThisEnclaveKeyAndOrderOnly) {
    owner.ready();
    KeySigning signing;
    ASSERT_TRUE(succeeded(signs(owner, signing)));
    KeySigning next;
    ASSERT_TRUE(succeeded(signs(owner, next)));
    ASSERT_EQ(owner.stored.size(), 3u);
    const wire::Request honest = owner.restore();
    const auto changed = [&](auto&& change) {
        wire::Request request = honest;
        change(*request.mutable_restore_key());
        return request;
    };
    first.restart();
    EXPECT_TRUE(refused_with(second.call(honest), Errc::SealBroken));
    EXPECT_TRUE(
        refused_with(first.call(changed([](auto& r) { r.set_key_id(raw(random_key_id().bytes)); })),
                     Errc::SealBroken));
    EXPECT_TRUE(refused_with(
        first.call(changed([](auto& r) { r.mutable_updates()->DeleteSubrange(1, 1); })),
        Errc::SealBroken));
    EXPECT_TRUE(refused_with(
        first.call(changed([](auto& r) { r.mutable_updates(0)->mutable_blob()->back() ^= 1; })),
        Errc::SealBroken));
    EXPECT_TRUE(
        refused_with(first.call(changed([](auto& r) { r.clear_updates(); })), Errc::SealBroken));
    // State of a keygen session is no state of a key, and the other way round, even under one id.
    wire::Request as_keygen;
    as_keygen.mutable_restore()->set_keygen_id(raw(owner.id.bytes));
    *as_keygen.mutable_restore()->mutable_updates() = honest.restore_key().updates();
    EXPECT_TRUE(refused_with(first.call(as_keygen), Errc::SealBroken));
    EXPECT_TRUE(succeeded(first.call(honest)));
    EXPECT_TRUE(succeeded(first.call(honest))) << "again, which changes nothing";
}

TEST_F(SingleKeys, AnOlderVersionDoesNotComeBackWithinOneLife) {
    LocalEnclave small(pki, {.limits = {.max_single_keys = 1}});
    KeyOwner one(small);
    one.ready();
    const wire::Request old = one.restore();
    KeySigning signing;
    ASSERT_TRUE(succeeded(one.send(one.sign(signing))));
    KeyOwner two(small);
    two.ready(); // puts the first out
    EXPECT_TRUE(refused_with(small.call(old), Errc::StateRolledBack));
    KeySigning next;
    EXPECT_TRUE(refused_with(one.send(one.sign(next)), Errc::StateUnknown));
    EXPECT_TRUE(refused_with(one.send(one.generate()), Errc::StateUnknown))
        << "no new key under a known id";
    ASSERT_TRUE(succeeded(small.call(one.restore())));
    EXPECT_TRUE(one.verifies(one.send(one.sign(next)), next));
}

TEST_F(SingleKeys, ADeletedKeyIsGoneForGood) {
    owner.ready();
    KeySigning signing;
    ASSERT_TRUE(succeeded(signs(owner, signing)));
    KeyOwner stranger(first);
    stranger.ready();
    wire::Request removal = owner.remove();
    removal.mutable_delete_key()->set_user_header(stranger.header(owner.id));
    EXPECT_TRUE(refused_with(owner.send(removal), Errc::AuthFailed));
    ASSERT_TRUE(succeeded(owner.send(owner.remove())));
    KeySigning next;
    EXPECT_TRUE(refused_with(signs(owner, next), Errc::NotFound));
    EXPECT_TRUE(refused_with(owner.send(owner.remove()), Errc::NotFound));
    EXPECT_TRUE(refused_with(first.call(owner.restore()), Errc::StateRolledBack));
    EXPECT_TRUE(refused_with(owner.send(owner.generate()), Errc::DuplicateId));
    KeySigning other;
    EXPECT_TRUE(stranger.verifies(stranger.send(stranger.sign(other)), other));
}

} // namespace
} // namespace keymeld::test
