// Which key each enclave has: remembered durably at the first sight, and held against whatever comes later under the same number.
//
// An enclave that comes back with another key cannot open what was sealed for the old one. Accepted silently, every session on it would be
// declared lost, although the old key may only be misplaced. So a change is refused until the operator names the new epoch.
#pragma once

#include <optional>

#include "core/engine/store.h"

namespace keymeld::engine {

/// [loop]
class KnownKeys {
  public:
    explicit KnownKeys(Store& store) : m_store(store) {}

    /// Success if enclave `id` is known with this key and epoch, or not known yet (then it is from now on), or if `accepted_epoch` names
    /// this epoch and it was not known before. `Errc::AttestationRefused` for any other key or epoch, StorageFailed.
    Async<Status> confirm(std::uint32_t id, ByteArray<33> key, std::uint64_t epoch, std::optional<std::uint64_t> accepted_epoch,
                          SteadyTime deadline);

    /// Whether this is the key, with this epoch, that enclave `id` is known with now. StorageFailed.
    Async<Result<bool>> is_latest(std::uint32_t id, ByteArray<33> key, std::uint64_t epoch, SteadyTime deadline);

  private:
    Store& m_store;
};

} // namespace keymeld::engine
