// /openapi.json out of the route table.
#pragma once

#include <string>
#include <string_view>

namespace keymeld::api {

/// The document (OpenAPI 3.1). `keygen_token`: POST /keygen asks for the operator's token. [any-thread]
std::string make_openapi(std::string_view version, bool keygen_token);

} // namespace keymeld::api
