#include "core/crypto/cose.h"

#include <gtest/gtest.h>

#include "core/attestation/issuer/signing_key.h"
#include "core/base/hex.h"

namespace keymeld::cose {
namespace {

Bytes unhex(std::string_view hex) {
    return hex_decode(hex).value();
}

// COSE working group, repository Examples, ecdsa-examples/ecdsa-sig-02.json: ECDSA on P-384, sign1.
constexpr std::string_view kX = "9132723f6292b010619dbe248d698c17b58756c639e7150f"
                                "81bee4eb8ac37236ad0a1a19d67be32a66263e1e524d129c";
constexpr std::string_view kY = "98cd3078c554d832ac603c4326410ff61662459b41f1f3df"
                                "5dbcc83598ff7c5ed8411ca735679d1c4cb3009397d9ef2c";
constexpr std::string_view kPayload = "546869732069732074686520636f6e74656e742e";
constexpr std::string_view kToBeSigned =
    "846a5369676e61747572653144a10138224054546869732069732074686520636f6e74656e742e";
constexpr std::string_view kSignature = "b8f85eff78c88f5351ced2f1887b79b296490795594b62e41e22529bb9"
                                        "0208b7d8cddd4a46d0e9c986464d83d0a5d1ed"
                                        "f39b3e2c5750364230d0e8d76460d8808e76c83830fbbd1978cc174066"
                                        "eb437f17887979ecf027dcc9d51baf6c4fd8c0";

Es384PublicKey example_key() {
    return hex_decode_array<97>("04" + std::string(kX) + std::string(kY)).value();
}

/// The example without its key id: our unprotected header must be empty, and no signature covers
/// it.
std::string example(std::string_view head = "84") {
    return std::string(head) + "44a1013822" + "a0" + "54" + std::string(kPayload) + "5860" +
           std::string(kSignature);
}

bool malformed(const std::string& hex) {
    const Bytes input = unhex(hex);
    const auto parts = Sign1::parse(input);
    return !parts && parts.error().code == Errc::InvalidArgument;
}

TEST(Cose, MakesTheSigStructureOfTheExample) {
    EXPECT_EQ(hex_encode(sig_structure(kProtectedEs384, unhex(kPayload))), kToBeSigned);
}

TEST(Cose, VerifiesTheExample) {
    for (const char* head : {"84", "d284"}) {
        const Bytes input = unhex(example(head));
        const auto parts = Sign1::parse(input);
        ASSERT_TRUE(parts) << parts.error().detail;
        EXPECT_EQ(parts->tagged, head != std::string_view("84"));
        EXPECT_EQ(as_text(parts->payload), "This is the content.");
        EXPECT_TRUE(parts->require_es384());
        EXPECT_TRUE(parts->verify(example_key()));
    }
}

TEST(Cose, RefusesEveryChangedBit) {
    const Bytes good = unhex(example());
    for (std::size_t i = 0; i < good.size(); ++i) {
        Bytes bad = good;
        bad[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
        const auto parts = Sign1::parse(bad);
        EXPECT_FALSE(parts && parts->verify(example_key())) << "byte " << i;
    }
}

TEST(Cose, RefusesTheWrongKey) {
    const Bytes input = unhex(example());
    const auto parts = Sign1::parse(input);
    ASSERT_TRUE(parts);
    const auto other = attestation::SigningKey::generate();
    ASSERT_TRUE(other);
    const auto wrong = parts->verify(other->public_key());
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, Errc::InvalidSignature);

    Es384PublicKey off_curve = example_key();
    off_curve[96] ^= 1;
    const auto invalid = parts->verify(off_curve);
    ASSERT_FALSE(invalid);
    EXPECT_EQ(invalid.error().code, Errc::InvalidPoint);
    Es384PublicKey compressed_form = example_key();
    compressed_form[0] = 2;
    EXPECT_FALSE(parts->verify(compressed_form));
}

TEST(Cose, RefusesOtherAlgorithmsAndSizes) {
    const auto es384 = [](const std::string& protected_header, const std::string& signature) {
        const Bytes input = unhex("84" + protected_header + "a0" + "4101" + signature);
        const auto parts = Sign1::parse(input);
        EXPECT_TRUE(parts) << protected_header;
        return parts && parts->require_es384() && true;
    };
    const std::string full = "5860" + std::string(192, '0');
    EXPECT_TRUE(es384("44a1013822", full));
    EXPECT_FALSE(es384("43a10126", full));       // ES256
    EXPECT_FALSE(es384("43a10120", full));       // what an unsigned QEMU document says
    EXPECT_FALSE(es384("44a1013823", full));     // ES512
    EXPECT_FALSE(es384("40", full));             // no header
    EXPECT_FALSE(es384("41a0", full));           // empty header
    EXPECT_FALSE(es384("46a20138220400", full)); // one header more
    EXPECT_FALSE(es384("45a101390022", full));   // the same number in a longer form
    EXPECT_FALSE(es384("44a1013822", "5840" + std::string(128, '0')));
    EXPECT_FALSE(es384("44a1013822", "5861" + std::string(194, '0')));
    EXPECT_FALSE(es384("44a1013822", "40"));
}

TEST(Cose, RefusesOtherStructures) {
    const std::string signature = "5860" + std::string(192, '0');
    ASSERT_FALSE(malformed("8444a1013822a04101" + signature));
    EXPECT_TRUE(malformed("8344a1013822a04101"));
    EXPECT_TRUE(malformed("8544a1013822a04101" + signature + "00"));
    EXPECT_TRUE(malformed("8444a1013822a04101" + signature + "00")); // a byte after it
    EXPECT_TRUE(malformed("84a1013822a04101" + signature));          // protected as a map
    EXPECT_TRUE(malformed("8444a1013822a1044101"
                          "4101" +
                          signature));                        // unprotected not empty
    EXPECT_TRUE(malformed("8444a1013822404101" + signature)); // unprotected no map
    EXPECT_TRUE(malformed("8444a1013822a0f6" + signature));   // detached payload
    EXPECT_TRUE(malformed("8444a1013822a040" + signature));   // empty payload
    EXPECT_TRUE(malformed("8444a1013822a06101" + signature)); // payload a text
    EXPECT_TRUE(malformed("8444a1013822a04101f6"));           // no signature
    EXPECT_TRUE(malformed("d1"
                          "8444a1013822a04101" +
                          signature)); // tag 17: COSE_Mac0
    EXPECT_TRUE(malformed("d2d2"
                          "8444a1013822a04101" +
                          signature));                               // tag twice
    EXPECT_TRUE(malformed("9f44a1013822a04101" + signature + "ff")); // indefinite array
    EXPECT_TRUE(malformed("8444a1013822bfff4101" + signature));      // indefinite map
    EXPECT_TRUE(malformed("a0"));
    EXPECT_TRUE(malformed(""));
    EXPECT_TRUE(malformed("8444a1013822a05a00010000" + std::string(131072, '0') + signature));
}

TEST(Cose, SignsWhatItVerifies) {
    const auto key = attestation::SigningKey::generate();
    ASSERT_TRUE(key);
    const Bytes payload = to_bytes(as_bytes("payload"));
    const auto document = sign1(payload, key->signer());
    ASSERT_TRUE(document);
    const auto parts = Sign1::parse(*document);
    ASSERT_TRUE(parts);
    EXPECT_FALSE(parts->tagged);
    EXPECT_EQ(as_text(parts->payload), "payload");
    EXPECT_TRUE(parts->verify(key->public_key()));
    EXPECT_FALSE(parts->verify(example_key()));

    const auto broken = sign1(
        payload, [](ByteView) -> Result<Es384Signature> { return fail(Errc::Internal, "no key"); });
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().code, Errc::Internal);
}

} // namespace
} // namespace keymeld::cose
