// The route table of rest-v1.md section 4 and rest-keys.md: the one list from which requests are served, 404 and 405 follow, metrics are labelled and
// /openapi.json is made. A route cannot be written down without saying how it is authenticated, and Api::dispatch() does not compile
// before it knows what to run for its Operation.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace keymeld::api {

/// Every route is under it, except that `path` below leaves it out.
inline constexpr std::string_view kPrefix = "/api/v1";

enum class Method { Get, Post, Delete };

enum class Auth {
    None,
    OperatorToken, ///< a bearer token, where the operator has set one
    SessionHmac,   ///< X-Session-HMAC (3.2)
    SigningHmac,   ///< X-Signing-HMAC (3.3)
    UserSignature, ///< X-User-Signature (rest-keys.md)
    SessionAndUser, ///< X-Session-HMAC and X-User-Signature
};

enum class Operation {
    ListEnclaves,
    EnclavePublicKey,
    EnclaveAttestation,
    CreateKeygen,
    KeygenSlots,
    RegisterParticipant,
    KeygenStatus,
    KeygenEvents,
    CreateSigning,
    ApproveSigning,
    RejectSigning,
    SigningStatus,
    SigningEvents,
    ReserveKey,
    ImportKey,
    GenerateKey,
    ListKeys,
    KeyStatus,
    DeleteKey,
    KeepKey,
    SignSingle,
    SignSingleBatch,
    SingleSigningStatus,
    Health,
    Ready,
    Version,
    Metrics,
    OpenApi,
    Docs,
    DocsFile,
};

enum class Body { None, Json, OptionalJson };

/// Where a route is served when operations have a listener of their own.
enum class Place {
    Api,        ///< never on the operations listener
    Everywhere, ///< on both
    Operations, ///< moves there
};

struct Parameter {
    std::string_view name;
    std::string_view description;
    std::string_view schema; ///< JSON text
};

struct Success {
    unsigned status = 200;
    std::string_view media_type = "application/json"; ///< empty: no body
    std::string_view schema;                          ///< name of a component, empty: none
    std::string_view description;
};

/// How a route looks in the documentation.
struct Documentation {
    std::string_view tag;
    std::string_view summary;
    std::string_view text;
    std::string_view request_schema; ///< name of a component
    std::vector<Success> successes;
    std::vector<Parameter> query;
    std::vector<Errc> errors;        ///< beyond those that every route can give
};

struct Route {
    Method method;
    std::string_view path; ///< template without kPrefix: "/keygen/{keygen_session_id}/slots"
    Auth auth;
    Operation operation;
    Body body;
    Place place;
    Documentation documentation;

    Route(Method m, std::string_view p, Auth a, Operation o, Body b, Place where, Documentation d)
        : method(m), path(p), auth(a), operation(o), body(b), place(where), documentation(std::move(d)) {}
};

/// The table, in the order of the specification. [any-thread]
std::span<const Route> routes();

/// "GET". [any-thread]
std::string_view text(Method method);
/// "create_keygen": operationId of the documentation.
std::string_view text(Operation operation);

/// What a path leads to.
struct RouteMatch {
    const Route* route = nullptr;         ///< null: no route, or none for this method
    std::vector<std::string> arguments;   ///< of the {placeholders}, percent-decoded, in order
    std::string allow;                    ///< methods of the path, for 405; empty: no such path
};

/// `path` as in the request, with kPrefix. `operations_only`: the request came by the operations listener; `operations_moved`: there is one.
RouteMatch find_route(std::string_view method, std::string_view path, bool operations_only, bool operations_moved);

/// Names of the {placeholders} of a template, in order.
std::vector<std::string_view> placeholders(std::string_view path_template);

} // namespace keymeld::api
