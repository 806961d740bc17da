// Which enclave holds which participant (rest-v1.md 4.5).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"

namespace keymeld::session {

/// The enclave id of each of `slots` slots, slot 0 the coordinator's. `enclaves`: enabled and healthy ones, ascending, no duplicates.
/// `Errc::EnclaveUnavailable` if the coordinator enclave is not among them. [any-thread]
Result<std::vector<std::uint32_t>> assign_slots(std::span<const std::uint32_t> enclaves, std::uint32_t coordinator,
                                                std::size_t slots);

} // namespace keymeld::session
