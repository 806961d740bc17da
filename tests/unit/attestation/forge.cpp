#include "tests/unit/attestation/forge.h"

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "core/crypto/cbor.h"

namespace keymeld::attestation::test {
namespace {

CertificateName name(std::string common) {
    return {.organization = "Test", .unit = "Attestation", .common = std::move(common)};
}

/// Keys are made once: what tells documents apart are their certificates.
SigningKey shared_key(std::size_t number) {
    static const std::vector<SigningKey> keys = [] {
        std::vector<SigningKey> made;
        for (int i = 0; i < 4; ++i)
            made.push_back(SigningKey::generate().value());
        return made;
    }();
    return keys.at(number);
}

} // namespace

Forge Forge::make() {
    const auto profile = [](const char* subject, const char* issuer, std::uint64_t seconds) {
        return CertificateProfile{.subject = name(subject),
                                  .issuer = name(issuer),
                                  .not_before = kNow - 60,
                                  .not_after = kNow + seconds};
    };
    CertificateProfile root = profile("root", "root", 3600 * 24 * 365);
    root.ca = true;
    Forge forge{.root_key = shared_key(0),
                .region_key = shared_key(1),
                .zone_key = shared_key(2),
                .leaf_key = shared_key(3),
                .region = profile("region", "root", 3600 * 24 * 20),
                .zone = profile("zone", "region", 3600 * 24),
                .leaf = profile("leaf", "zone", 3600 * 3),
                .root = issue_certificate(root, shared_key(0), shared_key(0)).value()};
    forge.region.ca = forge.zone.ca = true;
    forge.region.path_length = 1;
    forge.zone.path_length = 0;
    return forge;
}

AttestationDocument Forge::document() const {
    AttestationDocument document;
    document.module_id = "i-0123456789abcdef0-enc0123456789abcdef";
    document.timestamp_ms = kNowMs;
    for (std::uint8_t i = 0; i < 16; ++i)
        document.pcrs[*PcrIndex::make(i)] = filled(i < 3 ? static_cast<std::uint8_t>(i + 1) : 0);
    document.certificate = issue_certificate(leaf, leaf_key, zone_key).value();
    document.cabundle = {root, issue_certificate(region, region_key, root_key).value(),
                         issue_certificate(zone, zone_key, region_key).value()};
    document.public_key = Bytes(33, 2);
    document.user_data = to_bytes(as_bytes("user data"));
    document.nonce = Bytes(32, 7);
    return document;
}

Bytes Forge::sign_payload(ByteView payload) const {
    return cose::sign1(payload, leaf_key.signer()).value();
}

TrustAnchor Forge::anchor() const {
    return TrustAnchor::from_pem(certificate_pem(root)).value();
}

PcrPolicy Forge::policy() {
    return PcrPolicy::make(
               {{.name = "another image", .required = {{PcrIndex::of<0>(), filled(9)}}},
                {.name = "the image",
                 .required = {{PcrIndex::of<0>(), filled(1)}, {PcrIndex::of<2>(), filled(3)}}}})
        .value();
}

Expectations Forge::expectations() {
    Expectations expected;
    expected.nonce = Bytes(32, 7);
    expected.public_key = Bytes(33, 2);
    expected.now_ms = kNowMs;
    return expected;
}

Fields fields_of(const AttestationDocument& document) {
    const Bytes payload = document.encode_payload();
    const auto decoded = cbor::decode(payload);
    Fields fields;
    for (const auto& [key, value] : *decoded.value().as_map()) {
        cbor::Writer writer;
        if (const auto text = value.as_text())
            writer.text(*text);
        else if (const auto bytes = value.as_bytes())
            writer.bytes(*bytes);
        else if (const auto number = value.as_unsigned())
            writer.unsigned_integer(*number);
        else if (value.as_map()) {
            writer.map(document.pcrs.size());
            for (const auto& [index, content] : document.pcrs)
                writer.unsigned_integer(index.number()).bytes(content);
        } else if (value.as_array()) {
            writer.array(document.cabundle.size());
            for (const Bytes& certificate : document.cabundle)
                writer.bytes(certificate);
        } else
            writer.null();
        fields.emplace_back(std::string(*key.as_text()), std::move(writer).take());
    }
    return fields;
}

Bytes& field(Fields& fields, std::string_view name) {
    for (auto& [key, item] : fields)
        if (key == name)
            return item;
    throw std::logic_error("no such field");
}

Bytes encode(const Fields& fields) {
    cbor::Writer writer;
    writer.map(fields.size());
    for (const auto& [key, item] : fields)
        writer.text(key).encoded(item);
    return std::move(writer).take();
}

Bytes encode_indefinite(const Fields& fields) {
    cbor::Writer writer;
    writer.encoded(Bytes{0xbf});
    for (const auto& [key, item] : fields)
        writer.text(key).encoded(item);
    writer.encoded(Bytes{0xff});
    return std::move(writer).take();
}

PcrValue filled(std::uint8_t byte) {
    PcrValue value{};
    value.fill(byte);
    return value;
}

Bytes rework(const Bytes& der, const SigningKey& key, const std::function<void(X509*)>& change,
             const EVP_MD* digest) {
    const unsigned char* at = der.data();
    X509* x509 = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
    if (!x509)
        throw std::logic_error("not a certificate");
    change(x509);
    if (X509_sign(x509, key.native(), digest) <= 0)
        throw std::logic_error("cannot sign");
    Bytes out(static_cast<std::size_t>(i2d_X509(x509, nullptr)));
    unsigned char* to = out.data();
    i2d_X509(x509, &to);
    X509_free(x509);
    return out;
}

TempDir::TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "keymeld-test-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
        throw std::runtime_error("no temporary directory");
    m_path = pattern;
}

TempDir::~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(m_path, ignored);
}

std::filesystem::path TempDir::write(const std::string& name, std::string_view content) const {
    std::ofstream(m_path / name, std::ios::binary) << content;
    return m_path / name;
}

} // namespace keymeld::attestation::test
