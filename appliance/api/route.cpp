#include "appliance/api/route.h"

#include "appliance/http/target.h"

namespace keymeld::api {
namespace {

/// Takes the next segment off `path` (which starts with "/").
std::string_view next_segment(std::string_view& path) {
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(segment.size());
    return segment;
}

bool is_placeholder(std::string_view segment) { return segment.starts_with('{'); }

bool matches(std::string_view path_template, std::string_view path, std::vector<std::string_view>& arguments) {
    arguments.clear();
    while (!path_template.empty() && !path.empty()) {
        const std::string_view wanted = next_segment(path_template);
        const std::string_view given = next_segment(path);
        if (is_placeholder(wanted)) {
            if (given.empty())
                return false;
            arguments.push_back(given);
        } else if (wanted != given) {
            return false;
        }
    }
    return path_template.empty() && path.empty();
}

bool served(const Route& route, bool operations_only, bool operations_moved) {
    switch (route.place) {
    case Place::Api: return !operations_only;
    case Place::Everywhere: return true;
    case Place::Operations: return operations_only || !operations_moved;
    }
    return false;
}

} // namespace

std::string_view text(Method method) {
    switch (method) {
    case Method::Get: return "GET";
    case Method::Post: return "POST";
    case Method::Delete: return "DELETE";
    }
    return "GET";
}

std::string_view text(Operation operation) {
    switch (operation) {
    case Operation::ListEnclaves: return "list_enclaves";
    case Operation::EnclavePublicKey: return "get_enclave_public_key";
    case Operation::EnclaveAttestation: return "get_enclave_attestation";
    case Operation::CreateKeygen: return "create_keygen";
    case Operation::KeygenSlots: return "get_keygen_slots";
    case Operation::RegisterParticipant: return "register_participant";
    case Operation::KeygenStatus: return "get_keygen_status";
    case Operation::KeygenEvents: return "follow_keygen";
    case Operation::CreateSigning: return "create_signing";
    case Operation::ApproveSigning: return "approve_signing";
    case Operation::RejectSigning: return "reject_signing";
    case Operation::SigningStatus: return "get_signing_status";
    case Operation::SigningEvents: return "follow_signing";
    case Operation::ReserveKey: return "reserve_key";
    case Operation::ImportKey: return "import_key";
    case Operation::GenerateKey: return "generate_key";
    case Operation::ListKeys: return "list_keys";
    case Operation::KeyStatus: return "get_key_status";
    case Operation::DeleteKey: return "delete_key";
    case Operation::KeepKey: return "keep_keygen_key";
    case Operation::SignSingle: return "sign_single";
    case Operation::SignSingleBatch: return "sign_single_batch";
    case Operation::SingleSigningStatus: return "get_single_signing_status";
    case Operation::Health: return "get_health";
    case Operation::Ready: return "get_ready";
    case Operation::Version: return "get_version";
    case Operation::Metrics: return "get_metrics";
    case Operation::OpenApi: return "get_openapi";
    case Operation::Docs: return "get_docs";
    case Operation::DocsFile: return "get_docs_file";
    }
    return "";
}

RouteMatch find_route(std::string_view method, std::string_view path, bool operations_only, bool operations_moved) {
    RouteMatch match;
    if (!path.starts_with(kPrefix))
        return match;
    path.remove_prefix(kPrefix.size());
    if (!path.starts_with('/'))
        return match;
    std::vector<std::string_view> arguments;
    arguments.reserve(2);
    for (const Route& route : routes()) {
        if (!served(route, operations_only, operations_moved) || !matches(route.path, path, arguments))
            continue;
        match.allow.append(match.allow.empty() ? "" : ", ").append(text(route.method));
        if (text(route.method) == method) {
            match.route = &route;
            match.arguments.clear();
            for (const std::string_view given : arguments)
                match.arguments.push_back(http::percent_decode(given).value_or(std::string(given)));
        }
    }
    return match;
}

std::vector<std::string_view> placeholders(std::string_view path_template) {
    std::vector<std::string_view> out;
    while (!path_template.empty()) {
        const std::string_view segment = next_segment(path_template);
        if (is_placeholder(segment))
            out.push_back(segment.substr(1, segment.size() - 2));
    }
    return out;
}

} // namespace keymeld::api
