// The YAML subset that configuration files use, as a small tree: mappings, sequences and scalars,
// each with its line.
//
// Refused: aliases, anchors, tags, more than one document, repeated or non-scalar keys, control
// characters. Bounded: kMaxFile bytes, kMaxDepth levels, kMaxNodes nodes, kMaxScalar bytes a
// scalar. Private to core/config.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace keymeld::config {

inline constexpr std::size_t kMaxFile = 1024 * 1024;
inline constexpr std::size_t kMaxDepth = 8;
inline constexpr std::size_t kMaxNodes = 20000;
inline constexpr std::size_t kMaxScalar = 4096;

struct Node {
    // Defined where Node is complete: clang does not accept vectors of itself otherwise.
    Node();
    ~Node();
    Node(const Node&);
    Node(Node&&) noexcept;
    Node& operator=(const Node&);
    Node& operator=(Node&&) noexcept;

    enum class Kind { Null, Scalar, Sequence, Mapping };

    Kind kind = Kind::Null;
    std::size_t line = 0;                              ///< from 1
    std::string text;                                  ///< of a scalar
    std::vector<Node> items;                           ///< of a sequence
    std::vector<std::pair<std::string, Node>> members; ///< of a mapping, in the order of the file
};

/// `Errc::ConfigInvalid`, detail "name:line: what is wrong; what is allowed". The root is a
/// mapping. [any-thread]
Result<Node> parse_yaml(std::string_view yaml, std::string_view name);

} // namespace keymeld::config
