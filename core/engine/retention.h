// Deletes what the configuration says has been kept long enough (rest-v1.md section 9). One record that cannot be deleted stops no other.
#pragma once

#include "core/engine/store.h"

namespace keymeld::engine {

struct Hub;

/// [loop]
class Retention {
  public:
    explicit Retention(Hub& hub) : m_hub(hub) {}
    void start();

  private:
    Async<void> run();
    Async<void> sweep();
    Async<void> delete_signings(std::uint64_t before);
    Async<void> delete_single(plugin::EndedKind kind, std::uint64_t before);
    Async<void> delete_keygens(plugin::EndedKind kind, std::uint64_t before);
    Async<Status> delete_keygen(KeygenId id);

    Hub& m_hub;
};

} // namespace keymeld::engine
