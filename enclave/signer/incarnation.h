// One life of an enclave's key, so that two lives are never taken for one.
//
// A peer that hands a key over counts (number); the enclave that takes it draws `instance`. Whoever
// has seen one life of a peer refuses every earlier one, and another instance of the same number:
// so of two enclaves that a gateway gave the same key, at most one can go on with any session.
#pragma once

#include <cstdint>

namespace keymeld::enclave {

struct Incarnation {
    std::uint64_t number = 0; ///< 0: nobody counts
    std::uint64_t instance = 0;

    /// Whether this one may speak after `seen` was seen.
    bool may_follow(const Incarnation& seen) const { return number > seen.number || *this == seen; }
    bool operator==(const Incarnation&) const = default;
};

} // namespace keymeld::enclave
