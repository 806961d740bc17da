#include "core/attestation/document.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/crypto/cbor.h"
#include "core/crypto/cose.h"

namespace keymeld::attestation {
namespace {

using Check = AttestationCheck;

constexpr std::string_view kDigestName = "SHA384";
constexpr std::size_t kFieldCount = 9;
// A genuine payload has about 60 items at depth 2. The rest is room for fields of later modules.
constexpr cbor::Limits kPayloadLimits = {.max_size = cose::kMaxSign1,
                                         .max_depth = 4,
                                         .max_items = 256,
                                         .indefinite = cbor::Indefinite::OutermostMap};

/// The nine fields, looked up and type-checked before any of them is judged.
struct Fields {
    std::string_view module_id;
    std::string_view digest;
    std::uint64_t timestamp = 0;
    const std::vector<cbor::Value::Entry>* pcrs = nullptr;
    ByteView certificate;
    const std::vector<cbor::Value>* cabundle = nullptr;
    std::optional<ByteView> public_key;
    std::optional<ByteView> user_data;
    std::optional<ByteView> nonce;
};

/// Stores the field's content in `out`; false if the field is missing or of another type.
template <class T, class U> bool take(const std::optional<T>& content, U& out) {
    if (content)
        out = *content;
    return content.has_value();
}

/// Absent is written as null, or not at all.
bool take_optional(const cbor::Value* field, std::optional<ByteView>& out) {
    if (!field || field->is_null())
        return true;
    return take(field->as_bytes(), out);
}

Result<Fields> read_fields(const cbor::Value& payload) {
    if (!payload.as_map())
        return refuse(Check::PayloadEncoding, "the payload is not a map");
    Fields fields;
    const auto field = [&](std::string_view name) {
        static const cbor::Value missing;
        const cbor::Value* found = payload.find(name);
        return found ? found : &missing;
    };
    if (!take(field("module_id")->as_text(), fields.module_id))
        return refuse(Check::PayloadEncoding, "module_id is missing or no text");
    if (!take(field("digest")->as_text(), fields.digest))
        return refuse(Check::PayloadEncoding, "digest is missing or no text");
    if (!take(field("timestamp")->as_unsigned(), fields.timestamp))
        return refuse(Check::PayloadEncoding, "timestamp is missing or no unsigned integer");
    fields.pcrs = field("pcrs")->as_map();
    if (!fields.pcrs)
        return refuse(Check::PayloadEncoding, "pcrs is missing or no map");
    if (!take(field("certificate")->as_bytes(), fields.certificate))
        return refuse(Check::PayloadEncoding, "certificate is missing or no byte string");
    fields.cabundle = field("cabundle")->as_array();
    if (!fields.cabundle)
        return refuse(Check::PayloadEncoding, "cabundle is missing or no array");
    if (!take_optional(payload.find("public_key"), fields.public_key))
        return refuse(Check::PayloadEncoding, "public_key is neither null nor a byte string");
    if (!take_optional(payload.find("user_data"), fields.user_data))
        return refuse(Check::PayloadEncoding, "user_data is neither null nor a byte string");
    if (!take_optional(payload.find("nonce"), fields.nonce))
        return refuse(Check::PayloadEncoding, "nonce is neither null nor a byte string");
    return fields;
}

Result<PcrSet> read_pcrs(const std::vector<cbor::Value::Entry>& table) {
    if (table.empty() || table.size() > PcrIndex::kCount)
        return refuse(Check::PcrTable, "not 1 to 32 registers");
    PcrSet pcrs;
    for (const auto& [key, content] : table) {
        const auto number = key.as_unsigned();
        const auto index =
            number ? PcrIndex::make(*number) : fail(Errc::InvalidArgument, "no unsigned integer");
        if (!index)
            return refuse(Check::PcrTable, "a register index is not 0 to 31");
        const auto bytes = content.as_bytes();
        PcrValue value{};
        if (!bytes || bytes->size() != value.size())
            return refuse(Check::PcrTable, index->name() + " is not 48 bytes");
        std::ranges::copy(*bytes, value.begin());
        pcrs.emplace(*index, value);
    }
    return pcrs;
}

Result<std::vector<Bytes>> read_cabundle(const std::vector<cbor::Value>& bundle) {
    if (bundle.empty() || bundle.size() > kMaxCabundle)
        return refuse(Check::CertificateSizes, "cabundle is empty or too long");
    std::vector<Bytes> certificates;
    for (const cbor::Value& entry : bundle) {
        const auto der = entry.as_bytes();
        if (!der || der->empty() || der->size() > kMaxCertificate)
            return refuse(Check::CertificateSizes, "a cabundle entry is not 1 to 1024 bytes");
        certificates.push_back(to_bytes(*der));
    }
    return certificates;
}

Result<std::optional<Bytes>> read_field(const std::optional<ByteView>& field, std::size_t max,
                                        const char* complaint) {
    std::optional<Bytes> copy;
    if (field) {
        if (field->size() > max)
            return refuse(Check::FieldSizes, complaint);
        copy = to_bytes(*field);
    }
    return copy;
}

void write_field(cbor::Writer& writer, std::string_view name, const std::optional<Bytes>& field) {
    writer.text(name);
    if (field)
        writer.bytes(*field);
    else
        writer.null();
}

} // namespace

Result<cose::Sign1> parse_envelope(ByteView cose_sign1) {
    if (const auto encoding = cbor::decode(cose_sign1, cose::kSign1Limits); !encoding)
        return refuse(Check::Encoding, encoding.error().detail);
    auto parts = cose::Sign1::parse(cose_sign1);
    if (!parts)
        return refuse(Check::CoseStructure, parts.error().detail);
    return parts;
}

Result<AttestationDocument> AttestationDocument::parse_unverified(ByteView cose_sign1) {
    KEYMELD_TRY(const cose::Sign1 parts, parse_envelope(cose_sign1));
    return parse_payload(parts.payload);
}

Result<AttestationDocument> AttestationDocument::parse_payload(ByteView payload) {
    const auto decoded = cbor::decode(payload, kPayloadLimits);
    if (!decoded)
        return refuse(Check::PayloadEncoding, decoded.error().detail);
    KEYMELD_TRY(const Fields fields, read_fields(*decoded));
    if (fields.digest != kDigestName)
        return refuse(Check::Digest, "the digest is not SHA384");
    if (fields.module_id.empty() || fields.module_id.size() > kMaxModuleId ||
        !std::ranges::all_of(fields.module_id, [](char c) { return c > 0x20 && c < 0x7f; }))
        return refuse(Check::ModuleId, "module_id is empty, too long or not printable");
    if (fields.timestamp == 0)
        return refuse(Check::Timestamp, "the timestamp is zero");

    AttestationDocument document;
    document.module_id = fields.module_id;
    document.timestamp_ms = fields.timestamp;
    KEYMELD_TRY(document.pcrs, read_pcrs(*fields.pcrs));
    if (fields.certificate.empty() || fields.certificate.size() > kMaxCertificate)
        return refuse(Check::CertificateSizes, "the certificate is not 1 to 1024 bytes");
    document.certificate = to_bytes(fields.certificate);
    KEYMELD_TRY(document.cabundle, read_cabundle(*fields.cabundle));
    KEYMELD_TRY(document.public_key,
                read_field(fields.public_key, kMaxPublicKey, "public_key is too long"));
    KEYMELD_TRY(document.user_data,
                read_field(fields.user_data, kMaxUserData, "user_data is too long"));
    KEYMELD_TRY(document.nonce, read_field(fields.nonce, kMaxNonce, "nonce is too long"));
    return document;
}

Bytes AttestationDocument::encode_payload() const {
    cbor::Writer writer;
    writer.map(kFieldCount);
    writer.text("module_id").text(module_id);
    writer.text("digest").text(kDigestName);
    writer.text("timestamp").unsigned_integer(timestamp_ms);
    writer.text("pcrs").map(pcrs.size());
    for (const auto& [index, value] : pcrs)
        writer.unsigned_integer(index.number()).bytes(value);
    writer.text("certificate").bytes(certificate);
    writer.text("cabundle").array(cabundle.size());
    for (const Bytes& entry : cabundle)
        writer.bytes(entry);
    write_field(writer, "public_key", public_key);
    write_field(writer, "user_data", user_data);
    write_field(writer, "nonce", nonce);
    return std::move(writer).take();
}

} // namespace keymeld::attestation
