// A request after HTTP, before the engine: route, header syntax and body. Whatever comes is decoded into values inside their rules, or
// refused with an error of the specification whose answer is valid JSON.
//
// Input: method, path, query, Content-Type, X-Session-HMAC, X-Signing-HMAC, one a line, then the body. X-User-Signature
// stands in the line of X-Signing-HMAC: no route has both.
#include "appliance/api/decode.h"
#include "appliance/api/encode.h"
#include "appliance/api/error_body.h"
#include "appliance/api/key_decode.h"
#include "appliance/api/request_check.h"
#include "appliance/json/document.h"
#include "core/base/log.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::api;

namespace {

constexpr std::uint64_t kNow = 1763229022;

std::string take_line(std::string_view& rest) {
    const std::string line(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    return line;
}

void expect_answer(const Error& error) {
    const http::Response response = error_response(error);
    FUZZ_EXPECT(response.status >= 400 && response.status < 500);
    const auto document = json::Document::parse(response.body);
    FUZZ_EXPECT(document.has_value());
    FUZZ_EXPECT(document->object()->object("error")->number("code", 400, 499).has_value());
}

template <class T> void expect_body_error(const Result<T>& result) {
    FUZZ_EXPECT(result.error().code == Errc::MalformedJson || result.error().code == Errc::ValidationFailed);
    expect_answer(result.error());
}

void decode(const Call& call) {
    const DecodeLimits limits;
    const std::string& body = call.request.body;
    switch (call.route->operation) {
    case Operation::CreateKeygen: {
        const auto keygen = decode_create_keygen(body, limits);
        if (!keygen)
            return expect_body_error(keygen);
        FUZZ_EXPECT(keygen->expected_participants.size() >= 2 && keygen->expected_participants.size() <= limits.max_participants);
        FUZZ_EXPECT(keygen->timeout_secs >= 1 && keygen->timeout_secs <= limits.timeout_secs_max);
        FUZZ_EXPECT(keygen->coordinator_encrypted_private_key.size() >= 61);
        FUZZ_EXPECT(keygen->tweak.validate().has_value());
        return;
    }
    case Operation::RegisterParticipant: {
        const auto registration = decode_register(body, KeygenId(call.session_id));
        if (!registration)
            return expect_body_error(registration);
        FUZZ_EXPECT(registration->keygen_id == KeygenId(call.session_id));
        FUZZ_EXPECT(registration->public_key[0] == 2 || registration->public_key[0] == 3);
        return;
    }
    case Operation::CreateSigning: {
        const auto signing = decode_create_signing(body, limits);
        if (!signing)
            return expect_body_error(signing);
        FUZZ_EXPECT(!signing->encrypted_message || signing->encrypted_message->size() >= 64);
        return;
    }
    case Operation::ApproveSigning: {
        const auto approval = decode_approval(body, limits, kNow);
        if (!approval)
            return expect_body_error(approval);
        FUZZ_EXPECT(approval->has_value() == !body.empty());
        FUZZ_EXPECT(!*approval || (*approval)->expires_at <= kNow + 86400);
        return;
    }
    case Operation::ReserveKey: {
        if (const auto user = decode_reserve_key(body); !user)
            expect_body_error(user);
        return;
    }
    case Operation::ImportKey: {
        const auto key = decode_import_key(body);
        if (!key)
            return expect_body_error(key);
        FUZZ_EXPECT(key->encrypted_private_key.size() == 93 && (key->auth_pubkey[0] == 2 || key->auth_pubkey[0] == 3));
        FUZZ_EXPECT(!key->label || (!key->label->empty() && key->label->size() <= 64));
        return;
    }
    case Operation::GenerateKey: {
        const auto key = decode_generate_key(body);
        if (!key)
            return expect_body_error(key);
        FUZZ_EXPECT(!key->allowed.none() && (key->auth_pubkey[0] == 2 || key->auth_pubkey[0] == 3));
        FUZZ_EXPECT(key->encrypted_session_secret.empty() || key->encrypted_session_secret.size() == 93);
        return;
    }
    case Operation::KeepKey: {
        if (const auto key = decode_keep_key(body); !key)
            expect_body_error(key);
        return;
    }
    case Operation::ListKeys: {
        if (const auto id = decode_key_id(call.request.query); !id)
            expect_body_error(id);
        return;
    }
    case Operation::SignSingle: {
        const auto signing = decode_sign_single(body);
        if (!signing)
            return expect_body_error(signing);
        FUZZ_EXPECT(signing->encrypted_message.size() == 210 && signing->encrypted_session_secret.size() == 93);
        FUZZ_EXPECT(signing->tweak.type == bitcoin::TweakType::None || signing->type == bitcoin::SignatureType::SchnorrBip340);
        return;
    }
    case Operation::SignSingleBatch: {
        const auto items = decode_sign_batch(body);
        if (!items)
            return expect_body_error(items);
        FUZZ_EXPECT(!items->empty() && items->size() <= kMaxBatch);
        for (const auto& item : *items)
            if (!item)
                expect_answer(item.error());
            else
                FUZZ_EXPECT(!item->user_header.empty());
        return;
    }
    case Operation::KeygenStatus:
    case Operation::SingleSigningStatus:
    case Operation::SigningStatus: {
        const auto wait = decode_wait(call.request.query, limits);
        if (!wait)
            return expect_body_error(wait);
        FUZZ_EXPECT(wait->count() >= 0 && wait->count() <= 60);
        return;
    }
    case Operation::EnclaveAttestation: {
        const auto nonce = decode_attestation_nonce(call.request.query);
        if (!nonce)
            return expect_body_error(nonce);
        FUZZ_EXPECT(nonce->size() <= 64);
        return;
    }
    case Operation::KeygenEvents:
    case Operation::SigningEvents:
    case Operation::RejectSigning:
    case Operation::KeyStatus:
    case Operation::DeleteKey:
    case Operation::ListEnclaves:
    case Operation::EnclavePublicKey:
    case Operation::KeygenSlots:
    case Operation::Health:
    case Operation::Ready:
    case Operation::Version:
    case Operation::Metrics:
    case Operation::OpenApi:
    case Operation::Docs:
    case Operation::DocsFile: return;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest = as_text({data, size});
    http::Request request;
    request.method = take_line(rest);
    request.path = take_line(rest);
    request.query = take_line(rest);
    for (const char* name : {"Content-Type", "X-Session-HMAC", "X-Signing-HMAC"})
        if (std::string value = take_line(rest); !value.empty())
            request.headers.emplace_back(name, value);
    if (const std::string* value = request.header("X-Signing-HMAC"))
        request.headers.emplace_back("X-User-Signature", *value);
    request.body = rest;
    const RouteMatch match = find_route(request.method, request.path, false, false);
    FUZZ_EXPECT(match.route == nullptr || !match.allow.empty());
    const auto call = check_request(std::move(request), match, {});
    if (!call) {
        expect_answer(call.error());
        return 0;
    }
    decode(*call);
    return 0;
}
