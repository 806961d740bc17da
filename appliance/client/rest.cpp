#include "appliance/client/rest.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/json/document.h"
#include "appliance/json/writer.h"
#include "core/base/base64.h"
#include "core/base/hex.h"
#include "core/base/utf8.h"

namespace keymeld::client {

namespace asio = boost::asio;
using json::BytesForm;

namespace {

constexpr std::string_view kPrefix = "/api/v1";
constexpr std::string_view kSessionHeader = "X-Session-HMAC";
constexpr std::string_view kSigningHeader = "X-Signing-HMAC";
constexpr std::string_view kUserHeader = "X-User-Signature";
constexpr std::size_t kMaxText = 1 << 20;
constexpr std::size_t kMaxKeys = 65'536;

/// The codes that a REST answer can name.
Errc code_of(std::string_view type) {
    for (auto number = static_cast<std::uint32_t>(Errc::MalformedJson);
         number <= static_cast<std::uint32_t>(Errc::NotReady); ++number)
        if (errc_name(static_cast<Errc>(number)) == type)
            return static_cast<Errc>(number);
    return Errc::Internal;
}

/// Text that people are shown, on a line of its own whatever the appliance wrote.
Result<std::string> shown_text(const json::Object& object, std::string_view name, std::size_t max) {
    KEYMELD_TRY(const std::string text, object.text(name, max));
    return one_line(text);
}

/// The error of an error body (rest-v1.md 2.5).
Error error_in(const Result<json::Object>& object, const std::string& status) {
    auto inner = object ? object->object("error") : Result<json::Object>(fail(Errc::Internal, ""));
    if (!inner)
        return fail(Errc::Internal, "the appliance answered " + status + " without an error body").with("http_status", status);
    const auto type = inner->text("type", 64);
    const auto message = shown_text(*inner, "message", 4096);
    Error error = fail(type ? code_of(*type) : Errc::Internal, message ? *message : "no message");
    error.facts.emplace("http_status", status);
    if (auto details = inner->object("details")) {
        for (const char* name : {"pointer", "parameter", "status"})
            if (const auto text = details->optional_text(name, 256); text && *text)
                error.facts.emplace(name, one_line(**text));
    }
    return error;
}

/// The error that a non-2xx answer stands for.
Error error_of(const HttpResponse& response) {
    auto document = json::Document::parse(response.body);
    const auto object = document ? document->object() : Result<json::Object>(fail(Errc::Internal, ""));
    return error_in(object, std::to_string(response.status));
}

Result<bitcoin::PlainPubKey> point(const json::Object& object, std::string_view name, BytesForm form) {
    KEYMELD_TRY(const Bytes bytes, object.bytes(name, form, {33}));
    return bitcoin::PlainPubKey::parse(bytes);
}

Result<std::optional<FailureEntry>> read_failure(const json::Object& object) {
    KEYMELD_TRY(const auto failure, object.optional_object("failure"));
    if (!failure)
        return std::optional<FailureEntry>();
    FailureEntry entry;
    KEYMELD_TRY(entry.type, shown_text(*failure, "type", 64));
    KEYMELD_TRY(entry.message, shown_text(*failure, "message", 4096));
    return std::optional(std::move(entry));
}

Result<std::uint32_t> small_number(const json::Object& object, std::string_view name) {
    KEYMELD_TRY(const auto number, object.number(name, 0, 0xffffffff));
    return static_cast<std::uint32_t>(number);
}

Result<KeygenStatusEntry> read_keygen_status(const json::Object& object) {
    KeygenStatusEntry entry;
    KEYMELD_TRY(entry.status, shown_text(object, "status", 64));
    KEYMELD_TRY(entry.expected, small_number(object, "expected_participants"));
    KEYMELD_TRY(entry.registered, small_number(object, "registered_participants"));
    KEYMELD_TRY(entry.expires_at, object.number("expires_at", 0, UINT64_MAX));
    if (entry.status == "completed") {
        KEYMELD_TRY(entry.aggregate_public_key, point(object, "aggregate_public_key", BytesForm::Array));
        KEYMELD_TRY(const Bytes tag, object.bytes("aggregate_key_tag", BytesForm::Hex, {32}));
        entry.aggregate_key_tag.emplace();
        std::copy(tag.begin(), tag.end(), entry.aggregate_key_tag->begin());
    }
    KEYMELD_TRY(const auto participants, object.objects("participants", 1000));
    for (const json::Object& listed : participants) {
        KeygenStatusEntry::Participant participant;
        KEYMELD_TRY(const Uuid user, listed.uuid("user_id"));
        participant.user_id = UserId(user);
        KEYMELD_TRY(participant.signer_index, small_number(listed, "signer_index"));
        KEYMELD_TRY(participant.enclave_id, small_number(listed, "enclave_id"));
        KEYMELD_TRY(participant.require_signing_approval, listed.required_boolean("require_signing_approval"));
        KEYMELD_TRY(participant.registered, listed.required_boolean("registered"));
        if (participant.registered) {
            KEYMELD_TRY(participant.public_key, point(listed, "public_key", BytesForm::Hex));
        }
        entry.participants.push_back(std::move(participant));
    }
    KEYMELD_TRY(entry.failure, read_failure(object));
    return entry;
}

Result<SigningStatusEntry> read_signing_status(const json::Object& object) {
    SigningStatusEntry entry;
    KEYMELD_TRY(entry.status, shown_text(object, "status", 64));
    KEYMELD_TRY(const Uuid keygen, object.uuid("keygen_session_id"));
    entry.keygen_id = KeygenId(keygen);
    KEYMELD_TRY(entry.expected, small_number(object, "expected_participants"));
    KEYMELD_TRY(entry.final_signature, object.optional_text("final_signature", kMaxText));
    KEYMELD_TRY(entry.expires_at, object.number("expires_at", 0, UINT64_MAX));
    KEYMELD_TRY(const auto requiring, object.distinct_uuids("participants_requiring_approval", 0, 1000));
    KEYMELD_TRY(const auto approved, object.distinct_uuids("approved_participants", 0, 1000));
    for (const Uuid& id : requiring)
        entry.requiring_approval.emplace_back(id);
    for (const Uuid& id : approved)
        entry.approved.emplace_back(id);
    KEYMELD_TRY(entry.failure, read_failure(object));
    return entry;
}

Result<MadeKeyEntry> read_made_key(const json::Object& object) {
    KEYMELD_TRY(const auto enclave, small_number(object, "enclave_id"));
    KEYMELD_TRY(const auto key, point(object, "public_key", BytesForm::Hex));
    MadeKeyEntry entry{enclave, key, std::nullopt};
    if (object.has("key_tag")) {
        KEYMELD_TRY(const Bytes tag, object.bytes("key_tag", BytesForm::Hex, {32}));
        std::copy(tag.begin(), tag.end(), entry.tag.emplace().begin());
    }
    return entry;
}

Result<KeyEntry> read_key(const json::Object& object) {
    KEYMELD_TRY(const Uuid id, object.uuid("key_id"));
    KEYMELD_TRY(const auto enclave, small_number(object, "enclave_id"));
    KEYMELD_TRY(const auto created_at, object.number("created_at", 0, UINT64_MAX));
    KEYMELD_TRY(const auto key, point(object, "public_key", BytesForm::Hex));
    KEYMELD_TRY(const auto names, object.texts("allowed", 8, 64));
    bitcoin::AllowedSignatures allowed{false, false};
    for (const std::string& name : names) {
        allowed.ecdsa = allowed.ecdsa || name == bitcoin::text(bitcoin::SignatureType::Ecdsa);
        allowed.schnorr_bip340 = allowed.schnorr_bip340 || name == bitcoin::text(bitcoin::SignatureType::SchnorrBip340);
    }
    KeyEntry entry{KeyId(id), enclave, created_at, key, allowed, {}, {}};
    KEYMELD_TRY(entry.label, object.optional_text("label", 256));
    if (entry.label)
        entry.label = one_line(*entry.label);
    if (object.has("origin_keygen_session_id")) {
        KEYMELD_TRY(const Uuid origin, object.uuid("origin_keygen_session_id"));
        entry.origin_keygen = KeygenId(origin);
    }
    return entry;
}

Result<SingleSigningEntry> read_single_signing(const json::Object& object) {
    SingleSigningEntry entry;
    KEYMELD_TRY(const Uuid id, object.uuid("signing_session_id"));
    entry.id = SigningId(id);
    KEYMELD_TRY(entry.status, shown_text(object, "status", 64));
    KEYMELD_TRY(entry.encrypted_signature, object.optional_text("encrypted_signature", 4096));
    return entry;
}

void write_tweak(json::Writer& out, const bitcoin::TweakConfig& tweak, std::string_view name = "taproot_tweak_config") {
    out.key(name).begin_object().member("type", bitcoin::text(tweak.type));
    if (tweak.has_value())
        out.key(tweak.type == bitcoin::TweakType::TaprootWithMerkleRoot ? "merkle_root" : "tweak")
            .byte_array(tweak.value32);
    out.end_object();
}

/// The members of a request to sign, without the braces.
void write_sign_single(json::Writer& out, const SignSingleBody& body) {
    out.member("user_id", body.user_id)
        .member("key_id", body.key_id)
        .member("encrypted_message", body.encrypted_message)
        .member("signature_type", bitcoin::text(body.type))
        .key("encrypted_session_secret").hex(body.encrypted_session_secret)
        .key("approval_signature").byte_array(body.approval_signature)
        .member("approval_timestamp", body.approval_timestamp);
    if (body.tweak.type != bitcoin::TweakType::None)
        write_tweak(out, body.tweak, "taproot_tweak");
    if (body.signing_id)
        out.member("signing_session_id", *body.signing_id);
}

} // namespace

class RestClient::Impl {
  public:
    Impl(asio::any_io_executor executor, Endpoint endpoint, Options options)
        : m_pool(std::move(executor), std::move(endpoint)), m_options(std::move(options)) {}

    struct Call {
        std::string_view method;
        std::string path;
        std::optional<std::string> body = std::nullopt;
        std::string_view header_name = {};
        HeaderMaker header = {};
        unsigned wait_secs = 0;
        std::string bearer = {};
        HeaderMaker user_header = {}; ///< X-User-Signature beside another header
    };

    /// Sends, and repeats what the appliance asks to be repeated; the answer is 2xx.
    Async<Result<HttpResponse>> call(Call call) {
        for (unsigned repeat = 0;; ++repeat) {
            HttpRequest request{call.method, std::string(kPrefix) + call.path};
            request.body = call.body;
            if (!call.bearer.empty())
                request.headers.emplace_back("Authorization", "Bearer " + call.bearer);
            if (call.header) {
                auto value = call.header();
                if (!value)
                    co_return std::move(value).error();
                request.headers.emplace_back(call.header_name, std::move(*value));
            }
            if (call.user_header) {
                auto value = call.user_header();
                if (!value)
                    co_return std::move(value).error();
                request.headers.emplace_back(kUserHeader, std::move(*value));
            }
            const SteadyTime deadline = std::chrono::steady_clock::now() + m_options.request_timeout +
                                        std::chrono::seconds(call.wait_secs);
            auto answer = co_await m_pool.send(std::move(request), deadline);
            if (!answer)
                co_return std::move(answer).error();
            if (answer->status >= 200 && answer->status < 300)
                co_return std::move(*answer);
            const bool again = (answer->status == 429 || answer->status == 503) && repeat < m_options.repeats &&
                               answer->retry_after_seconds;
            if (!again) {
                Error error = error_of(*answer);
                if (answer->retry_after_seconds)
                    error.facts.emplace("retry_after", std::to_string(*answer->retry_after_seconds));
                co_return error;
            }
            const auto executor = co_await asio::this_coro::executor;
            asio::steady_timer timer(executor, std::chrono::seconds(std::min(*answer->retry_after_seconds, 30u)));
            boost::system::error_code ignored;
            co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
    }

    template <class T>
    Async<Result<T>> read(Call request, Result<T> (*reader)(const json::Object&)) {
        auto answer = co_await call(std::move(request));
        if (!answer)
            co_return std::move(answer).error();
        auto document = json::Document::parse(answer->body);
        if (!document)
            co_return fail(Errc::Internal, "the appliance's answer is not JSON");
        auto object = document->object();
        if (!object)
            co_return fail(Errc::Internal, "the appliance's answer is not a JSON object");
        auto value = reader(*object);
        if (!value)
            co_return fail(Errc::Internal, "the appliance's answer has another form than REST v1: " + value.error().detail);
        co_return std::move(*value);
    }

    Async<Status> done(Call request) {
        auto answer = co_await call(std::move(request));
        if (!answer)
            co_return std::move(answer).error();
        co_return Status();
    }

    HttpPool m_pool;
    Options m_options;
};

RestClient::RestClient(asio::any_io_executor executor, Endpoint endpoint, Options options)
    : m_impl(std::make_unique<Impl>(std::move(executor), std::move(endpoint), std::move(options))) {}
RestClient::RestClient(asio::any_io_executor executor, Endpoint endpoint)
    : RestClient(std::move(executor), std::move(endpoint), Options{}) {}
RestClient::~RestClient() = default;
HttpPool& RestClient::pool() { return m_impl->m_pool; }

Async<Result<std::vector<EnclaveEntry>>> RestClient::enclaves() {
    return m_impl->read<std::vector<EnclaveEntry>>(
        {"GET", "/enclaves"}, [](const json::Object& object) -> Result<std::vector<EnclaveEntry>> {
            std::vector<EnclaveEntry> out;
            KEYMELD_TRY(const auto entries, object.objects("enclaves", 4096));
            for (const json::Object& listed : entries) {
                EnclaveEntry entry;
                KEYMELD_TRY(entry.id, small_number(listed, "enclave_id"));
                KEYMELD_TRY(entry.healthy, listed.required_boolean("healthy"));
                KEYMELD_TRY(entry.public_key_hex, shown_text(listed, "public_key", 128));
                KEYMELD_TRY(entry.key_epoch, listed.number("key_epoch", 0, UINT64_MAX));
                KEYMELD_TRY(entry.active_sessions, small_number(listed, "active_sessions"));
                KEYMELD_TRY(entry.uptime_seconds, listed.number("uptime_seconds", 0, UINT64_MAX));
                out.push_back(std::move(entry));
            }
            return out;
        });
}

Async<Result<AttestationEntry>> RestClient::attestation(std::uint32_t enclave_id, ByteArray<32> nonce) {
    return m_impl->read<AttestationEntry>(
        {"GET", "/enclaves/" + std::to_string(enclave_id) + "/attestation?nonce=" + hex_encode(nonce)},
        [](const json::Object& object) -> Result<AttestationEntry> {
            KEYMELD_TRY(const std::string text, object.text("attestation_document", 64 * 1024));
            KEYMELD_TRY(Bytes document, base64_decode(text));
            return AttestationEntry{std::move(document)};
        });
}

Async<Status> RestClient::create_keygen(const CreateKeygenBody& body) {
    json::Writer out;
    out.begin_object()
        .member("keygen_session_id", body.keygen_id)
        .key("coordinator_pubkey").byte_array(body.coordinator_pubkey)
        .key("coordinator_encrypted_private_key").hex(body.coordinator_encrypted_private_key)
        .member("coordinator_enclave_id", body.coordinator_enclave_id)
        .key("expected_participants").begin_array();
    for (const UserId& user : body.params.expected_participants)
        out.uuid(user);
    out.end_array()
        .member("timeout_secs", body.timeout_secs)
        .key("encrypted_session_secret").hex(body.encrypted_session_secret)
        .member("max_signing_sessions", body.params.max_signing_sessions);
    write_tweak(out, body.params.tweak);
    out.member("key_order", bitcoin::text(body.params.key_order)).key("ecies_aad").boolean(body.ecies_aad).end_object();
    Impl::Call call{"POST", "/keygen", out.take()};
    call.bearer = m_impl->m_options.keygen_token;
    return m_impl->done(std::move(call));
}

Async<Result<std::vector<SlotEntry>>> RestClient::slots(KeygenId id) {
    return m_impl->read<std::vector<SlotEntry>>(
        {"GET", "/keygen/" + id.text() + "/slots"}, [](const json::Object& object) -> Result<std::vector<SlotEntry>> {
            std::vector<SlotEntry> out;
            KEYMELD_TRY(const auto slots, object.objects("available_slots", 1000));
            for (const json::Object& listed : slots) {
                SlotEntry slot;
                KEYMELD_TRY(const Uuid user, listed.uuid("user_id"));
                slot.user_id = UserId(user);
                KEYMELD_TRY(slot.enclave_id, small_number(listed, "enclave_id"));
                KEYMELD_TRY(slot.signer_index, small_number(listed, "signer_index"));
                out.push_back(slot);
            }
            return out;
        });
}

Async<Status> RestClient::register_participant(const RegisterBody& body, HeaderMaker session_header) {
    json::Writer out;
    out.begin_object()
        .member("keygen_session_id", body.keygen_id)
        .member("user_id", body.user_id)
        .key("encrypted_private_key").hex(body.encrypted_private_key)
        .key("public_key").byte_array(body.public_key)
        .key("require_signing_approval").boolean(body.approval_policy != "none")
        .member("approval_policy", body.approval_policy)
        .end_object();
    return m_impl->done({"POST", "/keygen/" + body.keygen_id.text() + "/participants", out.take(), kSessionHeader,
                         std::move(session_header)});
}

Async<Result<KeygenStatusEntry>> RestClient::keygen_status(KeygenId id, HeaderMaker session_header, unsigned wait_secs) {
    std::string path = "/keygen/" + id.text() + "/status";
    if (wait_secs > 0)
        path += "?wait=" + std::to_string(wait_secs);
    return m_impl->read<KeygenStatusEntry>(
        {"GET", std::move(path), std::nullopt, kSessionHeader, std::move(session_header), wait_secs}, read_keygen_status);
}

std::string json_of(const CreateSigningBody& body) {
    json::Writer out;
    out.begin_object()
        .member("signing_session_id", body.signing_id)
        .member("keygen_session_id", body.keygen_id)
        .key("message_hash").byte_array(body.message_hash);
    if (body.encrypted_message)
        out.member("encrypted_message", *body.encrypted_message);
    out.member("timeout_secs", body.timeout_secs).end_object();
    return out.take();
}

Async<Status> RestClient::create_signing(const CreateSigningBody& body, HeaderMaker session_header) {
    return m_impl->done({"POST", "/signing", json_of(body), kSessionHeader, std::move(session_header)});
}

Async<Status> RestClient::approve(SigningId id, HeaderMaker signing_header, std::optional<BoundApprovalBody> bound) {
    std::optional<std::string> body;
    if (bound) {
        json::Writer out;
        out.begin_object()
            .key("message_hash").hex(bound->message_hash)
            .member("expires_at", bound->expires_at)
            .key("signature").hex(bound->signature.bytes)
            .end_object();
        body = out.take();
    }
    return m_impl->done({"POST", "/signing/" + id.text(), std::move(body), kSigningHeader, std::move(signing_header)});
}

Async<Result<SigningStatusEntry>> RestClient::reject(SigningId id, HeaderMaker signing_header) {
    return m_impl->read<SigningStatusEntry>(
        {"DELETE", "/signing/" + id.text(), std::nullopt, kSigningHeader, std::move(signing_header)}, read_signing_status);
}

Async<Result<SigningStatusEntry>> RestClient::signing_status(SigningId id, HeaderMaker signing_header, unsigned wait_secs) {
    std::string path = "/signing/" + id.text() + "/status";
    if (wait_secs > 0)
        path += "?wait=" + std::to_string(wait_secs);
    return m_impl->read<SigningStatusEntry>(
        {"GET", std::move(path), std::nullopt, kSigningHeader, std::move(signing_header), wait_secs}, read_signing_status);
}

// ---- Single keys ----------------------------------------------------------------------------------------------------

Async<Result<ReservedKeyEntry>> RestClient::reserve_key(UserId user) {
    json::Writer out;
    out.begin_object().member("user_id", user).end_object();
    return m_impl->read<ReservedKeyEntry>({"POST", "/keys/reserve", out.take()},
                                          [](const json::Object& object) -> Result<ReservedKeyEntry> {
                                              ReservedKeyEntry entry;
                                              KEYMELD_TRY(const Uuid id, object.uuid("key_id"));
                                              entry.id = KeyId(id);
                                              KEYMELD_TRY(entry.enclave_id, small_number(object, "enclave_id"));
                                              return entry;
                                          });
}

Async<Result<MadeKeyEntry>> RestClient::import_key(const ImportKeyBody& body, HeaderMaker user_signature) {
    json::Writer out;
    out.begin_object()
        .member("key_id", body.id)
        .member("user_id", body.user_id)
        .key("encrypted_private_key").hex(body.encrypted_private_key)
        .key("auth_pubkey").byte_array(body.auth_pubkey)
        .key("enclave_public_key").hex(body.enclave_public_key)
        .member("ecies_aad", body.ecies_aad);
    if (body.label)
        out.member("label", *body.label);
    out.end_object();
    return m_impl->read<MadeKeyEntry>({"POST", "/keys/import", out.take(), kUserHeader, std::move(user_signature)},
                                      read_made_key);
}

Async<Result<MadeKeyEntry>> RestClient::generate_key(const GenerateKeyBody& body, HeaderMaker user_signature) {
    json::Writer out;
    out.begin_object()
        .member("key_id", body.id)
        .member("user_id", body.user_id)
        .key("auth_pubkey").byte_array(body.auth_pubkey)
        .key("allowed").begin_array();
    for (const auto type : {bitcoin::SignatureType::Ecdsa, bitcoin::SignatureType::SchnorrBip340})
        if (body.allowed.has(type))
            out.text(bitcoin::text(type));
    out.end_array().key("encrypted_session_secret").hex(body.encrypted_session_secret);
    if (body.label)
        out.member("label", *body.label);
    out.end_object();
    return m_impl->read<MadeKeyEntry>({"POST", "/keys/generate", out.take(), kUserHeader, std::move(user_signature)},
                                      read_made_key);
}

Async<Result<bitcoin::PlainPubKey>> RestClient::keep_key(KeygenId keygen, UserId user, KeyId id,
                                                         std::optional<std::string> label, HeaderMaker session_header,
                                                         HeaderMaker user_signature) {
    json::Writer out;
    out.begin_object().member("key_id", id);
    if (label)
        out.member("label", *label);
    out.end_object();
    Impl::Call call{"POST", "/keys/" + user.text() + "/keygen/" + keygen.text(), out.take(), kSessionHeader,
                    std::move(session_header)};
    call.user_header = std::move(user_signature);
    return m_impl->read<bitcoin::PlainPubKey>(std::move(call), [](const json::Object& object) {
        return point(object, "public_key", BytesForm::Hex);
    });
}

Async<Result<std::vector<KeyEntry>>> RestClient::list_keys(UserId user, KeyId id, HeaderMaker user_signature) {
    return m_impl->read<std::vector<KeyEntry>>(
        {"GET", "/keys/" + user.text() + "?key_id=" + id.text(), std::nullopt, kUserHeader, std::move(user_signature)},
        [](const json::Object& object) -> Result<std::vector<KeyEntry>> {
            std::vector<KeyEntry> out;
            KEYMELD_TRY(const auto keys, object.objects("keys", kMaxKeys));
            for (const json::Object& listed : keys) {
                KEYMELD_TRY(auto key, read_key(listed));
                out.push_back(std::move(key));
            }
            return out;
        });
}

Async<Result<KeyStatusEntry>> RestClient::key_status(UserId user, KeyId id, HeaderMaker user_signature) {
    return m_impl->read<KeyStatusEntry>(
        {"GET", "/keys/" + user.text() + "/" + id.text() + "/status", std::nullopt, kUserHeader, std::move(user_signature)},
        [](const json::Object& object) -> Result<KeyStatusEntry> {
            KEYMELD_TRY(const auto key, point(object, "public_key", BytesForm::Hex));
            KeyStatusEntry entry{{}, 0, 0, key};
            KEYMELD_TRY(entry.status, shown_text(object, "status", 64));
            KEYMELD_TRY(entry.enclave_id, small_number(object, "enclave_id"));
            KEYMELD_TRY(entry.created_at, object.number("created_at", 0, UINT64_MAX));
            return entry;
        });
}

Async<Status> RestClient::delete_key(UserId user, KeyId id, HeaderMaker user_signature) {
    return m_impl->done(
        {"DELETE", "/keys/" + user.text() + "/" + id.text(), std::nullopt, kUserHeader, std::move(user_signature)});
}

Async<Result<SingleSigningEntry>> RestClient::sign_single(const SignSingleBody& body, HeaderMaker user_signature) {
    json::Writer out;
    out.begin_object();
    write_sign_single(out, body);
    out.end_object();
    return m_impl->read<SingleSigningEntry>({"POST", "/sign/single", out.take(), kUserHeader, std::move(user_signature)},
                                            read_single_signing);
}

Async<Result<std::vector<Result<SingleSigningEntry>>>>
RestClient::sign_single_batch(const std::vector<SignSingleBody>& items, std::vector<std::string> user_signatures) {
    json::Writer out;
    out.begin_object().key("items").begin_array();
    for (std::size_t i = 0; i < items.size(); ++i) {
        out.begin_object();
        write_sign_single(out, items[i]);
        out.member("user_signature", i < user_signatures.size() ? user_signatures[i] : std::string()).end_object();
    }
    out.end_array().end_object();
    using Results = std::vector<Result<SingleSigningEntry>>;
    return m_impl->read<Results>({"POST", "/sign/single/batch", out.take()}, [](const json::Object& object) -> Result<Results> {
        Results results;
        KEYMELD_TRY(const auto entries, object.objects("results", 1000));
        for (const json::Object& entry : entries) {
            if (entry.has("error"))
                results.emplace_back(error_in(entry, "200"));
            else
                results.push_back(read_single_signing(entry));
        }
        return results;
    });
}

Async<Result<SingleSigningEntry>> RestClient::single_signing_status(SigningId id, UserId user, HeaderMaker user_signature) {
    return m_impl->read<SingleSigningEntry>({"GET", "/sign/single/" + id.text() + "/status/" + user.text(), std::nullopt,
                                             kUserHeader, std::move(user_signature)},
                                            read_single_signing);
}

Async<Result<Health>> RestClient::health() {
    return m_impl->read<Health>({"GET", "/health"}, [](const json::Object& object) -> Result<Health> {
        Health health;
        KEYMELD_TRY(health.status, shown_text(object, "status", 64));
        KEYMELD_TRY(health.version, shown_text(object, "version", 64));
        KEYMELD_TRY(health.healthy_enclaves, small_number(object, "healthy_enclaves"));
        KEYMELD_TRY(health.total_enclaves, small_number(object, "total_enclaves"));
        return health;
    });
}

Async<Status> RestClient::ready() {
    HttpRequest request{"GET", std::string(kPrefix) + "/ready"};
    auto answer = co_await m_impl->m_pool.send(std::move(request),
                                               std::chrono::steady_clock::now() + m_impl->m_options.request_timeout);
    if (!answer)
        co_return std::move(answer).error();
    if (answer->status != 200)
        co_return error_of(*answer);
    co_return Status();
}

Async<Result<std::string>> RestClient::get_text(std::string path) {
    Impl::Call request; // with braces inside the co_await, GCC 12 would destroy it twice
    request.method = "GET";
    request.path = std::move(path);
    auto answer = co_await m_impl->call(std::move(request));
    if (!answer)
        co_return std::move(answer).error();
    co_return std::move(answer->body);
}

} // namespace keymeld::client
