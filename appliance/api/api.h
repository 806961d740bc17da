// REST API v1 over the engine: what the HTTP server runs for each request.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "appliance/api/decode.h"
#include "appliance/api/docs_files.h"
#include "appliance/api/pending_keygens.h"
#include "appliance/api/request_check.h"
#include "appliance/api/stream_slots.h"
#include "appliance/http/message.h"
#include "core/engine/engine.h"
#include "core/secure/secret.h"

namespace keymeld::metrics {
class Metrics;
}

namespace keymeld::api {

struct Settings {
    std::string version;
    DecodeLimits decode;
    std::uint32_t event_streams_per_client = 32;
    std::uint32_t event_streams_total = 4096;
    std::uint32_t pending_keygens_per_client = 64;
    std::vector<std::string> cors_origins;
    bool operations_moved = false;         ///< a listener of their own serves /metrics and /docs
    secure::SecretBytes keygen_token;      ///< empty: POST /keygen needs none
};

class Api final : public http::Service {
  public:
    /// `engine` and `metrics` must outlive it, and it must outlive the streams that it has given out.
    Api(engine::Engine& engine, metrics::Metrics& metrics, Settings settings, DocsFiles docs);

    http::Async<http::Response> handle(http::Request request) override;
    http::Response failure(const http::Request& request, const Error& error) override;

  private:
    using Answer = http::Async<Result<http::Response>>;

    /// The one place where an Operation becomes a call: exhaustive.
    Answer dispatch(Call& call);

    Answer enclave_attestation(Call& call);
    Answer create_keygen(Call& call);
    Answer keygen_slots(Call& call);
    Answer register_participant(Call& call);
    Answer keygen_status(Call& call);
    Answer keygen_events(Call& call);
    Answer create_signing(Call& call);
    Answer approve_signing(Call& call);
    Answer reject_signing(Call& call);
    Answer signing_status(Call& call);
    Answer signing_events(Call& call);
    Answer reserve_key(Call& call);
    Answer import_key(Call& call);
    Answer generate_key(Call& call);
    Answer list_keys(Call& call);
    Answer key_status(Call& call);
    Answer delete_key(Call& call);
    Answer keep_key(Call& call);
    Answer sign_single(Call& call);
    Answer sign_single_batch(Call& call);
    Answer single_signing_status(Call& call);

    http::Response list_enclaves() const;
    Result<http::Response> enclave_public_key(const Call& call) const;
    Result<http::Response> ready() const;
    http::Response version() const;

    Status check_token(Call& call) const;
    http::Async<Status> admit_keygen(const std::string& client, const engine::CreateKeygen& request);
    void finish(http::Response& response, const http::Request& request, const RouteMatch& match) const;
    bool allowed_origin(const http::Request& request) const;
    http::Response preflight(const RouteMatch& match) const;

    engine::Engine& m_engine;
    metrics::Metrics& m_metrics;
    Settings m_settings;
    DocsFiles m_docs;
    std::shared_ptr<const std::string> m_openapi;
    std::shared_ptr<StreamSlots> m_streams;
    PendingKeygens m_pending;
};

/// An answer with a JSON body.
http::Response json_response(std::string body);

} // namespace keymeld::api
