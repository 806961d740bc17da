#include "appliance/api/openapi.h"

#include <map>
#include <set>

#include "appliance/api/error_body.h"
#include "appliance/api/route.h"
#include "appliance/api/schemas.h"
#include "appliance/http/message.h"
#include "appliance/json/writer.h"

namespace keymeld::api {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return out;
}

void write_reference(json::Writer& w, std::string_view schema) {
    w.begin_object().member("$ref", "#/components/schemas/" + std::string(schema)).end_object();
}

void write_content(json::Writer& w, std::string_view media_type, std::string_view schema) {
    w.key("content").begin_object().key(media_type).begin_object();
    if (!schema.empty()) {
        w.key("schema");
        write_reference(w, schema);
    }
    w.end_object().end_object();
}

void write_parameters(json::Writer& w, const Route& route) {
    w.key("parameters").begin_array();
    for (const std::string_view name : placeholders(route.path)) {
        w.begin_object().member("name", name).member("in", "path").member("required", true).key("schema");
        if (name == "enclave_id")
            write_reference(w, "U32");
        else if (name == "file")
            w.raw(R"({"type":"string"})");
        else
            write_reference(w, "Uuid");
        w.end_object();
    }
    for (const Parameter& parameter : route.documentation.query)
        w.begin_object()
            .member("name", parameter.name)
            .member("in", "query")
            .member("required", false)
            .member("description", parameter.description)
            .key("schema")
            .raw(parameter.schema)
            .end_object();
    if (route.operation == Operation::KeygenEvents || route.operation == Operation::SigningEvents)
        w.raw(R"({"name":"Last-Event-ID","in":"header","required":false,"description":"id of the last event that the client has.","schema":{"type":"string"}})");
    w.end_array();
}

void write_security(json::Writer& w, const Route& route, bool keygen_token) {
    switch (route.auth) {
    case Auth::None: return;
    case Auth::OperatorToken:
        if (keygen_token)
            w.key("security").raw(R"([{"OperatorToken":[]}])");
        return;
    case Auth::SessionHmac: w.key("security").raw(R"([{"SessionHmac":[]}])"); return;
    case Auth::SigningHmac: w.key("security").raw(R"([{"SigningHmac":[]}])"); return;
    case Auth::UserSignature: w.key("security").raw(R"([{"UserSignature":[]}])"); return;
    case Auth::SessionAndUser: w.key("security").raw(R"([{"SessionHmac":[],"UserSignature":[]}])"); return;
    }
}

/// Every error type that the route can give, by status.
std::map<unsigned, std::set<std::string_view>> errors_of(const Route& route, bool keygen_token) {
    std::vector<Errc> all = route.documentation.errors;
    all.insert(all.end(), {Errc::RateLimited, Errc::Internal, Errc::Overloaded});
    if (!placeholders(route.path).empty() || route.body != Body::None || !route.documentation.query.empty())
        all.push_back(Errc::ValidationFailed);
    if (route.body != Body::None)
        all.insert(all.end(), {Errc::MalformedJson, Errc::BodyTooLarge, Errc::UnsupportedMediaType});
    const bool authenticated = route.auth != Auth::None && route.auth != Auth::OperatorToken;
    if (authenticated)
        all.insert(all.end(), {Errc::NonceReplayed, Errc::EnclaveUnavailable});
    if (authenticated || (route.auth == Auth::OperatorToken && keygen_token))
        all.insert(all.end(), {Errc::AuthMissing, Errc::AuthMalformed, Errc::AuthFailed});
    std::map<unsigned, std::set<std::string_view>> out;
    for (const Errc code : all)
        out[shape_of(code).status].insert(errc_name(code));
    return out;
}

void write_responses(json::Writer& w, const Route& route, bool keygen_token) {
    w.key("responses").begin_object();
    for (const Success& success : route.documentation.successes) {
        w.key(std::to_string(success.status)).begin_object().member("description", success.description);
        if (!success.media_type.empty())
            write_content(w, success.media_type, success.schema);
        w.end_object();
    }
    for (const auto& [status, types] : errors_of(route, keygen_token)) {
        std::string description;
        for (const std::string_view type : types)
            description.append(description.empty() ? "" : ", ").append(type);
        w.key(std::to_string(status)).begin_object().member("description", description);
        if (is_retryable(status))
            w.key("headers").raw(R"({"Retry-After":{"schema":{"type":"integer"},"description":"Seconds."}})");
        if (status == 401)
            w.key("headers").raw(R"({"WWW-Authenticate":{"schema":{"const":"KeyMeld"}}})");
        write_content(w, "application/json", "Error");
        w.end_object();
    }
    w.end_object();
}

void write_operation(json::Writer& w, const Route& route, bool keygen_token) {
    const Documentation& doc = route.documentation;
    w.key(lower(text(route.method))).begin_object();
    w.key("tags").begin_array().text(doc.tag).end_array();
    w.member("operationId", text(route.operation));
    w.member("summary", doc.summary);
    if (!doc.text.empty())
        w.member("description", doc.text);
    write_parameters(w, route);
    if (route.body != Body::None) {
        w.key("requestBody").begin_object().member("required", route.body == Body::Json);
        write_content(w, "application/json", doc.request_schema);
        w.end_object();
    }
    write_responses(w, route, keygen_token);
    write_security(w, route, keygen_token);
    w.end_object();
}

void write_paths(json::Writer& w, bool keygen_token) {
    w.key("paths").begin_object();
    const auto all = routes();
    for (std::size_t i = 0; i < all.size();) {
        // Methods of one path stand together in the table.
        const std::string_view path = all[i].path;
        w.key(path).begin_object();
        for (; i < all.size() && all[i].path == path; ++i)
            write_operation(w, all[i], keygen_token);
        w.end_object();
    }
    w.end_object();
}

} // namespace

std::string make_openapi(std::string_view version, bool keygen_token) {
    json::Writer w;
    w.begin_object().member("openapi", "3.1.0");
    w.key("info")
        .begin_object()
        .member("title", "KeyMeld Gateway API")
        .member("version", version)
        .member("description", "MuSig2 key generation and signing over attested enclaves.")
        .key("license")
        .raw(R"({"name":"MIT","identifier":"MIT"})")
        .end_object();
    w.key("servers").raw(R"([{"url":"/api/v1"}])");
    w.key("tags").raw(
        R"([{"name":"enclaves"},{"name":"keygen"},{"name":"signing"},{"name":"keys"},{"name":"operations"}])");
    write_paths(w, keygen_token);
    w.key("components").begin_object().key("schemas").begin_object();
    for (const Schema& schema : schemas())
        w.key(schema.name).raw(schema.json);
    w.end_object();
    w.key("securitySchemes").begin_object();
    w.key("SessionHmac")
        .raw(R"({"type":"apiKey","in":"header","name":"X-Session-HMAC","description":"<nonce>:<hmac>, fresh for each request; HMAC-SHA256 under the session secret over <keygen id>:<user id>:<nonce>."})");
    w.key("SigningHmac")
        .raw(R"({"type":"apiKey","in":"header","name":"X-Signing-HMAC","description":"<user_id>:<nonce>:<signature>, fresh for each request; compact low-S ECDSA over SHA-256 of <user id>:<nonce>."})");
    w.key("UserSignature")
        .raw(R"({"type":"apiKey","in":"header","name":"X-User-Signature","description":"<nonce>:<signature>, fresh for each request; compact low-S ECDSA by the key's authentication key over SHA-256 of <key id or signing session id><user id> and the raw nonce bytes."})");
    if (keygen_token)
        w.key("OperatorToken").raw(R"({"type":"http","scheme":"bearer"})");
    w.end_object().end_object().end_object();
    return w.take();
}

} // namespace keymeld::api
