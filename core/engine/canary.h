// Canary signatures: a whole MuSig2 signing with throw-away keys in every enclave now and then, verified here; what /ready goes by.
#pragma once

#include <map>

#include "core/engine/api.h"
#include "core/engine/async.h"

namespace keymeld::engine {

struct Hub;

/// [loop]
class Canary {
  public:
    explicit Canary(Hub& hub) : m_hub(hub) {}

    /// Asks every enclave again and again, until the hub stops.
    void start();
    /// rest-v1.md 4.14: ready only if every required enclave signed within canary_max_age.
    ReadyView ready() const;

  private:
    struct Seen {
        SteadyTime last_success{};
        bool ever = false;
        std::uint64_t checked_at = 0;
        std::string problem = "no canary signature yet";
        std::string type = "not_ready";
    };
    Async<void> run(std::uint32_t enclave);
    Async<Status> sign_once(std::uint32_t enclave);

    Hub& m_hub;
    std::map<std::uint32_t, Seen> m_seen;
};

} // namespace keymeld::engine
