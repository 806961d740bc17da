#include "appliance/api/route.h"

namespace keymeld::api {
namespace {

constexpr std::string_view kEnclaves = "enclaves";
constexpr std::string_view kKeygen = "keygen";
constexpr std::string_view kSigning = "signing";
constexpr std::string_view kKeys = "keys";
constexpr std::string_view kOperations = "operations";

constexpr std::string_view kEventStream = "text/event-stream";

Parameter wait_parameter() {
    return {"wait",
            "Hold the answer for at most this many seconds, until the status differs from what it is now or is final.",
            R"({"type":"integer","minimum":0,"maximum":60,"default":0})"};
}

std::vector<Success> event_successes() {
    return {{200, kEventStream, "", "Events `status` with the status body as data, one for each visible change."},
            {204, "", "", "The session has ended and Last-Event-ID shows that the client knows."}};
}

std::vector<Route> make_routes() {
    std::vector<Route> table;
    table.reserve(30);

    // 4.1 - 4.3
    table.emplace_back(Method::Get, "/enclaves", Auth::None, Operation::ListEnclaves, Body::None, Place::Api,
                       Documentation{.tag = kEnclaves,
                                     .summary = "List the enclaves with their keys and attestation documents",
                                     .text = "Verify an attestation document before you encrypt to its key.",
                                     .request_schema = {},
                                     .successes = {{.schema = "EnclaveList", .description = "By enclave_id, ascending."}},
                                     .query = {},
                                     .errors = {}});
    table.emplace_back(Method::Get, "/enclaves/{enclave_id}/public-key", Auth::None, Operation::EnclavePublicKey,
                       Body::None, Place::Api,
                       Documentation{.tag = kEnclaves,
                                     .summary = "Get one enclave's key",
                                     .text = {},
                                     .request_schema = {},
                                     .successes = {{.schema = "EnclavePublicKey", .description = "The current key."}},
                                     .query = {},
                                     .errors = {Errc::NotFound, Errc::EnclaveUnavailable}});
    table.emplace_back(
        Method::Get, "/enclaves/{enclave_id}/attestation", Auth::None, Operation::EnclaveAttestation, Body::None, Place::Api,
        Documentation{.tag = kEnclaves,
                      .summary = "Have one enclave make a fresh attestation document",
                      .text = "A verifier uses only what is inside the signed document; the other fields are a convenience.",
                      .request_schema = {},
                      .successes = {{.schema = "Attestation", .description = "A document made for this request."}},
                      .query = {{"nonce", "Hex of 1 to 64 bytes that the document will contain.",
                                 R"({"type":"string","pattern":"^([0-9a-fA-F]{2}){1,64}$"})"}},
                      .errors = {Errc::NotFound, Errc::AttestationUnavailable}});

    // 4.4 - 4.8
    table.emplace_back(
        Method::Post, "/keygen", Auth::OperatorToken, Operation::CreateKeygen, Body::Json, Place::Api,
        Documentation{.tag = kKeygen,
                      .summary = "Open a keygen session",
                      .text = "Idempotent by keygen_session_id: an equal body gets the recorded answer again.",
                      .request_schema = "CreateKeygen",
                      .successes = {{.schema = "CreateKeygenAnswer", .description = "The session is open."}},
                      .query = {},
                      .errors = {Errc::WrongEnclave, Errc::KeyMismatch, Errc::DuplicateId, Errc::BlobReused,
                                 Errc::EnclaveUnavailable}});
    table.emplace_back(Method::Get, "/keygen/{keygen_session_id}/slots", Auth::None, Operation::KeygenSlots, Body::None,
                       Place::Api,
                       Documentation{.tag = kKeygen,
                                     .summary = "List the slots that are still free",
                                     .text = "A participant looks up its user_id to learn to which enclave it encrypts.",
                                     .request_schema = {},
                                     .successes = {{.schema = "Slots", .description = "By signer_index, ascending."}},
                                     .query = {},
                                     .errors = {Errc::NotFound, Errc::WrongState}});
    table.emplace_back(
        Method::Post, "/keygen/{keygen_session_id}/participants", Auth::SessionHmac, Operation::RegisterParticipant,
        Body::Json, Place::Api,
        Documentation{.tag = kKeygen,
                      .summary = "Register a participant's key",
                      .text = "The header covers the user_id of the body. Idempotent by (session, user).",
                      .request_schema = "RegisterParticipant",
                      .successes = {{.schema = "RegisterParticipantAnswer",
                                     .description = "Opened by the enclave of the slot and recorded."}},
                      .query = {},
                      .errors = {Errc::WrongEnclave, Errc::KeyMismatch, Errc::NotAParticipant, Errc::NotFound,
                                 Errc::AlreadyRegistered, Errc::BlobReused, Errc::WrongState}});
    table.emplace_back(Method::Get, "/keygen/{keygen_session_id}/status", Auth::SessionHmac, Operation::KeygenStatus,
                       Body::None, Place::Api,
                       Documentation{.tag = kKeygen,
                                     .summary = "Get the state of a keygen session",
                                     .text = "aggregate_public_key is already tweaked; check it against aggregate_key_tag.",
                                     .request_schema = {},
                                     .successes = {{.schema = "KeygenStatus", .description = "The current state."}},
                                     .query = {wait_parameter()},
                                     .errors = {Errc::NotFound}});
    table.emplace_back(Method::Get, "/keygen/{keygen_session_id}/events", Auth::SessionHmac, Operation::KeygenEvents,
                       Body::None, Place::Api,
                       Documentation{.tag = kKeygen,
                                     .summary = "Follow a keygen session as server-sent events",
                                     .text = "A reconnect needs a fresh header.",
                                     .request_schema = {},
                                     .successes = event_successes(),
                                     .query = {},
                                     .errors = {Errc::NotFound}});

    // 4.9 - 4.13
    table.emplace_back(
        Method::Post, "/signing", Auth::SessionHmac, Operation::CreateSigning, Body::Json, Place::Api,
        Documentation{.tag = kSigning,
                      .summary = "Ask for a signature",
                      .text = "The header covers the keygen session id. Idempotent by signing_session_id. A message in clear "
                              "(64 hex characters) is visible to the gateway; the hex-JSON form is not.",
                      .request_schema = "CreateSigning",
                      .successes = {{.schema = "CreateSigningAnswer", .description = "Accepted."}},
                      .query = {},
                      .errors = {Errc::MessageMismatch, Errc::NotFound, Errc::DuplicateId, Errc::WrongState,
                                 Errc::QuotaExceeded}});
    table.emplace_back(
        Method::Post, "/signing/{signing_session_id}", Auth::SigningHmac, Operation::ApproveSigning, Body::OptionalJson,
        Place::Api,
        Documentation{.tag = kSigning,
                      .summary = "Approve a signing session",
                      .text = "Without a body: header approval. With one: bound approval, which is worth nothing for another "
                              "session, message or time.",
                      .request_schema = "BoundApproval",
                      .successes = {{.media_type = {}, .schema = {}, .description = "Accepted; no body."}},
                      .query = {},
                      .errors = {Errc::MessageMismatch, Errc::NotAParticipant, Errc::BoundApprovalRequired,
                                 Errc::ApprovalExpired, Errc::NotFound, Errc::WrongState}});
    table.emplace_back(Method::Delete, "/signing/{signing_session_id}", Auth::SigningHmac, Operation::RejectSigning,
                       Body::None, Place::Api,
                       Documentation{.tag = kSigning,
                                     .summary = "Reject a signing session",
                                     .text = "By a participant that requires approval, while approvals are being collected.",
                                     .request_schema = {},
                                     .successes = {{.schema = "SigningStatus", .description = "The session has failed."}},
                                     .query = {},
                                     .errors = {Errc::NotAParticipant, Errc::NotPermitted, Errc::NotFound,
                                                Errc::WrongState}});
    table.emplace_back(Method::Get, "/signing/{signing_session_id}/status", Auth::SigningHmac, Operation::SigningStatus,
                       Body::None, Place::Api,
                       Documentation{.tag = kSigning,
                                     .summary = "Get the state of a signing session",
                                     .text = "final_signature is encrypted under the session secret.",
                                     .request_schema = {},
                                     .successes = {{.schema = "SigningStatus", .description = "The current state."}},
                                     .query = {wait_parameter()},
                                     .errors = {Errc::NotAParticipant, Errc::NotFound}});
    table.emplace_back(Method::Get, "/signing/{signing_session_id}/events", Auth::SigningHmac, Operation::SigningEvents,
                       Body::None, Place::Api,
                       Documentation{.tag = kSigning,
                                     .summary = "Follow a signing session as server-sent events",
                                     .text = "A reconnect needs a fresh header.",
                                     .request_schema = {},
                                     .successes = event_successes(),
                                     .query = {},
                                     .errors = {Errc::NotAParticipant, Errc::NotFound}});

    // rest-keys.md
    table.emplace_back(Method::Post, "/keys/reserve", Auth::None, Operation::ReserveKey, Body::Json, Place::Api,
                       Documentation{.tag = kKeys,
                                     .summary = "Reserve an id for a single key",
                                     .text = "The reservation lapses after 10 minutes. Verify the attestation of the enclave before a key is encrypted to it.",
                                     .request_schema = "ReserveKey",
                                     .successes = {{.schema = "ReservedKey", .description = "To be used with import, generate or keep."}},
                                     .query = {},
                                     .errors = {Errc::EnclaveUnavailable}});
    table.emplace_back(Method::Post, "/keys/import", Auth::UserSignature, Operation::ImportKey, Body::Json, Place::Api,
                       Documentation{.tag = kKeys,
                                     .summary = "Import a key, encrypted to the enclave of the reservation",
                                     .text = "Signed by auth_pubkey of the body. Idempotent by key_id.",
                                     .request_schema = "ImportKey",
                                     .successes = {{.schema = "KeyMade", .description = "The enclave holds the key."}},
                                     .query = {},
                                     .errors = {Errc::WrongEnclave, Errc::KeyMismatch, Errc::NotFound, Errc::DuplicateId, Errc::BlobReused}});
    table.emplace_back(Method::Post, "/keys/generate", Auth::UserSignature, Operation::GenerateKey, Body::Json, Place::Api,
                       Documentation{.tag = kKeys,
                                     .summary = "Generate a key inside the enclave of the reservation",
                                     .text = "Signed by auth_pubkey of the body. The key never exists outside the enclave. Idempotent by key_id.",
                                     .request_schema = "GenerateKey",
                                     .successes = {{.schema = "KeyMade", .description = "The enclave holds the key."}},
                                     .query = {},
                                     .errors = {Errc::WrongEnclave, Errc::NotFound, Errc::DuplicateId}});
    table.emplace_back(Method::Get, "/keys/{user_id}", Auth::UserSignature, Operation::ListKeys, Body::None, Place::Api,
                       Documentation{.tag = kKeys,
                                     .summary = "List the keys of the owner of one key",
                                     .text = "Those of the same user with the same authentication key.",
                                     .request_schema = {},
                                     .successes = {{.schema = "KeyList", .description = "Oldest first."}},
                                     .query = {{"key_id", "The key whose authentication key signed.", R"({"type":"string","format":"uuid"})"}},
                                     .errors = {Errc::NotFound}});
    table.emplace_back(Method::Get, "/keys/{user_id}/{key_id}/status", Auth::UserSignature, Operation::KeyStatus, Body::None, Place::Api,
                       Documentation{.tag = kKeys,
                                     .summary = "Get the state of a key",
                                     .text = "",
                                     .request_schema = {},
                                     .successes = {{.schema = "KeyStatus", .description = "The current state."}},
                                     .query = {},
                                     .errors = {Errc::NotFound}});
    table.emplace_back(Method::Delete, "/keys/{user_id}/{key_id}", Auth::UserSignature, Operation::DeleteKey, Body::None, Place::Api,
                       Documentation{.tag = kKeys,
                                     .summary = "Destroy a key",
                                     .text = "It is gone from the enclave and from the database, with everything about it.",
                                     .request_schema = {},
                                     .successes = {{.schema = "KeyDeleted", .description = "It is gone."}},
                                     .query = {},
                                     .errors = {Errc::NotFound}});
    table.emplace_back(Method::Post, "/keys/{user_id}/keygen/{keygen_id}", Auth::SessionAndUser, Operation::KeepKey, Body::Json, Place::Api,
                       Documentation{.tag = kKeys,
                                     .summary = "Keep one's own key of a completed keygen as a single key",
                                     .text = "Signed by the authentication key that is derived from the participant's key.",
                                     .request_schema = "KeepKey",
                                     .successes = {{.schema = "KeptKey", .description = "The key is a single key too; the keygen is as it was."}},
                                     .query = {},
                                     .errors = {Errc::NotAParticipant, Errc::NotFound, Errc::DuplicateId, Errc::WrongState}});
    table.emplace_back(Method::Post, "/sign/single", Auth::UserSignature, Operation::SignSingle, Body::Json, Place::Api,
                       Documentation{.tag = kKeys,
                                     .summary = "Sign a message with a single key",
                                     .text = "One approval, one signature. The scope of the header is the key id.",
                                     .request_schema = "SignSingle",
                                     .successes = {{.schema = "SingleSigning", .description = "The signature, encrypted under the secret of the request."}},
                                     .query = {},
                                     .errors = {Errc::WrongEnclave, Errc::MessageMismatch, Errc::ApprovalExpired, Errc::NotPermitted, Errc::NotFound, Errc::DuplicateId}});
    table.emplace_back(Method::Post, "/sign/single/batch", Auth::None, Operation::SignSingleBatch, Body::Json, Place::Api,
                       Documentation{.tag = kKeys,
                                     .summary = "Sign up to 100 messages",
                                     .text = "Each item is a request of its own, with its X-User-Signature as user_signature, and has its own result or error.",
                                     .request_schema = "SignSingleBatch",
                                     .successes = {{.schema = "SingleSigningBatch", .description = "Results in the order of the items."}},
                                     .query = {},
                                     .errors = {}});
    table.emplace_back(Method::Get, "/sign/single/{signing_session_id}/status/{user_id}", Auth::UserSignature, Operation::SingleSigningStatus, Body::None, Place::Api,
                       Documentation{.tag = kKeys,
                                     .summary = "Get a signature again",
                                     .text = "The scope of the header is the signing session id.",
                                     .request_schema = {},
                                     .successes = {{.schema = "SingleSigning", .description = "The signature."}},
                                     .query = {wait_parameter()},
                                     .errors = {Errc::NotFound}});

    // 4.14
    table.emplace_back(Method::Get, "/health", Auth::None, Operation::Health, Body::None, Place::Everywhere,
                       Documentation{.tag = kOperations,
                                     .summary = "Liveness and a summary",
                                     .text = "200 as long as the process answers.",
                                     .request_schema = {},
                                     .successes = {{.schema = "Health", .description = "From cached state."}},
                                     .query = {},
                                     .errors = {}});
    table.emplace_back(Method::Get, "/ready", Auth::None, Operation::Ready, Body::None, Place::Everywhere,
                       Documentation{.tag = kOperations,
                                     .summary = "Can it sign?",
                                     .text = "A canary signature succeeded lately on every required enclave.",
                                     .request_schema = {},
                                     .successes = {{.schema = "Ready", .description = "Yes."}},
                                     .query = {},
                                     .errors = {Errc::NotReady}});
    table.emplace_back(Method::Get, "/version", Auth::None, Operation::Version, Body::None, Place::Everywhere,
                       Documentation{.tag = kOperations,
                                     .summary = "Version and features",
                                     .text = {},
                                     .request_schema = {},
                                     .successes = {{.schema = "Version", .description = "What this server is."}},
                                     .query = {},
                                     .errors = {}});
    table.emplace_back(Method::Get, "/metrics", Auth::None, Operation::Metrics, Body::None, Place::Operations,
                       Documentation{.tag = kOperations,
                                     .summary = "Prometheus metrics",
                                     .text = {},
                                     .request_schema = {},
                                     .successes = {{200, "text/plain; version=0.0.4", "", "Text exposition format."}},
                                     .query = {},
                                     .errors = {}});
    table.emplace_back(Method::Get, "/openapi.json", Auth::None, Operation::OpenApi, Body::None, Place::Everywhere,
                       Documentation{.tag = kOperations,
                                     .summary = "This document",
                                     .text = {},
                                     .request_schema = {},
                                     .successes = {{200, "application/json", "", "OpenAPI 3.1."}},
                                     .query = {},
                                     .errors = {}});
    table.emplace_back(Method::Get, "/docs", Auth::None, Operation::Docs, Body::None, Place::Operations,
                       Documentation{.tag = kOperations,
                                     .summary = "Interactive viewer of this document",
                                     .text = {},
                                     .request_schema = {},
                                     .successes = {{200, "text/html", "", "The viewer."}},
                                     .query = {},
                                     .errors = {}});
    table.emplace_back(Method::Get, "/docs/{file}", Auth::None, Operation::DocsFile, Body::None, Place::Operations,
                       Documentation{.tag = kOperations,
                                     .summary = "A file of the viewer",
                                     .text = {},
                                     .request_schema = {},
                                     .successes = {{200, "application/octet-stream", "", "Script, style sheet or image."}},
                                     .query = {},
                                     .errors = {Errc::NotFound}});
    return table;
}

} // namespace

std::span<const Route> routes() {
    static const std::vector<Route> table = make_routes();
    return table;
}

} // namespace keymeld::api
