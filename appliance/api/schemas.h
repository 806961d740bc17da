// The bodies of rest-v1.md section 4 as JSON Schema (2020-12, the dialect of OpenAPI 3.1), for /openapi.json.
#pragma once

#include <span>
#include <string_view>

namespace keymeld::api {

struct Schema {
    std::string_view name;
    std::string_view json; ///< with references into #/components/schemas/
};

/// All components, in the order of the document. [any-thread]
std::span<const Schema> schemas();

} // namespace keymeld::api
