#include "core/attestation/eif/signature.h"

#include "core/attestation/eif/image.h"
#include "core/attestation/issuer/certificate_issuer.h"
#include "core/crypto/cbor.h"
#include "core/crypto/cose.h"
#include "core/crypto/digest.h"

namespace keymeld::eif {
namespace {

using attestation::PcrValue;

constexpr std::string_view kCertificateKey = "signing_certificate";
constexpr std::string_view kSignatureKey = "signature";
constexpr std::string_view kIndexKey = "register_index";
constexpr std::string_view kValueKey = "register_value";
constexpr cbor::Limits kSectionLimits{
    .max_size = kMaxSignature, .max_depth = 3, .max_items = 16 * 1024};

Error invalid_signature(std::string what, std::source_location where = std::source_location::current()) {
    return fail(Errc::InvalidArgument, "image signature: " + std::move(what), where);
}

void write_integers(cbor::Writer& out, ByteView bytes) {
    out.array(bytes.size());
    for (const std::uint8_t byte : bytes)
        out.unsigned_integer(byte);
}

Result<Bytes> read_integers(const cbor::Value* value, std::string_view what) {
    const auto* items = value != nullptr ? value->as_array() : nullptr;
    if (items == nullptr || items->empty())
        return invalid_signature(std::string(what) + " is missing or is no array");
    Bytes bytes;
    bytes.reserve(items->size());
    for (const cbor::Value& item : *items) {
        const auto number = item.as_unsigned();
        if (!number || *number > 0xff)
            return invalid_signature(std::string(what) + " holds something that is no byte");
        bytes.push_back(static_cast<std::uint8_t>(*number));
    }
    return bytes;
}

Bytes payload_of(const PcrValue& pcr0) {
    cbor::Writer out;
    out.map(2).text(kIndexKey).unsigned_integer(0).text(kValueKey);
    write_integers(out, pcr0);
    return std::move(out).take();
}

/// The register that the signature is over.
Status check_payload(ByteView payload, const PcrValue& pcr0) {
    KEYMELD_TRY(const cbor::Value content, cbor::decode(payload, kSectionLimits));
    const cbor::Value* index = content.find(kIndexKey);
    if (content.as_map() == nullptr || content.as_map()->size() != 2 || index == nullptr)
        return invalid_signature("its payload is not a register");
    KEYMELD_TRY(const Bytes value, read_integers(content.find(kValueKey), kValueKey));
    if (index->as_unsigned() != std::uint64_t{0} || value != Bytes(pcr0.begin(), pcr0.end()))
        return fail(Errc::InvalidSignature,
                    "image signature: it is over another image or register");
    return {};
}

} // namespace

Result<Bytes> sign_image(const PcrValue& pcr0, std::string_view certificate_pem,
                         const attestation::SigningKey& key) {
    KEYMELD_TRY(const Bytes der, attestation::certificate_der(certificate_pem));
    KEYMELD_TRY(const cose::Es384PublicKey certified, attestation::certificate_key(der));
    if (certified != key.public_key())
        return invalid_signature("the certificate is not one of the signing key");
    KEYMELD_TRY(const Bytes signature, cose::sign1(payload_of(pcr0), key.signer()));
    cbor::Writer out;
    out.array(1).map(2).text(kCertificateKey);
    // As it was issued: one certificate in the form that certificate_pem() gives, nothing around
    // it.
    write_integers(out, as_bytes(attestation::certificate_pem(der)));
    out.text(kSignatureKey);
    write_integers(out, signature);
    return std::move(out).take();
}

Result<PcrValue> verify_signature(ByteView section, const PcrValue& pcr0) {
    KEYMELD_TRY(const cbor::Value content, cbor::decode(section, kSectionLimits));
    const auto* list = content.as_array();
    if (list == nullptr || list->size() != 1 || list->front().as_map() == nullptr ||
        list->front().as_map()->size() != 2)
        return invalid_signature("the section is not a list of one signature");
    const cbor::Value& entry = list->front();
    KEYMELD_TRY(const Bytes pem, read_integers(entry.find(kCertificateKey), kCertificateKey));
    KEYMELD_TRY(const Bytes signature, read_integers(entry.find(kSignatureKey), kSignatureKey));
    KEYMELD_TRY(const Bytes der, attestation::certificate_der(as_text(pem)));
    KEYMELD_TRY(const cose::Es384PublicKey key, attestation::certificate_key(der));
    KEYMELD_TRY(const cose::Sign1 envelope, cose::Sign1::parse(signature));
    KEYMELD_CHECK(envelope.require_es384());
    KEYMELD_CHECK(envelope.verify(key));
    KEYMELD_CHECK(check_payload(envelope.payload, pcr0));
    return attestation::extend_pcr(PcrValue{}, crypto::sha384(der));
}

} // namespace keymeld::eif
