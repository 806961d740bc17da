#include "appliance/api/api.h"

#include <algorithm>

#include "appliance/api/encode.h"
#include "appliance/api/error_body.h"
#include "appliance/api/openapi.h"
#include "appliance/metrics/metrics.h"
#include "core/base/log.h"
#include "core/secure/cleanse.h"
#include "core/secure/compare.h"

namespace keymeld::api {
namespace {

RouteMatch match_of(const http::Request& request, bool operations_moved) {
    return find_route(request.method, request.path, request.listener == http::Listener::Operations, operations_moved);
}

/// What finish() needs to know of a request after it was given away.
http::Request outline(const http::Request& request) {
    http::Request out;
    out.method = request.method;
    if (const std::string* origin = request.header("Origin"))
        out.headers.emplace_back("Origin", *origin);
    return out;
}

void wipe(std::string& text) {
    secure::cleanse({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    text.clear();
}

} // namespace

http::Response json_response(std::string body) {
    http::Response response;
    response.content_type = "application/json";
    response.body = std::move(body);
    return response;
}

Api::Api(engine::Engine& engine, metrics::Metrics& metrics, Settings settings, DocsFiles docs)
    : m_engine(engine), m_metrics(metrics), m_settings(std::move(settings)), m_docs(std::move(docs)),
      m_openapi(std::make_shared<const std::string>(
          make_openapi(m_settings.version, !m_settings.keygen_token.empty()))),
      m_streams(std::make_shared<StreamSlots>(m_settings.event_streams_per_client, m_settings.event_streams_total)),
      m_pending(m_settings.pending_keygens_per_client) {}

http::Async<http::Response> Api::handle(http::Request request) {
    const RouteMatch match = match_of(request, m_settings.operations_moved);
    const http::Request known = outline(request);
    http::Response response;
    if (request.method == "OPTIONS" && !match.allow.empty() && allowed_origin(request) &&
        request.header("Access-Control-Request-Method") != nullptr) {
        response = preflight(match);
    } else {
        auto call = check_request(std::move(request), match, {.keygen_token = !m_settings.keygen_token.empty()});
        if (!call) {
            response = error_response(call.error());
        } else {
            Result<http::Response> answer = fail(Errc::Internal, "no answer");
            try {
                answer = co_await dispatch(*call);
            } catch (const std::exception& e) {
                answer = fail(Errc::Internal, std::string("exception: ") + e.what());
            }
            response = answer ? std::move(*answer) : error_response(answer.error());
        }
    }
    finish(response, known, match);
    co_return response;
}

http::Response Api::failure(const http::Request& request, const Error& error) {
    http::Response response = error_response(error);
    finish(response, request, match_of(request, m_settings.operations_moved));
    return response;
}

Api::Answer Api::dispatch(Call& call) {
    switch (call.route->operation) {
    case Operation::ListEnclaves: co_return list_enclaves();
    case Operation::EnclavePublicKey: co_return enclave_public_key(call);
    case Operation::EnclaveAttestation: co_return co_await enclave_attestation(call);
    case Operation::CreateKeygen: co_return co_await create_keygen(call);
    case Operation::KeygenSlots: co_return co_await keygen_slots(call);
    case Operation::RegisterParticipant: co_return co_await register_participant(call);
    case Operation::KeygenStatus: co_return co_await keygen_status(call);
    case Operation::KeygenEvents: co_return co_await keygen_events(call);
    case Operation::CreateSigning: co_return co_await create_signing(call);
    case Operation::ApproveSigning: co_return co_await approve_signing(call);
    case Operation::RejectSigning: co_return co_await reject_signing(call);
    case Operation::SigningStatus: co_return co_await signing_status(call);
    case Operation::SigningEvents: co_return co_await signing_events(call);
    case Operation::ReserveKey: co_return co_await reserve_key(call);
    case Operation::ImportKey: co_return co_await import_key(call);
    case Operation::GenerateKey: co_return co_await generate_key(call);
    case Operation::ListKeys: co_return co_await list_keys(call);
    case Operation::KeyStatus: co_return co_await key_status(call);
    case Operation::DeleteKey: co_return co_await delete_key(call);
    case Operation::KeepKey: co_return co_await keep_key(call);
    case Operation::SignSingle: co_return co_await sign_single(call);
    case Operation::SignSingleBatch: co_return co_await sign_single_batch(call);
    case Operation::SingleSigningStatus: co_return co_await single_signing_status(call);
    case Operation::Health: co_return json_response(encode(m_engine.health(), m_settings.version));
    case Operation::Ready: co_return ready();
    case Operation::Version: co_return version();
    case Operation::Metrics: {
        http::Response response;
        response.content_type = "text/plain; version=0.0.4";
        response.body = m_metrics.expose();
        co_return response;
    }
    case Operation::OpenApi: {
        http::Response response;
        response.content_type = "application/json";
        response.file = m_openapi;
        co_return response;
    }
    case Operation::Docs: co_return m_docs.page();
    case Operation::DocsFile: co_return m_docs.file(call.file);
    }
    co_return fail(Errc::Internal, "unknown operation");
}

void Api::finish(http::Response& response, const http::Request& request, const RouteMatch& match) const {
    const bool shared_file = match.route != nullptr && (match.route->operation == Operation::Docs ||
                                                        match.route->operation == Operation::DocsFile);
    if (!shared_file || response.status != 200)
        response.headers.emplace_back("Cache-Control", "no-store");
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    if (allowed_origin(request)) {
        response.headers.emplace_back("Access-Control-Allow-Origin", *request.header("Origin"));
        response.headers.emplace_back("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate, Allow");
    }
    if (!m_settings.cors_origins.empty())
        response.headers.emplace_back("Vary", "Origin");
    m_metrics.count_request(match.route != nullptr ? match.route->path : "unmatched", request.method, response.status);
}

// ---- CORS -----------------------------------------------------------------------------------------------------------

bool Api::allowed_origin(const http::Request& request) const {
    if (m_settings.cors_origins.empty())
        return false;
    const std::string* origin = request.header("Origin");
    return origin != nullptr && std::find(m_settings.cors_origins.begin(), m_settings.cors_origins.end(), *origin) !=
                                    m_settings.cors_origins.end();
}

http::Response Api::preflight(const RouteMatch& match) const {
    http::Response response;
    response.status = 204;
    response.headers.emplace_back("Access-Control-Allow-Methods", match.allow);
    response.headers.emplace_back("Access-Control-Allow-Headers",
                                  "Content-Type, X-Session-HMAC, X-Signing-HMAC, X-User-Signature, Last-Event-ID, Authorization");
    response.headers.emplace_back("Access-Control-Max-Age", "600");
    return response;
}

// ---- The operator's token -------------------------------------------------------------------------------------------

Status Api::check_token(Call& call) const {
    if (m_settings.keygen_token.empty())
        return {};
    const bool right = secure::ct_equal(as_bytes(call.auth_header), m_settings.keygen_token.expose());
    wipe(call.auth_header);
    for (auto& [name, value] : call.request.headers)
        if (http::iequals(name, "Authorization"))
            wipe(value);
    if (!right)
        return fail(Errc::AuthFailed, "the operator's token is wrong");
    return {};
}

} // namespace keymeld::api
