// Which peers an enclave believes, and what it says of itself.
#include "core/attestation/document.h"
#include "core/attestation/key_binding.h"
#include "tests/unit/enclave/signer_fixture.h"

namespace keymeld::test {
namespace {

class Peers : public SignerTest {
  protected:
    std::string challenge(LocalEnclave& enclave) {
        wire::Request request;
        request.mutable_challenge();
        const wire::Response response = enclave.call(request);
        EXPECT_TRUE(succeeded(response));
        return response.challenge().nonce();
    }
    std::string document(LocalEnclave& enclave, const std::string& nonce) {
        wire::Request request;
        request.mutable_attest()->set_nonce(nonce);
        const wire::Response response = enclave.call(request);
        EXPECT_TRUE(succeeded(response));
        return response.attest().attestation_document();
    }
    wire::Response introduce(LocalEnclave& to, const std::string& document) {
        wire::Request request;
        request.mutable_introduce_peer()->set_attestation_document(document);
        return to.call(request);
    }
};

TEST_F(Peers, AGenuineDocumentWithOurNonceIntroduces) {
    const wire::Response response = introduce(first, document(second, challenge(first)));
    ASSERT_TRUE(succeeded(response));
    EXPECT_EQ(response.introduce_peer().peer_public_key(), raw(second.public_key().bytes()));
    EXPECT_EQ(response.introduce_peer().peer_key_epoch(), 1u);
}

TEST_F(Peers, NoncesAreOursFreshAndForOneUse) {
    // No nonce, a nonce of somebody else's, one of another enclave's.
    EXPECT_TRUE(refused_with(introduce(first, document(second, "")), Errc::AttestationRefused));
    EXPECT_TRUE(refused_with(introduce(first, document(second, std::string(32, 'n'))),
                             Errc::AttestationRefused));
    EXPECT_TRUE(refused_with(introduce(first, document(second, challenge(third))),
                             Errc::AttestationRefused));
    const std::string once = document(second, challenge(first));
    EXPECT_TRUE(succeeded(introduce(first, once)));
    EXPECT_TRUE(refused_with(introduce(first, once), Errc::AttestationRefused));
    // Used up even by a document that is refused.
    const std::string nonce = challenge(first);
    std::string damaged = document(second, nonce);
    damaged.back() = static_cast<char>(damaged.back() ^ 1);
    EXPECT_TRUE(refused_with(introduce(first, damaged), Errc::AttestationRefused));
    EXPECT_TRUE(refused_with(introduce(first, document(second, nonce)), Errc::AttestationRefused));
    // 60 seconds.
    const std::string late = document(second, challenge(first));
    first.advance(std::chrono::seconds(60));
    EXPECT_TRUE(refused_with(introduce(first, late), Errc::AttestationRefused));
}

TEST_F(Peers, OnlyImagesOfTheAllowListUnderTheRoot) {
    LocalEnclave other_image(pki, {.measurement = 2});
    EXPECT_TRUE(refused_with(introduce(first, document(other_image, challenge(first))),
                             Errc::AttestationRefused));
    LocalEnclave debug(pki, {.measurement = 0});
    EXPECT_TRUE(refused_with(introduce(first, document(debug, challenge(first))),
                             Errc::AttestationRefused));
    LocalPki other_pki;
    LocalEnclave other_root(other_pki);
    EXPECT_TRUE(refused_with(introduce(first, document(other_root, challenge(first))),
                             Errc::AttestationRefused));
    EXPECT_TRUE(refused_with(introduce(first, "garbage"), Errc::AttestationRefused));
    EXPECT_TRUE(refused_with(introduce(first, ""), Errc::AttestationRefused));
    // Ourselves are no peer.
    EXPECT_TRUE(
        refused_with(introduce(first, document(first, challenge(first))), Errc::InvalidArgument));
}

TEST_F(Peers, ChallengesAreBounded) {
    for (int i = 0; i < 64; ++i)
        challenge(first);
    wire::Request request;
    request.mutable_challenge();
    EXPECT_TRUE(refused_with(first.call(request), Errc::Overloaded));
    first.advance(std::chrono::seconds(61));
    EXPECT_TRUE(succeeded(first.call(request)));
}

TEST_F(Peers, PeersAreBounded) {
    LocalEnclave small(pki, {.limits = {.max_peers = 1}});
    TestGateway narrow({&small, &second, &third});
    narrow.introduce(1, 0);
    narrow.introduce(2, 0);
    TestKeygen keygen(narrow.enclaves(), {.slots = {0, 1}});
    EXPECT_TRUE(refused_with(narrow.send(0, keygen.open()), Errc::PeerUnknown));
    EXPECT_TRUE(succeeded(narrow.ask(0, keygen.open())));
}

TEST_F(Peers, HelloBindsKeyEpochAndNonce) {
    wire::Request request;
    request.mutable_hello()->set_protocol_version(1);
    request.mutable_hello()->set_nonce(std::string(32, 'h'));
    const wire::Response response = first.call(request);
    ASSERT_TRUE(succeeded(response));
    const wire::HelloResult& hello = response.hello();
    const auto claimed =
        attestation::AttestationDocument::parse_unverified(as_bytes(hello.attestation_document()))
            .value();
    EXPECT_EQ(claimed.nonce, Bytes(32, 'h'));
    EXPECT_EQ(claimed.public_key, to_bytes(first.public_key().bytes()));
    EXPECT_EQ(attestation::parse_user_data(*claimed.user_data).value(), 1u);
    EXPECT_EQ(hello.key_epoch(), 1u);
    EXPECT_FALSE(hello.signer_version().empty());

    request.mutable_hello()->set_protocol_version(2);
    EXPECT_TRUE(refused_with(first.call(request), Errc::ProtocolMismatch));
    request.mutable_hello()->set_protocol_version(1);
    request.mutable_hello()->set_nonce("short");
    EXPECT_TRUE(refused_with(first.call(request), Errc::InvalidArgument));
    request.mutable_attest()->set_nonce(std::string(65, 'x'));
    EXPECT_TRUE(refused_with(first.call(request), Errc::InvalidArgument));
}

TEST_F(Peers, ARestartHasAnotherBootIdAndTheSameKey) {
    const Uuid boot = first.boot_id();
    const auto key = first.public_key();
    first.reconnect();
    EXPECT_EQ(first.boot_id(), boot);
    first.restart();
    EXPECT_NE(first.boot_id(), boot);
    EXPECT_EQ(first.public_key(), key);
}

TEST_F(Peers, TheSealedSessionKnowsItsPeersAfterARestart) {
    TestKeygen keygen = ready({.slots = {0, 1}});
    first.restart();
    second.restart();
    const TestSigning signing = gateway.start_signing(keygen);
    RoundTrips trips;
    for (const std::size_t enclave : keygen.enclaves())
        trips.round1[enclave] = gateway.ask(enclave, gateway.round1(keygen, signing)).sign_round1();
    trips.round2[1] = gateway.send(1, gateway.round2(keygen, signing, trips)).sign_round2();
    EXPECT_TRUE(succeeded(gateway.send(0, gateway.finish(keygen, signing, trips))));
    // But a new session needs an introduction again.
    TestKeygen fresh(gateway.enclaves(), {.slots = {0, 1}});
    EXPECT_TRUE(refused_with(gateway.send(0, fresh.open()), Errc::PeerUnknown));
}

} // namespace
} // namespace keymeld::test
