#include "appliance/api/request_check.h"

#include "appliance/api/decode.h"
#include "core/crypto/auth_header.h"

namespace keymeld::api {
namespace {

std::string_view trim(std::string_view text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_space(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

Status take_arguments(Call& call, const RouteMatch& match) {
    const auto names = placeholders(match.route->path);
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string& value = match.arguments[i];
        if (names[i] == "enclave_id") {
            KEYMELD_TRY(call.enclave_id, decode_enclave_id(value));
        } else if (names[i] == "file") {
            call.file = value;
        } else {
            const auto id = Uuid::parse(value);
            if (!id)
                return fail(Errc::ValidationFailed, std::string(names[i]) + " must be a UUID")
                    .with("parameter", std::string(names[i]));
            (names[i] == "user_id" ? call.user_id : names[i] == "key_id" ? call.key_id : call.session_id) = *id;
        }
    }
    return {};
}

Result<std::string> bearer_token(const http::Request& request) {
    const std::string* value = request.header("Authorization");
    if (value == nullptr || value->empty())
        return fail(Errc::AuthMissing, "Authorization is missing: this server needs the operator's token");
    static constexpr std::string_view kScheme = "Bearer ";
    if (value->size() <= kScheme.size() || !http::iequals(std::string_view(*value).substr(0, kScheme.size()), kScheme))
        return fail(Errc::AuthMalformed, "Authorization must be a bearer token");
    return std::string(trim(std::string_view(*value).substr(kScheme.size())));
}

std::optional<std::string_view> header_value(const http::Request& request, std::string_view name) {
    const std::string* value = request.header(name);
    return value == nullptr ? std::nullopt : std::optional<std::string_view>(*value);
}

Status take_session_header(Call& call) {
    const auto value = header_value(call.request, "X-Session-HMAC");
    KEYMELD_CHECK(crypto::SessionHmacHeader::parse(value));
    call.auth_header = std::string(*value);
    return {};
}

Status take_user_header(Call& call) {
    const auto value = header_value(call.request, "X-User-Signature");
    KEYMELD_CHECK(crypto::UserSignatureHeader::parse(value));
    call.user_header = std::string(*value);
    return {};
}

Status take_auth(Call& call, const CheckSettings& settings) {
    switch (call.route->auth) {
    case Auth::None: return {};
    case Auth::OperatorToken: {
        if (!settings.keygen_token)
            return {};
        KEYMELD_TRY(call.auth_header, bearer_token(call.request));
        return {};
    }
    case Auth::SessionHmac: return take_session_header(call);
    case Auth::UserSignature: return take_user_header(call);
    case Auth::SessionAndUser:
        KEYMELD_CHECK(take_session_header(call));
        return take_user_header(call);
    case Auth::SigningHmac: {
        const auto value = header_value(call.request, "X-Signing-HMAC");
        KEYMELD_CHECK(crypto::SigningHmacHeader::parse(value));
        call.auth_header = std::string(*value);
        return {};
    }
    }
    return fail(Errc::Internal, "unknown kind of authentication");
}

Status check_body(Call& call) {
    http::Request& request = call.request;
    if (call.route->body == Body::None) {
        request.body.clear();
        return {};
    }
    const bool has_body = !request.body.empty() || request.body_too_large;
    if (!has_body)
        return {};
    const std::string* type = request.header("Content-Type");
    if (type == nullptr || !is_json_media_type(*type))
        return fail(Errc::UnsupportedMediaType, "Content-Type must be application/json");
    if (request.body_too_large)
        return fail(Errc::BodyTooLarge, "body is larger than this server accepts");
    return {};
}

} // namespace

bool is_json_media_type(std::string_view content_type) {
    const std::size_t semicolon = content_type.find(';');
    const std::string_view type = trim(content_type.substr(0, semicolon));
    static constexpr std::string_view kApplication = "application/";
    if (type.size() <= kApplication.size() || !http::iequals(type.substr(0, kApplication.size()), kApplication))
        return false;
    const std::string_view subtype = type.substr(kApplication.size());
    static constexpr std::string_view kSuffix = "+json";
    const bool suffixed = subtype.size() > kSuffix.size() &&
                          http::iequals(subtype.substr(subtype.size() - kSuffix.size()), kSuffix);
    if (!http::iequals(subtype, "json") && !suffixed)
        return false;
    std::string_view rest = semicolon == std::string_view::npos ? "" : content_type.substr(semicolon + 1);
    while (!rest.empty()) {
        const std::string_view parameter = trim(rest.substr(0, rest.find(';')));
        rest.remove_prefix(std::min(rest.size(), rest.find(';') == std::string_view::npos ? rest.size() : rest.find(';') + 1));
        const std::size_t equals = parameter.find('=');
        if (equals == std::string_view::npos || !http::iequals(trim(parameter.substr(0, equals)), "charset"))
            continue;
        std::string_view charset = trim(parameter.substr(equals + 1));
        if (charset.size() >= 2 && charset.front() == '"' && charset.back() == '"')
            charset = charset.substr(1, charset.size() - 2);
        if (!http::iequals(charset, "utf-8") && !http::iequals(charset, "utf8"))
            return false;
    }
    return true;
}

Result<Call> check_request(http::Request request, const RouteMatch& match, const CheckSettings& settings) {
    if (match.allow.empty())
        return fail(Errc::RouteNotFound, "no such route");
    if (match.route == nullptr)
        return fail(Errc::MethodNotAllowed, "this route has other methods").with("allow", match.allow);
    Call call;
    call.route = match.route;
    KEYMELD_CHECK(take_arguments(call, match));
    call.request = std::move(request);
    KEYMELD_CHECK(take_auth(call, settings));
    KEYMELD_CHECK(check_body(call));
    return call;
}

} // namespace keymeld::api
