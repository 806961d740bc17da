// The one genuine document at hand: made by the AWS Nitro hypervisor in July 2022.
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "core/attestation/key_binding.h"
#include "core/base/hex.h"
#include "core/crypto/digest.h"
#include "tests/unit/attestation/forge.h"
#include "tests/unit/attestation/refusal.h"

namespace keymeld::attestation::test {
namespace {

using Check = AttestationCheck;

constexpr std::uint64_t kMade = 1657117102484;   // 2022-07-06 14:18:22.484
constexpr std::uint64_t kLeafFrom = 1657117099;  // 14:18:19
constexpr std::uint64_t kLeafUntil = 1657127902; // 17:18:22

std::filesystem::path folder() {
    if (const char* named = std::getenv("KEYMELD_NITRO_DIR"))
        return named;
    const char* source = std::getenv("KEYMELD_SOURCE_DIR");
    return std::filesystem::path(source ? source : ".") / "../shared/nitro";
}

class GenuineDocument : public testing::Test {
  protected:
    void SetUp() override {
        std::ifstream file(folder() / "real-attestation-document.cbor", std::ios::binary);
        if (!file) {
            ASSERT_EQ(std::getenv("KEYMELD_NITRO_DIR"), nullptr)
                << "KEYMELD_NITRO_DIR is set, but the document is not there";
            GTEST_SKIP() << "NOT RUN: no genuine attestation document in " << folder()
                         << "; set KEYMELD_NITRO_DIR to the folder that has it";
        }
        document.assign(std::istreambuf_iterator<char>(file), {});
        expected.now_ms = kMade;
    }

    static PcrPolicy policy() {
        return PcrPolicy::make(
                   {{.name = "the image of 2022",
                     .required = {{PcrIndex::of<0>(),
                                   hex_decode_array<48>(
                                       "f8bb0133c427bc49aa39f6811a01077ce9ab7e635fa1f5439c9c8bf9975"
                                       "4f8230e41b09426b0e595eebdc4d6ed4bc3b6")
                                       .value()}}}})
            .value();
    }

    Bytes document;
    AttestationVerifier verifier{TrustAnchor::aws(), policy()};
    Expectations expected;
};

TEST_F(GenuineDocument, IsAcceptedAtItsOwnTime) {
    const auto verified = verifier.verify(document, expected);
    ASSERT_TRUE(verified) << verified.error().detail;
    EXPECT_TRUE(verified->hardware());
    EXPECT_EQ(verified->image_name(), "the image of 2022");
    const AttestationDocument& content = verified->document();
    EXPECT_EQ(content.module_id, "i-07e25f3bada361dec-enc0181d3dff86da785");
    EXPECT_EQ(content.timestamp_ms, kMade);
    EXPECT_EQ(content.pcrs.size(), 16u);
    EXPECT_EQ(content.certificate.size(), 639u);
    EXPECT_EQ(content.cabundle.size(), 4u);
    ASSERT_TRUE(content.public_key.has_value());
    EXPECT_TRUE(as_text(*content.public_key).starts_with("-----BEGIN PUBLIC KEY-----"));
    ASSERT_TRUE(content.user_data.has_value());
    EXPECT_EQ(hex_encode(*content.user_data),
              "a2ec4272c44690b2dc32ed89d4bdd266ec2b0e753dff2f25f08b5d2a15cfe2e6");
    EXPECT_EQ(content.nonce, std::nullopt);
    EXPECT_EQ(hex_encode(crypto::sha256(ByteView(content.cabundle[0]))),
              hex_encode(TrustAnchor::aws().fingerprint()));

    Bytes tagged = {0xd2};
    tagged.insert(tagged.end(), document.begin(), document.end());
    EXPECT_TRUE(verifier.verify(tagged, expected));
    expected.public_key = content.public_key;
    EXPECT_TRUE(verifier.verify(document, expected));
    // Its public key is another product's, in PEM: genuine, but no enclave key of ours.
    const auto binding = key_binding(*verified);
    ASSERT_FALSE(binding);
    EXPECT_EQ(failed_check(binding.error()), Check::PublicKey);
}

TEST_F(GenuineDocument, IsReadAsItsModuleWroteIt) {
    const auto envelope = parse_envelope(document);
    ASSERT_TRUE(envelope);
    const auto content = AttestationDocument::parse_payload(envelope->payload);
    ASSERT_TRUE(content);
    EXPECT_EQ(content->encode_payload(), to_bytes(envelope->payload));
}

TEST_F(GenuineDocument, IsRefusedOutsideItsTime) {
    expected.max_age = expected.max_ahead = std::chrono::hours(24);
    const auto at = [&](std::uint64_t seconds) {
        Expectations moved = expected;
        moved.now_ms = seconds * 1000;
        return moved;
    };
    EXPECT_TRUE(verifier.verify(document, at(kLeafFrom)));
    EXPECT_TRUE(verifier.verify(document, at(kLeafUntil - 1)));
    expect_refused(verifier, document, at(kLeafFrom - 1), {Check::ChainValidity});
    expect_refused(verifier, document, at(kLeafUntil), {Check::ChainValidity});
    const std::uint64_t later = 1795000000; // 2026
    expect_refused(verifier, document, at(later), {Check::ChainValidity, Check::Freshness});

    Expectations archived = at(later);
    archived.evidence = Evidence::Archived;
    EXPECT_TRUE(verifier.verify(document, archived));
}

TEST_F(GenuineDocument, IsRefusedUnderEveryOtherRoot) {
    const Forge forge = Forge::make();
    expect_refused(AttestationVerifier(forge.anchor(), policy()), document, expected,
                   {Check::TrustAnchor});
    // And the AWS root refuses the test's document.
    const AttestationVerifier aws(TrustAnchor::aws(), Forge::policy());
    expect_refused(aws, forge.sign(forge.document()), Forge::expectations(), {Check::TrustAnchor});
    // AWS's root in front of a forged chain, and the genuine chain around a forged payload.
    const auto genuine = AttestationDocument::parse_unverified(document);
    ASSERT_TRUE(genuine);
    AttestationDocument forged = forge.document();
    forged.cabundle[0] = genuine->cabundle[0];
    expect_refused(aws, forge.sign(forged), Forge::expectations(),
                   {Check::ChainNames, Check::ChainSignatures});
    forged = forge.document();
    forged.certificate = genuine->certificate;
    forged.cabundle = genuine->cabundle;
    forged.timestamp_ms = kMade;
    Expectations then = Forge::expectations();
    then.now_ms = kMade;
    expect_refused(aws, forge.sign(forged), then, {Check::Signature});
}

TEST_F(GenuineDocument, IsRefusedForOtherExpectations) {
    expected.nonce = Bytes(32, 1);
    expect_refused(verifier, document, expected, {Check::Nonce});
    expected.nonce = std::nullopt;
    expected.public_key = Bytes(33, 2);
    expect_refused(verifier, document, expected, {Check::PublicKey});
    expected.public_key = std::nullopt;
    expect_refused(AttestationVerifier(TrustAnchor::aws(), Forge::policy()), document, expected,
                   {Check::PcrPolicy});
}

TEST_F(GenuineDocument, CannotBeChangedInAnyByte) {
    // Every byte of the COSE heads and of the signature, and a sample of the payload.
    const std::size_t tail = document.size() - 100;
    for (std::size_t i = 0; i < document.size(); i += i < 16 || i >= tail ? 1 : 61) {
        Bytes changed = document;
        changed[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
        EXPECT_FALSE(verifier.verify(changed, expected)) << "byte " << i;
    }
    for (std::size_t size = 0; size < document.size(); ++size)
        EXPECT_FALSE(verifier.verify(ByteView(document).first(size), expected)) << size;
    document.push_back(0);
    expect_refused(verifier, document, expected, {Check::Encoding});
}

TEST_F(GenuineDocument, RootFileIsThePinnedOneAndNoSimulatorRoot) {
    const auto anchor = TrustAnchor::from_pem_file(folder() / "aws-nitro-root-g1.pem");
    ASSERT_FALSE(anchor);
    EXPECT_EQ(anchor.error().code, Errc::ConfigInvalid);
    EXPECT_NE(anchor.error().detail.find("trust: aws"), std::string::npos) << anchor.error().detail;
}

} // namespace
} // namespace keymeld::attestation::test
