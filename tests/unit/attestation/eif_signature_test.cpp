#include "core/attestation/eif/signature.h"

#include <gtest/gtest.h>

#include "core/attestation/issuer/certificate_issuer.h"
#include "core/crypto/cbor.h"
#include "core/crypto/cose.h"
#include "core/crypto/digest.h"
#include "tests/unit/attestation/eif_fixture.h"
#include "tests/unit/attestation/forge.h"

namespace keymeld::eif::test {
namespace {

using attestation::PcrIndex;
using attestation::PcrValue;
using attestation::test::Forge;

struct Signed {
    Forge forge = Forge::make();
    Bytes der = forge.root;
    std::string pem = attestation::certificate_pem(der);
    PcrValue pcr0 = small_image().measure().at(PcrIndex::of<0>());
    Bytes section = sign_image(pcr0, pem, forge.root_key).value();
};

void expect_fails(const Result<PcrValue>& result, Errc code) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().detail;
}

Bytes integers(ByteView bytes) {
    cbor::Writer out;
    out.array(bytes.size());
    for (const std::uint8_t byte : bytes)
        out.unsigned_integer(byte);
    return std::move(out).take();
}

Bytes payload(std::uint64_t index, ByteView value) {
    cbor::Writer out;
    out.map(2).text("register_index").unsigned_integer(index).text("register_value");
    out.encoded(integers(value));
    return std::move(out).take();
}

Bytes section_of(const std::string& pem, ByteView cose) {
    cbor::Writer out;
    out.array(1).map(2).text("signing_certificate").encoded(integers(as_bytes(pem)));
    out.text("signature").encoded(integers(cose));
    return std::move(out).take();
}

TEST(EifSignature, GivesTheRegisterOfItsCertificate) {
    const Signed image;
    const auto pcr8 = verify_signature(image.section, image.pcr0);
    ASSERT_TRUE(pcr8) << pcr8.error().detail;
    const auto digest = crypto::sha384(image.der);
    EXPECT_EQ(*pcr8, attestation::extend_pcr(PcrValue{}, digest));
    EXPECT_LT(image.section.size(), kMaxSignature);
    // [{"signing_certificate": [ first: QEMU insists on that order and on integers.
    const std::string start = "\x81\xa2\x73signing_certificate\x99";
    EXPECT_EQ(as_text(ByteView(image.section).first(start.size())), start);
}

TEST(EifSignature, FitsIntoAnImageWithoutChangingItsMeasurement) {
    const Signed made;
    Image image = small_image();
    const attestation::PcrSet before = image.measure();
    image.signature = made.section;
    EXPECT_EQ(image.measure(), before);
    const auto again = Image::read(image.write().value());
    ASSERT_TRUE(again);
    EXPECT_TRUE(verify_signature(*again->signature, before.at(PcrIndex::of<0>())));
}

TEST(EifSignature, RefusesAnotherImage) {
    const Signed image;
    PcrValue other = image.pcr0;
    other[47] ^= 1;
    expect_fails(verify_signature(image.section, other), Errc::InvalidSignature);
}

TEST(EifSignature, RefusesAnotherRegister) {
    const Signed image;
    const auto cose = cose::sign1(payload(8, image.pcr0), image.forge.root_key.signer()).value();
    expect_fails(verify_signature(section_of(image.pem, cose), image.pcr0), Errc::InvalidSignature);
    const auto good = cose::sign1(payload(0, image.pcr0), image.forge.root_key.signer()).value();
    EXPECT_TRUE(verify_signature(section_of(image.pem, good), image.pcr0));
}

TEST(EifSignature, RefusesTheSignatureOfAnotherKey) {
    const Signed image;
    const auto cose = cose::sign1(payload(0, image.pcr0), image.forge.leaf_key.signer()).value();
    expect_fails(verify_signature(section_of(image.pem, cose), image.pcr0), Errc::InvalidSignature);
    Bytes tampered = cose::sign1(payload(0, image.pcr0), image.forge.root_key.signer()).value();
    tampered.back() ^= 1;
    expect_fails(verify_signature(section_of(image.pem, tampered), image.pcr0),
                 Errc::InvalidSignature);
}

TEST(EifSignature, IsNotMadeForTheCertificateOfAnotherKey) {
    const Signed image;
    const auto section = sign_image(image.pcr0, image.pem, image.forge.leaf_key);
    ASSERT_FALSE(section);
    EXPECT_EQ(section.error().code, Errc::InvalidArgument);
    EXPECT_FALSE(sign_image(image.pcr0, "no certificate", image.forge.root_key));
}

TEST(EifSignature, RefusesMalformedSections) {
    const Signed image;
    const auto cose = cose::sign1(payload(0, image.pcr0), image.forge.root_key.signer()).value();
    cbor::Writer byte_string;
    byte_string.array(1).map(2).text("signing_certificate").bytes(as_bytes(image.pem));
    byte_string.text("signature").encoded(integers(cose));
    expect_fails(verify_signature(byte_string.view(), image.pcr0), Errc::InvalidArgument);

    cbor::Writer too_big;
    too_big.array(1).map(2).text("signing_certificate").array(1).unsigned_integer(256);
    too_big.text("signature").encoded(integers(cose));
    expect_fails(verify_signature(too_big.view(), image.pcr0), Errc::InvalidArgument);

    cbor::Writer none;
    none.array(0);
    expect_fails(verify_signature(none.view(), image.pcr0), Errc::InvalidArgument);
    expect_fails(verify_signature(section_of("no certificate", cose), image.pcr0),
                 Errc::InvalidArgument);
    expect_fails(verify_signature(section_of(image.pem, as_bytes("x")), image.pcr0),
                 Errc::InvalidArgument);
    Bytes longer = image.section;
    longer.push_back(0);
    expect_fails(verify_signature(longer, image.pcr0), Errc::InvalidArgument);
    for (std::size_t size = 0; size < image.section.size(); ++size)
        ASSERT_FALSE(verify_signature(ByteView(image.section).first(size), image.pcr0));
}

} // namespace
} // namespace keymeld::eif::test
