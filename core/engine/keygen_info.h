// A keygen session as it is on record, with what is asked of it often computed once.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/plugin/storage.h"

namespace keymeld::engine {

/// Copied by nobody: shared by all that refer to the session. The record of a session that ended never changes.
struct KeygenInfo {
    plugin::KeygenRecord record;
    std::vector<plugin::ParticipantRecord> participants; ///< by signer_index
    std::vector<std::uint32_t> enclaves;                 ///< of the session, each once, the coordinator's first

    KeygenInfo(plugin::KeygenRecord given, std::vector<plugin::ParticipantRecord> members);

    std::optional<std::uint32_t> index_of(const UserId& user) const;
    std::uint32_t coordinator() const { return enclaves.front(); }
    std::uint32_t registered() const;
};

using KeygenPtr = std::shared_ptr<const KeygenInfo>;

} // namespace keymeld::engine
