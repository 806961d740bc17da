// What the enclave refuses when a session is opened, joined, registered for and completed.
#include "core/crypto/auth_header.h"
#include "core/secure/secret_hex.h"
#include "tests/unit/enclave/signer_fixture.h"

namespace keymeld::test {
namespace {

class KeygenRules : public SignerTest {
  protected:
    /// A session that is open and joined, nobody registered.
    TestKeygen opened(const KeygenSetup& setup) {
        TestKeygen keygen(gateway.enclaves(), setup);
        const wire::Response open = gateway.ask(keygen.enclaves().front(), keygen.open());
        EXPECT_TRUE(succeeded(open));
        for (const std::size_t enclave : keygen.enclaves())
            if (enclave != keygen.enclaves().front()) {
                EXPECT_TRUE(
                    succeeded(gateway.ask(enclave, keygen.join(enclave, open.open_keygen()))));
            }
        return keygen;
    }
    wire::Registration registered(TestKeygen& keygen, std::size_t i) {
        const wire::Response response =
            gateway.ask(keygen.enclave_of(i), keygen.register_participant(i));
        EXPECT_TRUE(succeeded(response));
        return response.register_().registration();
    }
    std::vector<wire::Registration> all_registered(TestKeygen& keygen) {
        std::vector<wire::Registration> out;
        for (std::size_t i = 0; i < keygen.size(); ++i)
            out.push_back(registered(keygen, i));
        return out;
    }
};

// ---- Open ----

TEST_F(KeygenRules, ParticipantListRules) {
    const auto refused = [&](auto&& change) {
        TestKeygen keygen(gateway.enclaves(), {.slots = {0, 0, 0}});
        wire::Request request = keygen.open();
        change(*request.mutable_open_keygen()->mutable_params());
        return refused_with(gateway.send(0, request), Errc::InvalidArgument);
    };
    EXPECT_TRUE(refused([](wire::KeygenParams& p) { p.clear_expected_participants(); }));
    EXPECT_TRUE(refused([](wire::KeygenParams& p) {
        p.mutable_expected_participants()->DeleteSubrange(1, 2);
        p.mutable_slot_enclaves()->DeleteSubrange(1, 2);
    }));
    EXPECT_TRUE(refused(
        [](wire::KeygenParams& p) { p.set_expected_participants(2, p.expected_participants(1)); }));
    EXPECT_TRUE(refused([](wire::KeygenParams& p) { p.set_expected_participants(1, "short"); }));
    EXPECT_TRUE(refused([](wire::KeygenParams& p) { p.mutable_slot_enclaves()->RemoveLast(); }));
    EXPECT_TRUE(refused([](wire::KeygenParams& p) { p.add_slot_enclaves(p.slot_enclaves(0)); }));
    EXPECT_TRUE(
        refused([](wire::KeygenParams& p) { p.set_slot_enclaves(1, std::string(32, 'x')); }));
    EXPECT_TRUE(
        refused([](wire::KeygenParams& p) { p.set_key_order(static_cast<wire::KeyOrder>(2)); }));
    EXPECT_TRUE(refused([](wire::KeygenParams& p) {
        p.mutable_tweak()->set_type(static_cast<wire::TweakConfig::Type>(5));
    }));
    EXPECT_TRUE(
        refused([](wire::KeygenParams& p) { p.mutable_tweak()->set_value(std::string(32, 'x')); }));
    EXPECT_TRUE(refused([](wire::KeygenParams& p) {
        for (int i = 0; i < 998; ++i) {
            p.add_expected_participants(raw(random_user().bytes));
            p.add_slot_enclaves(p.slot_enclaves(0));
        }
    }));
}

TEST_F(KeygenRules, TweakScalarMustBeBelowTheGroupOrder) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 0}});
    wire::Request request = keygen.open();
    auto& tweak = *request.mutable_open_keygen()->mutable_params()->mutable_tweak();
    tweak.set_value(std::string(32, '\xff'));
    for (const auto type : {wire::TweakConfig::PLAIN_TWEAK, wire::TweakConfig::X_ONLY_TWEAK}) {
        tweak.set_type(type);
        const wire::Response response = gateway.send(0, request);
        EXPECT_TRUE(refused_with(response, Errc::InvalidScalar));
        EXPECT_EQ(response.failure().pointer(), "/taproot_tweak_config/tweak");
    }
}

TEST_F(KeygenRules, OpeningNeedsTheFirstSlot) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1}});
    EXPECT_TRUE(refused_with(gateway.send(1, keygen.open()), Errc::InvalidArgument));
}

TEST_F(KeygenRules, NoHandoverToAnEnclaveThatWasNotIntroduced) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1, 2}});
    wire::Response response = gateway.send(0, keygen.open());
    EXPECT_TRUE(refused_with(response, Errc::PeerUnknown));
    EXPECT_EQ(response.failure().peer_public_key(), raw(second.public_key().bytes()));
    gateway.introduce(1, 0);
    response = gateway.send(0, keygen.open());
    EXPECT_TRUE(refused_with(response, Errc::PeerUnknown));
    EXPECT_EQ(response.failure().peer_public_key(), raw(third.public_key().bytes()));
    gateway.introduce(2, 0);
    EXPECT_TRUE(succeeded(gateway.send(0, keygen.open())));
}

TEST_F(KeygenRules, BlobsThatDoNotOpen) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 0}});
    const auto refused = [&](auto&& change, Errc code, const char* pointer) {
        wire::Request request = keygen.open();
        change(*request.mutable_open_keygen());
        const wire::Response response = gateway.send(0, request);
        EXPECT_EQ(response.failure().pointer(), pointer);
        return refused_with(response, code);
    };
    constexpr const char* kKey = "/coordinator_encrypted_private_key";
    constexpr const char* kSecret = "/encrypted_session_secret";
    const auto flip = [](std::string* blob, std::size_t at) {
        (*blob)[at] = static_cast<char>((*blob)[at] ^ 1);
    };
    EXPECT_TRUE(refused([&](auto& o) { flip(o.mutable_coordinator_encrypted_private_key(), 60); },
                        Errc::WrongEnclave, kKey));
    EXPECT_TRUE(refused([&](auto& o) { o.set_coordinator_encrypted_private_key("short"); },
                        Errc::WrongEnclave, kKey));
    EXPECT_TRUE(
        refused([&](auto& o) { o.mutable_coordinator_encrypted_private_key()->push_back('x'); },
                Errc::WrongEnclave, kKey));
    EXPECT_TRUE(refused(
        [&](auto& o) {
            o.set_coordinator_encrypted_private_key(
                raw(keygen.encrypt(1, keygen.participant(0).key.expose())));
        },
        Errc::WrongEnclave, kKey));
    EXPECT_TRUE(refused([&](auto& o) { flip(o.mutable_encrypted_session_secret(), 100); },
                        Errc::WrongEnclave, kSecret));
    EXPECT_TRUE(refused(
        [&](auto& o) {
            o.set_encrypted_session_secret(raw(keygen.encrypt(0, keygen.secret().expose())));
        },
        Errc::WrongEnclave, kSecret));
    const std::string no_hex(64, 'g');
    EXPECT_TRUE(refused(
        [&](auto& o) { o.set_encrypted_session_secret(raw(keygen.encrypt(0, as_bytes(no_hex)))); },
        Errc::ValidationFailed, kSecret));
    EXPECT_TRUE(refused(
        [&](auto& o) {
            o.set_coordinator_pubkey(raw(keygen.participant(1).key.public_key().bytes()));
        },
        Errc::KeyMismatch, "/coordinator_pubkey"));
    EXPECT_TRUE(refused([&](auto& o) { o.set_coordinator_pubkey(std::string(33, '\x05')); },
                        Errc::InvalidPoint, "/coordinator_pubkey"));
    const Bytes zero(32, 0);
    EXPECT_TRUE(refused(
        [&](auto& o) { o.set_coordinator_encrypted_private_key(raw(keygen.encrypt(0, zero))); },
        Errc::KeyMismatch, "/coordinator_pubkey"));
    // Nothing was bound or created by what was refused.
    EXPECT_TRUE(succeeded(gateway.send(0, keygen.open())));
}

TEST_F(KeygenRules, OpeningAgainIsTheSameOrRefused) {
    gateway.introduce_all();
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1}});
    ASSERT_TRUE(succeeded(gateway.send(0, keygen.open())));
    const wire::Response again = gateway.send(0, keygen.open());
    ASSERT_TRUE(succeeded(again));
    EXPECT_EQ(again.open_keygen().handovers_size(), 1);
    EXPECT_TRUE(succeeded(gateway.ask(1, keygen.join(1, again.open_keygen()))));

    wire::Request other = keygen.open();
    other.mutable_open_keygen()->mutable_params()->set_max_signing_sessions(7);
    EXPECT_TRUE(refused_with(gateway.send(0, other), Errc::DuplicateId));
    other = keygen.open();
    other.mutable_open_keygen()->set_coordinator_encrypted_private_key(
        raw(keygen.encrypt(0, keygen.participant(0).key.expose())));
    EXPECT_TRUE(refused_with(gateway.send(0, other), Errc::DuplicateId));
}

TEST_F(KeygenRules, BlobsServeOneSessionOnly) {
    TestKeygen keygen = opened({.slots = {0, 0}});
    const wire::Registration mine = registered(keygen, 0);
    TestKeygen other(gateway.enclaves(), {.slots = {0, 0}});
    other.opening.set_encrypted_session_secret(keygen.opening.encrypted_session_secret());
    const wire::Response response = gateway.send(0, other.open());
    EXPECT_TRUE(refused_with(response, Errc::BlobReused));
    EXPECT_EQ(response.failure().pointer(), "/encrypted_session_secret");

    // A registered private key under another user, and under another session.
    wire::Request registration = keygen.register_participant(1);
    registration.mutable_register_()->set_encrypted_private_key(
        keygen.registering[0].encrypted_private_key());
    registration.mutable_register_()->set_public_key(keygen.registering[0].public_key());
    EXPECT_TRUE(refused_with(gateway.send(0, registration), Errc::BlobReused));
    TestKeygen third_session = opened({.slots = {0, 0}});
    registration = third_session.register_participant(0);
    registration.mutable_register_()->set_encrypted_private_key(
        keygen.registering[0].encrypted_private_key());
    registration.mutable_register_()->set_public_key(keygen.registering[0].public_key());
    EXPECT_TRUE(refused_with(gateway.send(0, registration), Errc::BlobReused));
}

TEST_F(KeygenRules, BindingsComeBackWithSealedState) {
    TestKeygen keygen = ready({.slots = {0, 0}});
    first.restart();
    EXPECT_TRUE(succeeded(gateway.send(0, gateway.restore(0, keygen.id()))));
    TestKeygen other = opened({.slots = {0, 0}});
    wire::Request registration = other.register_participant(0);
    registration.mutable_register_()->set_encrypted_private_key(
        keygen.registering[0].encrypted_private_key());
    registration.mutable_register_()->set_public_key(keygen.registering[0].public_key());
    EXPECT_TRUE(refused_with(gateway.send(0, registration), Errc::BlobReused));
}

// ---- Join ----

TEST_F(KeygenRules, JoinChecksTheHandover) {
    gateway.introduce_all();
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1, 2}});
    const wire::OpenKeygenResult open = gateway.send(0, keygen.open()).open_keygen();
    wire::Request changed = keygen.join(1, open);
    changed.mutable_join_keygen()->mutable_params()->set_max_signing_sessions(1'000'000);
    EXPECT_TRUE(refused_with(gateway.send(1, changed), Errc::RosterMismatch));
    changed = keygen.join(1, open);
    changed.mutable_join_keygen()->mutable_params()->mutable_tweak()->set_type(
        wire::TweakConfig::UNSPENDABLE_TAPROOT);
    EXPECT_TRUE(refused_with(gateway.send(1, changed), Errc::RosterMismatch));
    changed = keygen.join(1, open);
    changed.mutable_join_keygen()->mutable_params()->set_expected_participants(
        2, raw(random_user().bytes));
    EXPECT_TRUE(refused_with(gateway.send(1, changed), Errc::RosterMismatch));
    // The box of another enclave, and a box for another session.
    changed = keygen.join(1, open);
    changed.mutable_join_keygen()->set_box(keygen.join(2, open).join_keygen().box());
    EXPECT_TRUE(refused_with(gateway.send(1, changed), Errc::DecryptFailed));
    TestKeygen other(gateway.enclaves(), {.slots = {0, 1, 2}});
    changed = other.join(1, open);
    EXPECT_TRUE(refused_with(gateway.send(1, changed), Errc::DecryptFailed));
    // A coordinator that is not slot 0's, and an enclave without a slot.
    changed = keygen.join(1, open);
    changed.mutable_join_keygen()->set_coordinator_enclave(raw(third.public_key().bytes()));
    EXPECT_TRUE(refused_with(gateway.send(1, changed), Errc::InvalidArgument));
    TestKeygen two(gateway.enclaves(), {.slots = {0, 1}});
    changed = two.join(1, gateway.send(0, two.open()).open_keygen());
    EXPECT_TRUE(refused_with(gateway.send(2, changed), Errc::InvalidArgument));
    EXPECT_TRUE(refused_with(gateway.send(0, changed), Errc::InvalidArgument));

    EXPECT_TRUE(succeeded(gateway.send(1, keygen.join(1, open))));
    EXPECT_TRUE(succeeded(gateway.send(1, keygen.join(1, open))));
}

TEST_F(KeygenRules, JoinNeedsAnIntroducedCoordinator) {
    gateway.introduce(1, 0);
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1}});
    const wire::OpenKeygenResult open = gateway.send(0, keygen.open()).open_keygen();
    const wire::Response response = gateway.send(1, keygen.join(1, open));
    EXPECT_TRUE(refused_with(response, Errc::PeerUnknown));
    EXPECT_EQ(response.failure().peer_public_key(), raw(first.public_key().bytes()));
}

// ---- Register ----

TEST_F(KeygenRules, RegistrationHeader) {
    TestKeygen keygen = opened({.slots = {0, 1}});
    wire::Request request = keygen.register_participant(0);
    auto& registration = *request.mutable_register_();
    registration.set_session_header("");
    EXPECT_TRUE(refused_with(gateway.send(0, request), Errc::AuthMissing));
    registration.set_session_header("zz");
    EXPECT_TRUE(refused_with(gateway.send(0, request), Errc::AuthMalformed));
    registration.set_session_header(std::string(100'000, 'a'));
    EXPECT_TRUE(refused_with(gateway.send(0, request), Errc::AuthMalformed));
    // Somebody else's header, and one under another secret.
    registration.set_session_header(keygen.session_header(1));
    EXPECT_TRUE(refused_with(gateway.send(0, request), Errc::AuthFailed));
    TestKeygen other(gateway.enclaves(), {.slots = {0, 1}});
    registration.set_session_header(crypto::make_session_hmac(
        other.secret(), keygen.id(), keygen.participant(0).id, crypto::make_header_nonce()));
    EXPECT_TRUE(refused_with(gateway.send(0, request), Errc::AuthFailed));
    registration.set_session_header(keygen.session_header(0));
    registration.set_user_id(raw(random_user().bytes));
    EXPECT_TRUE(refused_with(gateway.send(0, request), Errc::NotAParticipant));
    EXPECT_TRUE(succeeded(gateway.send(0, keygen.register_participant(0))));
}

TEST_F(KeygenRules, RegistrationContent) {
    TestKeygen keygen = opened({.slots = {0, 1}});
    const auto refused = [&](auto&& change, Errc code) {
        wire::Request request = keygen.register_participant(0);
        change(*request.mutable_register_());
        return refused_with(gateway.send(0, request), code);
    };
    const std::string others_key = raw(keygen.participant(1).key.public_key().bytes());
    EXPECT_TRUE(refused([&](auto& r) { r.set_public_key(others_key); }, Errc::KeyMismatch));
    EXPECT_TRUE(refused([&](auto& r) { r.set_public_key("x"); }, Errc::InvalidArgument));
    EXPECT_TRUE(
        refused([&](auto& r) { r.set_public_key(std::string(33, '\0')); }, Errc::InvalidPoint));
    EXPECT_TRUE(refused([&](auto& r) { r.set_policy(static_cast<wire::ApprovalPolicy>(9)); },
                        Errc::InvalidArgument));
    EXPECT_TRUE(refused([&](auto& r) { r.set_encrypted_private_key("x"); }, Errc::WrongEnclave));
    EXPECT_TRUE(refused(
        [&](auto& r) {
            r.set_encrypted_private_key(keygen.registering[1].encrypted_private_key());
        },
        Errc::WrongEnclave));
    // At the enclave of another slot.
    EXPECT_TRUE(refused_with(gateway.send(1, keygen.register_participant(0)), Errc::WrongEnclave));
    EXPECT_TRUE(succeeded(gateway.send(0, keygen.register_participant(0))));
}

TEST_F(KeygenRules, RegistrationNonceServesOnce) {
    TestKeygen keygen = opened({.slots = {0, 0}});
    wire::Request mine = keygen.register_participant(0);
    ASSERT_TRUE(succeeded(gateway.send(0, mine)));
    // The very same request again: a retry after a lost answer.
    EXPECT_TRUE(succeeded(gateway.send(0, mine)));
    // The same header for a read.
    wire::Request read;
    read.mutable_authenticate()->set_keygen_id(raw(keygen.id().bytes));
    read.mutable_authenticate()->set_session_header(mine.register_().session_header());
    EXPECT_TRUE(refused_with(gateway.send(0, read), Errc::NonceReplayed));
    // A header of a read for a registration.
    read.mutable_authenticate()->set_session_header(keygen.session_header(1));
    ASSERT_TRUE(succeeded(gateway.send(0, read)));
    wire::Request other = keygen.register_participant(1);
    other.mutable_register_()->set_session_header(read.authenticate().session_header());
    EXPECT_TRUE(refused_with(gateway.send(0, other), Errc::NonceReplayed));
    // A registration that failed has used its nonce, but only for itself.
    other = keygen.register_participant(1);
    const std::string good = other.register_().encrypted_private_key();
    other.mutable_register_()->set_encrypted_private_key(std::string(93, 'x'));
    EXPECT_TRUE(refused_with(gateway.send(0, other), Errc::WrongEnclave));
    read.mutable_authenticate()->set_session_header(other.register_().session_header());
    EXPECT_TRUE(refused_with(gateway.send(0, read), Errc::NonceReplayed));
    other.mutable_register_()->set_encrypted_private_key(good);
    EXPECT_TRUE(succeeded(gateway.send(0, other)));
}

TEST_F(KeygenRules, OneRegistrationPerUser) {
    TestKeygen keygen = opened({.slots = {0, 1}});
    const wire::Registration original = registered(keygen, 0);
    // The same content under a fresh header.
    EXPECT_EQ(registered(keygen, 0).tag(), original.tag());
    wire::Request request = keygen.register_participant(0);
    request.mutable_register_()->set_policy(wire::POLICY_HEADER);
    EXPECT_TRUE(refused_with(gateway.send(0, request), Errc::AlreadyRegistered));
    const auto key = crypto::SecretKey::generate();
    request = keygen.register_participant(0);
    request.mutable_register_()->set_encrypted_private_key(raw(keygen.encrypt(0, key.expose())));
    request.mutable_register_()->set_public_key(raw(key.public_key().bytes()));
    EXPECT_TRUE(refused_with(gateway.send(0, request), Errc::AlreadyRegistered));
}

// ---- ecies_aad ----

TEST_F(KeygenRules, WithAadEveryParameterIsChecked) {
    const KeygenSetup setup{.slots = {0, 1},
                            .policies = {ApprovalPolicy::Header, ApprovalPolicy::Bound},
                            .ecies_aad = true};
    const auto refused = [&](auto&& change) {
        TestKeygen keygen(gateway.enclaves(), setup);
        wire::Request request = keygen.open();
        change(*request.mutable_open_keygen()->mutable_params());
        return refused_with(gateway.ask(0, request), Errc::WrongEnclave);
    };
    EXPECT_TRUE(refused([](auto& p) { p.set_max_signing_sessions(101); }));
    EXPECT_TRUE(refused([](auto& p) { p.set_key_order(wire::BIP327_SORTED); }));
    EXPECT_TRUE(refused(
        [](auto& p) { p.mutable_tweak()->set_type(wire::TweakConfig::UNSPENDABLE_TAPROOT); }));
    EXPECT_TRUE(refused([](auto& p) { p.set_expected_participants(1, raw(random_user().bytes)); }));
    EXPECT_TRUE(refused([](auto& p) { p.set_ecies_aad(false); }));

    TestKeygen keygen = opened(setup);
    for (const auto policy : {wire::POLICY_NONE, wire::POLICY_HEADER}) {
        wire::Request request = keygen.register_participant(1);
        request.mutable_register_()->set_policy(policy);
        EXPECT_TRUE(refused_with(gateway.send(1, request), Errc::WrongEnclave));
    }
    EXPECT_TRUE(succeeded(gateway.send(1, keygen.register_participant(1))));
}

TEST_F(KeygenRules, WithAadAnotherSessionSecretOpensNothing) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1}, .ecies_aad = true});
    // The gateway opens the session with a secret of its own, made for the right parameters.
    const auto own_secret = crypto::SecretKey::generate();
    const auto text = secure::secret_to_hex(own_secret.expose());
    keygen.opening.set_encrypted_session_secret(
        raw(keygen.encrypt(0, text.expose(),
                           bitcoin::session_secret_aad(keygen.id(), keygen.participant(0).id,
                                                       bitcoin::params_id(keygen.params())))));
    const wire::Response open = gateway.ask(0, keygen.open());
    ASSERT_TRUE(succeeded(open));
    ASSERT_TRUE(succeeded(gateway.ask(1, keygen.join(1, open.open_keygen()))));
    wire::Request request = keygen.register_participant(1);
    request.mutable_register_()->set_session_header(crypto::make_session_hmac(
        secure::SecretArray<32>::copy_of(own_secret.expose()), keygen.id(),
        keygen.participant(1).id, crypto::make_header_nonce()));
    EXPECT_TRUE(refused_with(gateway.send(1, request), Errc::WrongEnclave));
}

// ---- Complete ----

TEST_F(KeygenRules, CompletionBelievesOnlyTheEnclavesOfTheSession) {
    TestKeygen keygen =
        opened({.slots = {0, 1, 2},
                .policies = {ApprovalPolicy::None, ApprovalPolicy::Bound, ApprovalPolicy::None}});
    const std::vector<wire::Registration> honest = all_registered(keygen);
    const auto refused = [&](auto&& change, std::size_t enclave = 0) {
        auto registrations = honest;
        change(registrations);
        return refused_with(gateway.send(enclave, keygen.complete(registrations)),
                            Errc::RosterMismatch);
    };
    // A participant's key replaced by the gateway's, a policy dropped, a tag changed, entries
    // missing, swapped, repeated.
    const std::string gateways_key = raw(crypto::SecretKey::generate().public_key().bytes());
    EXPECT_TRUE(refused([&](auto& r) { r[1].set_public_key(gateways_key); }));
    EXPECT_TRUE(refused([&](auto& r) { r[1].set_policy(wire::POLICY_NONE); }));
    EXPECT_TRUE(refused([&](auto& r) { r[1].set_policy(wire::POLICY_HEADER); }));
    EXPECT_TRUE(refused([&](auto& r) { r[1].set_tag(std::string(32, '\0')); }));
    EXPECT_TRUE(refused([&](auto& r) { r[1].clear_tag(); }));
    EXPECT_TRUE(refused([&](auto& r) { r.pop_back(); }));
    EXPECT_TRUE(refused([&](auto& r) { r.push_back(r.back()); }));
    EXPECT_TRUE(refused([&](auto& r) { std::swap(r[0], r[1]); }));
    EXPECT_TRUE(refused([&](auto& r) { r[2] = r[1]; }));
    const wire::Response blamed =
        gateway.send(0, keygen.complete({honest[0], honest[0], honest[2]}));
    EXPECT_EQ(blamed.failure().blamed_user(), raw(keygen.participant(1).id.bytes));

    for (const std::size_t enclave : keygen.enclaves())
        ASSERT_TRUE(succeeded(gateway.send(enclave, keygen.complete(honest))));
    // Again: the same; with anything else: refused.
    EXPECT_TRUE(succeeded(gateway.send(0, keygen.complete(honest))));
    EXPECT_TRUE(refused([&](auto& r) { r[1].set_policy(wire::POLICY_NONE); }));
}

TEST_F(KeygenRules, ARegistrationOfAnotherSessionIsWorthless) {
    TestKeygen keygen = opened({.slots = {0, 1}});
    KeygenSetup same_users{.slots = {0, 1}};
    for (std::size_t i = 0; i < 2; ++i) {
        same_users.users.push_back(keygen.participant(i).id);
        const auto key = crypto::SecretKey::generate();
        ByteArray<32> bytes{};
        std::copy_n(key.expose().begin(), 32, bytes.begin());
        same_users.keys.push_back(bytes);
    }
    TestKeygen other = opened(same_users);
    const auto mine = all_registered(keygen);
    const auto theirs = all_registered(other);
    EXPECT_TRUE(
        refused_with(gateway.send(0, keygen.complete({mine[0], theirs[1]})), Errc::RosterMismatch));
}

TEST_F(KeygenRules, CompletionNeedsOurOwnParticipants) {
    TestKeygen keygen = opened({.slots = {0, 1}});
    wire::Registration missing;
    missing.set_user_id(raw(keygen.participant(0).id.bytes));
    missing.set_public_key(raw(keygen.participant(0).key.public_key().bytes()));
    EXPECT_TRUE(refused_with(gateway.send(0, keygen.complete({missing, registered(keygen, 1)})),
                             Errc::RosterMismatch));
}

// ---- Fail and delete ----

TEST_F(KeygenRules, FailedSessionHasNoKeysAndStillAuthenticates) {
    TestKeygen keygen = opened({.slots = {0, 1}});
    const auto registrations = all_registered(keygen);
    wire::Request failing;
    failing.mutable_fail_keygen()->set_keygen_id(raw(keygen.id().bytes));
    const wire::Response failed = gateway.send(0, failing);
    ASSERT_TRUE(succeeded(failed));
    EXPECT_TRUE(failed.fail_keygen().sealed().snapshot());
    EXPECT_TRUE(succeeded(gateway.send(0, failing)));
    EXPECT_TRUE(refused_with(gateway.send(0, keygen.complete(registrations)), Errc::WrongState));
    EXPECT_TRUE(refused_with(gateway.send(0, keygen.register_participant(0)), Errc::WrongState));
    wire::Request read;
    read.mutable_authenticate()->set_keygen_id(raw(keygen.id().bytes));
    read.mutable_authenticate()->set_session_header(keygen.session_header(1));
    EXPECT_TRUE(succeeded(gateway.send(0, read)));
    first.restart();
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.restore(0, keygen.id()))));
    EXPECT_TRUE(refused_with(gateway.send(0, keygen.complete(registrations)), Errc::WrongState));
}

TEST_F(KeygenRules, DeletedSessionIsGoneForGood) {
    TestKeygen keygen = ready({.slots = {0, 0}});
    wire::Request deleting;
    deleting.mutable_delete_keygen()->set_keygen_id(raw(keygen.id().bytes));
    ASSERT_TRUE(succeeded(gateway.send(0, deleting)));
    EXPECT_TRUE(succeeded(gateway.send(0, deleting)));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.restore(0, keygen.id())), Errc::StateRolledBack));
    EXPECT_TRUE(refused_with(gateway.send(0, keygen.open()), Errc::DuplicateId));
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, gateway.start_signing(keygen))),
                             Errc::NotFound));
}

TEST_F(KeygenRules, ACreationThatWasGivenUpMayBeRepeated) {
    gateway.introduce_all();
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 1}});
    wire::Request deleting;
    deleting.mutable_delete_keygen()->set_keygen_id(raw(keygen.id().bytes));
    // Refused at the coordinator enclave; the gateway cleans up everywhere; the client corrects its
    // request.
    wire::Request wrong = keygen.open();
    wrong.mutable_open_keygen()->set_coordinator_encrypted_private_key("x");
    ASSERT_TRUE(refused_with(gateway.send(0, wrong), Errc::WrongEnclave));
    for (const std::size_t enclave : {0u, 1u})
        ASSERT_TRUE(succeeded(gateway.send(enclave, deleting)));
    // Opened, but the other enclave failed to join.
    const wire::Response given_up = gateway.send(0, keygen.open());
    ASSERT_TRUE(succeeded(given_up));
    for (const std::size_t enclave : {0u, 1u})
        ASSERT_TRUE(succeeded(gateway.send(enclave, deleting)));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.restore(0, keygen.id())), Errc::StateRolledBack));
    gateway.keygen(keygen);
    // A handover of the first creation does not fit the second.
    EXPECT_TRUE(
        refused_with(gateway.send(1, keygen.join(1, given_up.open_keygen())), Errc::DuplicateId));
    gateway.sign(keygen, gateway.start_signing(keygen));
}

TEST_F(KeygenRules, UnknownSession) {
    TestKeygen keygen(gateway.enclaves(), {.slots = {0, 0}});
    EXPECT_TRUE(refused_with(gateway.send(0, keygen.register_participant(0)), Errc::StateUnknown));
    EXPECT_TRUE(refused_with(gateway.send(0, keygen.complete({})), Errc::StateUnknown));
    wire::Request short_id = keygen.register_participant(0);
    short_id.mutable_register_()->set_keygen_id("short");
    EXPECT_TRUE(refused_with(gateway.send(0, short_id), Errc::InvalidArgument));
    EXPECT_TRUE(refused_with(gateway.send(0, wire::Request()), Errc::Unsupported));
}

} // namespace
} // namespace keymeld::test
