#include "enclave/nsm/nsm_client.h"

#include <algorithm>
#include <limits>

#include "core/attestation/document.h"
#include "core/crypto/cbor.h"
#include "core/secure/cleanse.h"

namespace keymeld::nsm {
namespace {

constexpr cbor::Limits kResponseLimits = {
    .max_size = kMaxResponse, .max_depth = 4, .max_items = 128};
constexpr std::size_t kMaxRandom = 4096;

Error malformed(std::source_location where = std::source_location::current()) {
    return fail(Errc::AttestationUnavailable, "the NSM gave an answer of another form", where);
}

/// An answer, decoded. Views point into `bytes`, which is wiped at the end: it may hold random
/// bytes.
class Answer {
  public:
    static Result<Answer> ask(NsmTransport& transport, const cbor::Writer& request) {
        KEYMELD_TRY(Bytes bytes, transport.process(request.view()));
        Answer answer(std::move(bytes));
        auto value = cbor::decode(answer.m_bytes, kResponseLimits);
        if (!value)
            return malformed();
        answer.m_value = std::move(*value);
        if (const cbor::Value* error = answer.m_value.find("Error")) {
            const auto name = error->as_text();
            return fail(Errc::AttestationUnavailable,
                        "the NSM reports " + std::string(name.value_or("an error")));
        }
        return answer;
    }

    Answer(Answer&&) noexcept = default;
    Answer& operator=(Answer&&) = delete;
    ~Answer() { secure::cleanse(m_bytes); }

    /// What stands under the name of the request, with a field of it; nullptr if there is none.
    const cbor::Value* field(std::string_view request, std::string_view name) const {
        const cbor::Value* body = m_value.find(request);
        return body ? body->find(name) : nullptr;
    }
    bool is_bare(std::string_view request) const { return m_value.as_text() == request; }

  private:
    explicit Answer(Bytes bytes) : m_bytes(std::move(bytes)) {}
    Bytes m_bytes;
    cbor::Value m_value;
};

void write_field(cbor::Writer& writer, std::string_view name, const std::optional<Bytes>& field) {
    writer.text(name);
    if (field)
        writer.bytes(*field);
    else
        writer.null();
}

bool fits(const std::optional<Bytes>& field, std::size_t max) {
    return !field || field->size() <= max;
}

Result<std::uint16_t> read_u16(const Answer& answer, std::string_view name) {
    const cbor::Value* field = answer.field("DescribeNSM", name);
    const auto number = field ? field->as_unsigned() : std::nullopt;
    if (!number || *number > std::numeric_limits<std::uint16_t>::max())
        return malformed();
    return static_cast<std::uint16_t>(*number);
}

Result<std::string> read_text(const Answer& answer, std::string_view name) {
    const cbor::Value* field = answer.field("DescribeNSM", name);
    const auto text = field ? field->as_text() : std::nullopt;
    if (!text)
        return malformed();
    return std::string(*text);
}

Result<attestation::PcrValue> read_register(const Answer& answer, std::string_view request) {
    const cbor::Value* field = answer.field(request, "data");
    const auto bytes = field ? field->as_bytes() : std::nullopt;
    attestation::PcrValue value{};
    if (!bytes || bytes->size() != value.size())
        return malformed();
    std::ranges::copy(*bytes, value.begin());
    return value;
}

} // namespace

NsmClient::NsmClient(std::unique_ptr<NsmTransport> transport) : m_transport(std::move(transport)) {}

Result<Bytes> NsmClient::attest(const std::optional<Bytes>& public_key,
                                const std::optional<Bytes>& user_data,
                                const std::optional<Bytes>& nonce) {
    if (!fits(public_key, attestation::kMaxPublicKey) ||
        !fits(user_data, attestation::kMaxUserData) || !fits(nonce, attestation::kMaxNonce))
        return fail(Errc::InvalidArgument, "a field for the attestation document is too long");
    cbor::Writer request;
    request.map(1).text("Attestation").map(3);
    write_field(request, "user_data", user_data);
    write_field(request, "nonce", nonce);
    write_field(request, "public_key", public_key);
    KEYMELD_TRY(const Answer answer, Answer::ask(*m_transport, request));
    const cbor::Value* document = answer.field("Attestation", "document");
    if (!document || !document->as_bytes())
        return malformed();
    return to_bytes(*document->as_bytes());
}

Status NsmClient::get_random(MutableByteView out) {
    if (out.size() > kMaxRandom)
        return fail(Errc::InvalidArgument, "too many random bytes asked of the NSM");
    cbor::Writer request;
    request.text("GetRandom");
    while (!out.empty()) {
        KEYMELD_TRY(const Answer answer, Answer::ask(*m_transport, request));
        const cbor::Value* random = answer.field("GetRandom", "random");
        const auto bytes = random ? random->as_bytes() : std::nullopt;
        if (!bytes || bytes->empty())
            return malformed();
        const std::size_t size = std::min(bytes->size(), out.size());
        std::ranges::copy(bytes->first(size), out.begin());
        out = out.subspan(size);
    }
    return {};
}

Result<NsmDescription> NsmClient::describe() {
    cbor::Writer request;
    request.text("DescribeNSM");
    KEYMELD_TRY(const Answer answer, Answer::ask(*m_transport, request));
    NsmDescription description;
    KEYMELD_TRY(description.digest, read_text(answer, "digest"));
    KEYMELD_TRY(description.module_id, read_text(answer, "module_id"));
    KEYMELD_TRY(description.max_pcrs, read_u16(answer, "max_pcrs"));
    KEYMELD_TRY(description.version_major, read_u16(answer, "version_major"));
    KEYMELD_TRY(description.version_minor, read_u16(answer, "version_minor"));
    KEYMELD_TRY(description.version_patch, read_u16(answer, "version_patch"));
    const cbor::Value* field = answer.field("DescribeNSM", "locked_pcrs");
    if (!field || !field->as_array())
        return malformed();
    for (const cbor::Value& item : *field->as_array()) {
        const auto number = item.as_unsigned();
        const auto index =
            attestation::PcrIndex::make(number.value_or(attestation::PcrIndex::kCount));
        if (!index)
            return malformed();
        description.locked_pcrs.insert(*index);
    }
    return description;
}

Result<PcrDescription> NsmClient::describe_pcr(attestation::PcrIndex index) {
    cbor::Writer request;
    request.map(1).text("DescribePCR").map(1).text("index").unsigned_integer(index.number());
    KEYMELD_TRY(const Answer answer, Answer::ask(*m_transport, request));
    PcrDescription description;
    KEYMELD_TRY(description.value, read_register(answer, "DescribePCR"));
    const cbor::Value* lock = answer.field("DescribePCR", "lock");
    if (!lock || !lock->as_boolean())
        return malformed();
    description.locked = *lock->as_boolean();
    return description;
}

Result<attestation::PcrValue> NsmClient::extend_pcr(attestation::PcrIndex index, ByteView data) {
    cbor::Writer request;
    request.map(1).text("ExtendPCR").map(2);
    request.text("index").unsigned_integer(index.number());
    request.text("data").bytes(data);
    KEYMELD_TRY(const Answer answer, Answer::ask(*m_transport, request));
    return read_register(answer, "ExtendPCR");
}

Status NsmClient::lock_pcr(attestation::PcrIndex index) {
    cbor::Writer request;
    request.map(1).text("LockPCR").map(1).text("index").unsigned_integer(index.number());
    KEYMELD_TRY(const Answer answer, Answer::ask(*m_transport, request));
    if (!answer.is_bare("LockPCR"))
        return malformed();
    return {};
}

Status NsmClient::lock_pcrs(std::uint8_t count) {
    cbor::Writer request;
    request.map(1).text("LockPCRs").map(1).text("range").unsigned_integer(count);
    KEYMELD_TRY(const Answer answer, Answer::ask(*m_transport, request));
    if (!answer.is_bare("LockPCRs"))
        return malformed();
    return {};
}

} // namespace keymeld::nsm
