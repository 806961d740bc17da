// Every way in which a document can be wrong, each refused for its own reason.
#include <gtest/gtest.h>

#include "core/crypto/cbor.h"
#include "tests/unit/attestation/forge.h"
#include "tests/unit/attestation/refusal.h"

namespace keymeld::attestation::test {
namespace {

using Check = AttestationCheck;

class Refusal : public testing::Test {
  protected:
    using Checks = std::vector<Check>;

    void refused(ByteView document, const Checks& checks) {
        expect_refused(forge.verifier(), document, expected, checks);
    }
    void refused(ByteView document, Check check) { refused(document, Checks{check}); }
    void refused(const AttestationDocument& document, Check check) {
        refused(forge.sign(document), Checks{check});
    }
    void refused(const AttestationDocument& document, const Checks& checks) {
        refused(forge.sign(document), checks);
    }
    /// With one field of the payload replaced by this item.
    void refused_with(std::string_view name, Bytes item, Check check) {
        Fields fields = fields_of(forge.document());
        field(fields, name) = std::move(item);
        refused(forge.sign_payload(encode(fields)), check);
    }

    Forge forge = Forge::make();
    Expectations expected = Forge::expectations();
};

Bytes item(const std::function<void(cbor::Writer&)>& write) {
    cbor::Writer writer;
    write(writer);
    return std::move(writer).take();
}

/// A COSE_Sign1 put together by hand.
Bytes envelope(ByteView protected_header, ByteView payload, ByteView signature) {
    return item([&](cbor::Writer& writer) {
        writer.array(4).bytes(protected_header).map(0).bytes(payload).bytes(signature);
    });
}

TEST_F(Refusal, TrailingAndMissingBytes) {
    Bytes document = forge.sign(forge.document());
    document.push_back(0);
    refused(document, Check::Encoding);
    document.pop_back();
    document.pop_back();
    refused(document, Check::Encoding);
    refused(Bytes{}, Check::Encoding);
}

TEST_F(Refusal, DocumentsThatAreTooLarge) {
    refused(envelope(cose::kProtectedEs384, Bytes(cose::kMaxSign1, 0), Bytes(96, 0)),
            Check::Encoding);
}

TEST_F(Refusal, IndefiniteLengthOutsideThePayloadMap) {
    const Bytes payload = forge.document().encode_payload();
    Bytes array = envelope(cose::kProtectedEs384, payload, Bytes(96, 0));
    array[0] = 0x9f;
    array.push_back(0xff);
    refused(array, Check::Encoding);

    refused_with("pcrs", Bytes{0xbf, 0xff}, Check::PayloadEncoding);
    refused_with("cabundle", Bytes{0x9f, 0xff}, Check::PayloadEncoding);
    refused_with("module_id", Bytes{0x7f, 0x61, 'i', 0xff}, Check::PayloadEncoding);
}

TEST_F(Refusal, OtherCoseStructures) {
    refused(Bytes{0xa0}, Check::CoseStructure);
    refused(Bytes{0x83, 0x40, 0xa0, 0x40}, Check::CoseStructure);
    refused(item([](cbor::Writer& writer) {
                writer.array(4).bytes(cose::kProtectedEs384).map(0).null().bytes(Bytes(96, 0));
            }),
            Check::CoseStructure);
    refused(item([](cbor::Writer& writer) {
                writer.array(4).bytes(cose::kProtectedEs384).map(1).integer(4).bytes(Bytes{1});
                writer.bytes(Bytes{0xa0}).bytes(Bytes(96, 0));
            }),
            Check::CoseStructure);
}

// What QEMU's nitro-enclave machine gives: alg -1, 64 zero bytes as signature, certificate and
// cabundle.
TEST_F(Refusal, UnsignedQemuDocument) {
    AttestationDocument document = forge.document();
    document.certificate = Bytes(64, 0);
    document.cabundle = {Bytes(64, 0)};
    const Bytes bytes = envelope(Bytes{0xa1, 0x01, 0x20}, document.encode_payload(), Bytes(64, 0));
    refused(bytes, Checks{Check::Algorithm, Check::TrustAnchor, Check::ChainForm});
    const AttestationReport report = forge.verifier().report(bytes, expected);
    EXPECT_EQ(report.checks[static_cast<std::size_t>(Check::Signature)].verdict,
              Verdict::NotReached);
}

TEST_F(Refusal, OtherAlgorithms) {
    const Bytes payload = forge.document().encode_payload();
    for (const Bytes& header : {Bytes{0xa1, 0x01, 0x26}, Bytes{0xa1, 0x01, 0x38, 0x23}, Bytes{},
                                Bytes{0xa0}, Bytes{0xa2, 0x01, 0x38, 0x22, 0x04, 0x40}}) {
        // Signed correctly over that header, so that nothing but the header is wrong.
        const auto signature = forge.leaf_key.sign(cose::sig_structure(header, payload)).value();
        refused(envelope(header, payload, signature), Check::Algorithm);
    }
    const auto signature =
        forge.leaf_key.sign(cose::sig_structure(cose::kProtectedEs384, payload)).value();
    refused(envelope(cose::kProtectedEs384, payload, ByteView(signature).first(95)),
            Check::Algorithm);
}

TEST_F(Refusal, PayloadsThatAreNoMapOfTheFields) {
    refused(forge.sign_payload(Bytes{0x80}), Check::PayloadEncoding);
    refused(forge.sign_payload(as_bytes("text")), Check::PayloadEncoding);
    Bytes trailing = forge.document().encode_payload();
    trailing.push_back(0xf6);
    refused(forge.sign_payload(trailing), Check::PayloadEncoding);

    const Fields good = fields_of(forge.document());
    for (const char* name :
         {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"}) {
        Fields fields = good;
        std::erase_if(fields, [&](const auto& entry) { return entry.first == name; });
        refused(forge.sign_payload(encode(fields)), Check::PayloadEncoding);
    }
    for (const auto& [name, content] : good)
        refused_with(name, Bytes{0xf4}, Check::PayloadEncoding); // false, of no field's type
}

TEST_F(Refusal, DuplicateKeys) {
    for (const char* name : {"nonce", "public_key", "pcrs", "timestamp"}) {
        Fields fields = fields_of(forge.document());
        fields.emplace_back(name, field(fields, name));
        refused(forge.sign_payload(encode(fields)), Check::PayloadEncoding);
        refused(forge.sign_payload(encode_indefinite(fields)), Check::PayloadEncoding);
    }
    refused_with("pcrs", item([](cbor::Writer& writer) {
                     writer.map(2).unsigned_integer(0).bytes(filled(1));
                     writer.unsigned_integer(0).bytes(filled(2));
                 }),
                 Check::PayloadEncoding);
}

TEST_F(Refusal, DigestModuleAndTime) {
    refused_with("digest", item([](cbor::Writer& writer) { writer.text("SHA512"); }),
                 Check::Digest);
    refused_with("digest", item([](cbor::Writer& writer) { writer.text("sha384"); }),
                 Check::Digest);
    AttestationDocument document = forge.document();
    document.module_id.clear();
    refused(document, Check::ModuleId);
    document.module_id = std::string(kMaxModuleId + 1, 'i');
    refused(document, Check::ModuleId);
    // It is shown to people, whoever wrote it.
    for (const char* text : {"i-1\n  ACCEPTED: image \"vault\"", "i-1\x1b[2J", "i 1", "i-\xc3\xa9"}) {
        document.module_id = text;
        refused(document, Check::ModuleId);
    }
    document = forge.document();
    document.timestamp_ms = 0;
    refused(document, Check::Timestamp);
}

TEST_F(Refusal, RegisterTables) {
    const auto table = [](std::uint64_t count, const auto& index, std::size_t size) {
        return item([&](cbor::Writer& writer) {
            writer.map(count);
            for (std::uint64_t i = 0; i < count; ++i)
                writer.unsigned_integer(index(i)).bytes(Bytes(size, 1));
        });
    };
    const auto same = [](std::uint64_t i) { return i; };
    refused_with("pcrs", table(0, same, 48), Check::PcrTable);
    refused_with("pcrs", table(33, same, 48), Check::PcrTable);
    refused_with("pcrs",
                 table(
                     1, [](std::uint64_t) { return 32u; }, 48),
                 Check::PcrTable);
    refused_with("pcrs",
                 table(
                     1, [](std::uint64_t) { return 1ull << 32; }, 48),
                 Check::PcrTable);
    refused_with("pcrs", table(16, same, 47), Check::PcrTable);
    refused_with("pcrs", table(16, same, 32), Check::PcrTable);
    refused_with("pcrs",
                 item([](cbor::Writer& writer) { writer.map(1).integer(-1).bytes(filled(1)); }),
                 Check::PcrTable);
    refused_with("pcrs",
                 item([](cbor::Writer& writer) { writer.map(1).text("0").bytes(filled(1)); }),
                 Check::PcrTable);
    refused_with("pcrs", item([](cbor::Writer& writer) {
                     writer.map(1).unsigned_integer(0).text(std::string(48, 'x'));
                 }),
                 Check::PcrTable);
    // The other side of both bounds: 32 registers, the last of them 31.
    Fields fields = fields_of(forge.document());
    field(fields, "pcrs") = table(32, same, 48);
    EXPECT_TRUE(AttestationDocument::parse_payload(encode(fields)));
}

TEST_F(Refusal, CertificatesOfOtherSizes) {
    AttestationDocument document = forge.document();
    document.certificate.clear();
    refused(document, Check::CertificateSizes);
    document.certificate = Bytes(kMaxCertificate + 1, 0x30);
    refused(document, Check::CertificateSizes);
    document = forge.document();
    document.cabundle.clear();
    refused(document, Check::CertificateSizes);
    document.cabundle = {forge.root, Bytes{}};
    refused(document, Check::CertificateSizes);
    document.cabundle = {forge.root, Bytes(kMaxCertificate + 1, 0x30)};
    refused(document, Check::CertificateSizes);
    document.cabundle = std::vector<Bytes>(kMaxCabundle + 1, forge.root);
    refused(document, Check::CertificateSizes);
    refused_with("cabundle", Bytes{0x81, 0xf6}, Check::CertificateSizes);
}

TEST_F(Refusal, OversizeFields) {
    const auto with = [&](std::optional<Bytes> AttestationDocument::*member, std::size_t size) {
        AttestationDocument document = forge.document();
        document.*member = Bytes(size, 1);
        return document;
    };
    refused(with(&AttestationDocument::public_key, kMaxPublicKey + 1), Check::FieldSizes);
    refused(with(&AttestationDocument::user_data, kMaxUserData + 1), Check::FieldSizes);
    refused(with(&AttestationDocument::nonce, kMaxNonce + 1), Check::FieldSizes);
    Expectations any = expected;
    any.nonce = any.public_key = std::nullopt;
    for (const AttestationDocument& largest :
         {with(&AttestationDocument::public_key, kMaxPublicKey),
          with(&AttestationDocument::user_data, kMaxUserData),
          with(&AttestationDocument::nonce, kMaxNonce)})
        EXPECT_TRUE(forge.verifier().verify(forge.sign(largest), any));
}

TEST_F(Refusal, AnotherRoot) {
    const Bytes document = forge.sign(forge.document());
    // Same name, same key, another certificate: still another root.
    const Forge other = Forge::make();
    expect_refused(other.verifier(), document, expected, {Check::TrustAnchor});
    expect_refused(AttestationVerifier(TrustAnchor::aws(), Forge::policy()), document, expected,
                   {Check::TrustAnchor});
    // The trusted root in front of a chain that does not lead to it.
    Forge stranger = Forge::make();
    stranger.root_key = SigningKey::generate().value();
    AttestationDocument forged = stranger.document();
    forged.cabundle[0] = forge.root;
    refused(stranger.sign(forged), Check::ChainSignatures);
}

TEST_F(Refusal, ExpiredAndNotYetValidCertificates) {
    const auto refused_when = [&](CertificateProfile Forge::*link, std::uint64_t not_before,
                                  std::uint64_t not_after) {
        Forge changed = forge;
        (changed.*link).not_before = not_before;
        (changed.*link).not_after = not_after;
        refused(changed.sign(changed.document()), Check::ChainValidity);
    };
    for (const auto link : {&Forge::leaf, &Forge::zone, &Forge::region}) {
        refused_when(link, kNow - 600, kNow - 1);
        refused_when(link, kNow - 600, kNow);
        refused_when(link, kNow + 1, kNow + 600);
    }
    Forge edge = forge;
    edge.leaf.not_before = kNow;
    edge.leaf.not_after = kNow + 1;
    EXPECT_TRUE(edge.verifier().verify(edge.sign(edge.document()), expected));
}

TEST_F(Refusal, BrokenChains) {
    const AttestationDocument good = forge.document();
    AttestationDocument document = good;
    document.cabundle.pop_back(); // no zone
    refused(document, {Check::ChainNames, Check::ChainSignatures});

    document = good;
    std::swap(document.cabundle[1], document.cabundle[2]);
    refused(document, {Check::ChainNames, Check::ChainSignatures, Check::ChainConstraints});

    document = good;
    document.cabundle = {forge.root};
    refused(document, {Check::ChainNames, Check::ChainSignatures});

    document = good;
    document.certificate = forge.root; // a genuine certificate, but not of the signer, and a CA
    refused(document,
            {Check::ChainNames, Check::ChainSignatures, Check::ChainConstraints, Check::Signature});

    document = good;
    document.cabundle[1][document.cabundle[1].size() / 2] ^= 1;
    const auto damaged = forge.verifier().verify(forge.sign(document), expected);
    EXPECT_FALSE(damaged);

    Forge renamed = forge;
    renamed.leaf.issuer.common = "another zone";
    refused(renamed.sign(renamed.document()), Check::ChainNames);

    Forge usurped = forge;
    usurped.zone_key = SigningKey::generate().value();
    document = usurped.document(); // leaf signed by a key that the zone certificate does not name
    document.cabundle = good.cabundle;
    refused(usurped.sign(document), Check::ChainSignatures);
}

TEST_F(Refusal, CertificatesBeyondTheirPowers) {
    Forge long_chain = forge;
    long_chain.region.path_length = 0;
    refused(long_chain.sign(long_chain.document()), Check::ChainConstraints);

    Forge no_ca = forge;
    no_ca.zone.ca = false;
    no_ca.zone.path_length = std::nullopt;
    no_ca.zone.key_usage = "critical,keyCertSign";
    refused(no_ca.sign(no_ca.document()), Check::ChainConstraints);

    Forge no_cert_sign = forge;
    no_cert_sign.zone.key_usage = "critical,digitalSignature";
    refused(no_cert_sign.sign(no_cert_sign.document()), Check::ChainKeyUsage);

    Forge leaf_ca = forge;
    leaf_ca.leaf.ca = true;
    refused(leaf_ca.sign(leaf_ca.document()), Check::ChainConstraints);

    Forge leaf_usage = forge;
    leaf_usage.leaf.key_usage = "critical,keyAgreement";
    refused(leaf_usage.sign(leaf_usage.document()), Check::ChainKeyUsage);
}

TEST_F(Refusal, TamperedPayloadsAndForeignSignatures) {
    const AttestationDocument document = forge.document();
    const Bytes good = forge.sign(document);
    const auto parts = cose::Sign1::parse(good);
    ASSERT_TRUE(parts);
    AttestationDocument tampered = document;
    tampered.timestamp_ms += 1;
    refused(envelope(cose::kProtectedEs384, tampered.encode_payload(), parts->signature),
            Check::Signature);
    // The same content written in another way is not what was signed.
    refused(
        envelope(cose::kProtectedEs384, encode_indefinite(fields_of(document)), parts->signature),
        Check::Signature);

    Bytes flipped = good;
    flipped.back() ^= 1;
    refused(flipped, Check::Signature);
    refused(envelope(cose::kProtectedEs384, parts->payload, Bytes(96, 0)), Check::Signature);
    refused(envelope(cose::kProtectedEs384, parts->payload, Bytes(96, 0xff)), Check::Signature);

    // Signed by a certificate of the chain, but not by the leaf.
    refused(cose::sign1(document.encode_payload(), forge.zone_key.signer()).value(),
            Check::Signature);
    refused(cose::sign1(document.encode_payload(), forge.root_key.signer()).value(),
            Check::Signature);
}

TEST_F(Refusal, DebugMode) {
    // Allow-lists that would match: by PCR1 and PCR2 alone.
    const auto by_parts =
        PcrPolicy::make(
            {{.name = "parts",
              .required = {{PcrIndex::of<1>(), filled(2)}, {PcrIndex::of<2>(), filled(3)}}}})
            .value();
    const AttestationVerifier verifier(forge.anchor(), by_parts);
    AttestationDocument document = forge.document();
    ASSERT_TRUE(verifier.verify(forge.sign(document), expected));
    document.pcrs[PcrIndex::of<0>()] = filled(0);
    expect_refused(verifier, forge.sign(document), expected, {Check::DebugMode, Check::PcrPolicy});
    document.pcrs.erase(PcrIndex::of<0>());
    expect_refused(verifier, forge.sign(document), expected, {Check::DebugMode, Check::PcrPolicy});
}

TEST_F(Refusal, ImagesNotOnTheList) {
    AttestationDocument document = forge.document();
    document.pcrs[PcrIndex::of<0>()] = filled(4);
    refused(document, Check::PcrPolicy);
    document.pcrs[PcrIndex::of<0>()] = filled(9); // the other image's: that entry asks for no more
    EXPECT_TRUE(forge.verifier().verify(forge.sign(document), expected));
    document = forge.document();
    document.pcrs[PcrIndex::of<2>()] = filled(4); // PCR0 right, PCR2 of the same entry wrong
    refused(document, Check::PcrPolicy);
    document.pcrs.erase(PcrIndex::of<2>());
    refused(document, Check::PcrPolicy);
}

TEST_F(Refusal, StaleAndFutureDocuments) {
    expected.max_age = std::chrono::seconds(10);
    expected.max_ahead = std::chrono::seconds(2);
    const Bytes document = forge.sign(forge.document());
    const auto at = [&](std::int64_t offset_ms) {
        Expectations moved = expected;
        moved.now_ms = static_cast<std::uint64_t>(static_cast<std::int64_t>(kNowMs) + offset_ms);
        return moved;
    };
    for (const std::int64_t offset : {-2000, 0, 10'000})
        EXPECT_TRUE(forge.verifier().verify(document, at(offset))) << offset;
    for (const std::int64_t offset : {-2001, 10'001})
        expect_refused(forge.verifier(), document, at(offset), {Check::Freshness});
    expected.max_age = std::chrono::seconds(-1);
    EXPECT_TRUE(forge.verifier().verify(document, at(0)));
    expect_refused(forge.verifier(), document, at(1), {Check::Freshness});

    AttestationDocument far = forge.document();
    far.timestamp_ms = std::numeric_limits<std::uint64_t>::max();
    refused(far, Check::Freshness);
    // As archived evidence such a time is judged by the certificates, which were never valid then.
    expected.evidence = Evidence::Archived;
    refused(far, Check::ChainValidity);
}

TEST_F(Refusal, WrongOrMissingNonce) {
    expected.nonce = Bytes(32, 8);
    refused(forge.sign(forge.document()), Check::Nonce);
    expected.nonce = Bytes(31, 7);
    refused(forge.sign(forge.document()), Check::Nonce);
    expected.nonce = Bytes{};
    refused(forge.sign(forge.document()), Check::Nonce);
    expected = Forge::expectations();
    AttestationDocument document = forge.document();
    document.nonce = std::nullopt;
    refused(document, Check::Nonce);
    document.nonce = Bytes{};
    refused(document, Check::Nonce);
    expected.nonce = Bytes{};
    refused(document, Check::Nonce);
}

TEST_F(Refusal, WrongOrMissingPublicKey) {
    expected.public_key = Bytes(33, 3);
    refused(forge.sign(forge.document()), Check::PublicKey);
    expected = Forge::expectations();
    AttestationDocument document = forge.document();
    document.public_key = std::nullopt;
    refused(document, Check::PublicKey);
    document.public_key = Bytes(32, 2);
    refused(document, Check::PublicKey);
}

// Nothing in a document is without meaning: no byte of a sample can be changed and still be
// accepted.
TEST_F(Refusal, EveryChangedByte) {
    const Bytes good = forge.sign(forge.document());
    const AttestationVerifier verifier = forge.verifier();
    ASSERT_TRUE(verifier.verify(good, expected));
    const std::size_t tail = good.size() - 100;
    for (std::size_t i = 0; i < good.size(); i += i < 32 || i >= tail ? 1 : 23) {
        Bytes bad = good;
        bad[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
        EXPECT_FALSE(verifier.verify(bad, expected)) << "byte " << i;
    }
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_FALSE(verifier.verify(ByteView(good).first(size), expected)) << size;
}

} // namespace
} // namespace keymeld::attestation::test
