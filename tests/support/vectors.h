// Test vectors made by others. They are not part of this repository: KEYMELD_VECTORS names their
// folder, by default
// ../shared/vectors beside the checkout; the vectors of the REST formats are in spec/ beside that
// folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/hex.h"

namespace keymeld::test {

using boost::json::array;
using boost::json::object;
using boost::json::value;

/// Where the vector folder should be.
std::string vectors_folder();

/// A parsed file of the folder; empty if the folder is absent. Throws if the folder is there and
/// the file is not, if it does not parse, or if KEYMELD_VECTORS is set to a folder that does not
/// exist.
std::optional<value> load_json(std::string_view file);
/// rest-v1-vectors.json.
std::optional<value> load_rest_vectors();
/// Rows of a CSV file without quoting; the first is the header.
std::optional<std::vector<std::vector<std::string>>> load_csv(std::string_view file);

inline std::string text(const value& v) {
    return boost::json::value_to<std::string>(v);
}
inline std::size_t index(const value& v) {
    return v.to_number<std::size_t>();
}

/// The bytes of a hex string; throws for anything else.
inline Bytes unhex(std::string_view hex) {
    return hex_decode(hex).value();
}
inline Bytes unhex(const value& v) {
    return unhex(text(v));
}
template <std::size_t N> ByteArray<N> unhex_array(std::string_view hex) {
    return hex_decode_array<N>(hex).value();
}
template <std::size_t N> ByteArray<N> unhex_array(const value& v) {
    return unhex_array<N>(text(v));
}

} // namespace keymeld::test

/// Declares `variable` with the vectors that `load` gives, or skips the test and says why.
#define KEYMELD_VECTORS_OR_SKIP(variable, load)                                                    \
    const auto variable##_loaded = (load);                                                         \
    if (!variable##_loaded)                                                                        \
        GTEST_SKIP() << "NOT RUN: the test vectors are not at " << keymeld::test::vectors_folder() \
                     << "; set KEYMELD_VECTORS to their folder";                                   \
    const auto& variable = *variable##_loaded
