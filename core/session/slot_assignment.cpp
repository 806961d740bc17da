#include "core/session/slot_assignment.h"

#include <algorithm>

namespace keymeld::session {

Result<std::vector<std::uint32_t>> assign_slots(std::span<const std::uint32_t> enclaves, std::uint32_t coordinator,
                                                std::size_t slots) {
    if (std::find(enclaves.begin(), enclaves.end(), coordinator) == enclaves.end())
        return fail(Errc::EnclaveUnavailable, "the coordinator enclave is not healthy");
    std::vector<std::uint32_t> assigned;
    assigned.reserve(slots);
    // One slot for each enclave, the coordinator's first; then round and round over all of them in the order of their ids.
    if (slots > 0)
        assigned.push_back(coordinator);
    for (const std::uint32_t id : enclaves)
        if (id != coordinator && assigned.size() < slots)
            assigned.push_back(id);
    for (std::size_t next = 0; assigned.size() < slots; ++next)
        assigned.push_back(enclaves[next % enclaves.size()]);
    return assigned;
}

} // namespace keymeld::session
