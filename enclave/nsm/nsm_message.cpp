#include "enclave/nsm/nsm_message.h"

#include "core/crypto/cbor.h"
#include "enclave/nsm/nsm_transport.h"

namespace keymeld::nsm {
namespace {

constexpr cbor::Limits kRequestLimits = {.max_size = kMaxRequest, .max_depth = 3, .max_items = 16};

std::string_view error_name(NsmError error) {
    switch (error) {
    case NsmError::InvalidArgument:
        return "InvalidArgument";
    case NsmError::InvalidIndex:
        return "InvalidIndex";
    case NsmError::ReadOnlyIndex:
        return "ReadOnlyIndex";
    case NsmError::InvalidOperation:
        return "InvalidOperation";
    case NsmError::InputTooLarge:
        return "InputTooLarge";
    case NsmError::InternalError:
        return "InternalError";
    }
    return "InternalError";
}

std::optional<std::uint64_t> number(const cbor::Value& body, std::string_view name) {
    const cbor::Value* field = body.find(name);
    return field ? field->as_unsigned() : std::nullopt;
}

/// True if the field is absent, null or a byte string; stores the latter.
bool optional_bytes(const cbor::Value& body, std::string_view name, std::optional<Bytes>& out) {
    const cbor::Value* field = body.find(name);
    if (!field || field->is_null())
        return true;
    const auto bytes = field->as_bytes();
    if (bytes)
        out = to_bytes(*bytes);
    return bytes.has_value();
}

std::optional<NsmRequest> decode_extend(const cbor::Value& body) {
    const auto index = number(body, "index");
    const cbor::Value* data = body.find("data");
    if (!index || !data || !data->as_bytes())
        return std::nullopt;
    return ExtendPcr{*index, to_bytes(*data->as_bytes())};
}

std::optional<NsmRequest> decode_attest(const cbor::Value& body) {
    Attest request;
    if (!body.as_map() || !optional_bytes(body, "user_data", request.user_data) ||
        !optional_bytes(body, "nonce", request.nonce) ||
        !optional_bytes(body, "public_key", request.public_key))
        return std::nullopt;
    return request;
}

std::optional<NsmRequest> decode_call(std::string_view name, const cbor::Value& body) {
    if (name == "Attestation")
        return decode_attest(body);
    if (name == "ExtendPCR")
        return decode_extend(body);
    if (name == "LockPCRs") {
        const auto count = number(body, "range");
        return count ? std::optional<NsmRequest>(LockPcrs{*count}) : std::nullopt;
    }
    const auto index = number(body, "index");
    if (index && name == "DescribePCR")
        return DescribePcr{*index};
    if (index && name == "LockPCR")
        return LockPcr{*index};
    return std::nullopt;
}

} // namespace

std::optional<NsmRequest> decode_request(ByteView request) {
    const auto value = cbor::decode(request, kRequestLimits);
    if (!value)
        return std::nullopt;
    if (const auto name = value->as_text()) {
        if (*name == "DescribeNSM")
            return DescribeNsm{};
        if (*name == "GetRandom")
            return GetRandom{};
        return std::nullopt;
    }
    const auto* call = value->as_map();
    if (!call || call->size() != 1 || !call->front().first.as_text())
        return std::nullopt;
    return decode_call(*call->front().first.as_text(), call->front().second);
}

Bytes encode_error(NsmError error) {
    cbor::Writer writer;
    writer.map(1).text("Error").text(error_name(error));
    return std::move(writer).take();
}

Bytes encode_description(std::string_view module_id,
                         const std::set<attestation::PcrIndex>& locked) {
    cbor::Writer writer;
    writer.map(1).text("DescribeNSM").map(7);
    writer.text("digest").text("SHA384");
    writer.text("max_pcrs").unsigned_integer(attestation::PcrIndex::kCount);
    writer.text("module_id").text(module_id);
    writer.text("locked_pcrs").array(locked.size());
    for (const attestation::PcrIndex index : locked)
        writer.unsigned_integer(index.number());
    writer.text("version_major").unsigned_integer(1);
    writer.text("version_minor").unsigned_integer(0);
    writer.text("version_patch").unsigned_integer(0);
    return std::move(writer).take();
}

Bytes encode_random(ByteView random) {
    cbor::Writer writer;
    writer.map(1).text("GetRandom").map(1).text("random").bytes(random);
    return std::move(writer).take();
}

Bytes encode_pcr(const attestation::PcrValue& value, bool locked) {
    cbor::Writer writer;
    writer.map(1).text("DescribePCR").map(2);
    writer.text("data").bytes(value).text("lock").boolean(locked);
    return std::move(writer).take();
}

Bytes encode_extended(const attestation::PcrValue& value) {
    cbor::Writer writer;
    writer.map(1).text("ExtendPCR").map(1).text("data").bytes(value);
    return std::move(writer).take();
}

Bytes encode_done(std::string_view request) {
    cbor::Writer writer;
    writer.text(request);
    return std::move(writer).take();
}

Bytes encode_document(ByteView document) {
    cbor::Writer writer;
    writer.map(1).text("Attestation").map(1).text("document").bytes(document);
    return std::move(writer).take();
}

} // namespace keymeld::nsm
