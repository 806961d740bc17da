#include "core/engine/keygen_info.h"

#include <algorithm>

namespace keymeld::engine {

KeygenInfo::KeygenInfo(plugin::KeygenRecord given, std::vector<plugin::ParticipantRecord> members)
    : record(std::move(given)), participants(std::move(members)) {
    enclaves.push_back(record.coordinator_enclave_id);
    for (const plugin::ParticipantRecord& participant : participants)
        if (std::find(enclaves.begin(), enclaves.end(), participant.enclave_id) == enclaves.end())
            enclaves.push_back(participant.enclave_id);
}

std::optional<std::uint32_t> KeygenInfo::index_of(const UserId& user) const {
    for (const plugin::ParticipantRecord& participant : participants)
        if (participant.user_id == user)
            return participant.signer_index;
    return std::nullopt;
}

std::uint32_t KeygenInfo::registered() const {
    return static_cast<std::uint32_t>(std::count_if(participants.begin(), participants.end(),
                                                    [](const plugin::ParticipantRecord& p) { return p.registered; }));
}

} // namespace keymeld::engine
