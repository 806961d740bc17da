// All enclaves of the configuration, and the repairs that a command may need: giving back sealed state, introducing a peer, waiting for
// a lost link. Whoever asks sees only what could not be repaired.
#pragma once

#include <map>

#include "core/engine/enclave_node.h"

namespace keymeld::engine {

struct Hub;

/// How long a command may take.
struct Patience {
    SteadyTime deadline{};   ///< answered by then
    SteadyTime wait_until{}; ///< an enclave that is away is waited for until then
};

/// [loop]
class EnclaveFleet {
  public:
    explicit EnclaveFleet(Hub& hub) : m_hub(hub) {}

    /// Reads trust anchors and measurements. ConfigInvalid, Io. [startup]
    Status open(std::map<std::uint32_t, std::unique_ptr<plugin::Transport>> transports);
    void start();
    void stop();

    /// Null for an enclave that is not configured or not enabled.
    EnclaveNode* find(std::uint32_t id);
    const std::map<std::uint32_t, std::unique_ptr<EnclaveNode>>& nodes() const { return m_nodes; }
    /// Ids of those that answer, ascending.
    std::vector<std::uint32_t> healthy() const;
    /// Success as soon as the enclave answers, EnclaveUnavailable at `until`.
    Async<Status> wait_healthy(std::uint32_t id, SteadyTime until);

    /// Sends a command; its `done` is called once, later.
    void call(EnclaveCall call);
    /// The same, awaited; `done` is not set.
    Async<Result<EnclaveAnswer>> ask(EnclaveCall call);
    /// Waits for the enclave as the configuration allows inside a request, and never beyond `deadline`.
    Patience in_request(SteadyTime deadline) const;
    /// For steps of a session that nobody waits for.
    Patience in_background() const;
    /// Fails at once if the enclave is away.
    Patience at_once() const;

  private:
    using Settled = std::function<void(Status)>;
    void answered(const EnclaveCallPtr& call, Result<wire::Response> result);
    void health_changed(std::uint32_t id, bool healthy);
    void introduce(const EnclaveCallPtr& call, const std::string& peer_key_hex);
    Async<void> run_introduction(std::uint32_t enclave, std::string peer_key_hex, Patience patience);
    Async<Status> introduction(std::uint32_t enclave, const std::string& peer_key_hex, Patience patience);

    Hub& m_hub;
    std::map<std::uint32_t, std::unique_ptr<EnclaveNode>> m_nodes;
    std::map<std::pair<std::uint32_t, std::string>, std::vector<Settled>> m_introductions;
    std::map<std::uint32_t, std::vector<OneShot<bool>>> m_awaited;
};

} // namespace keymeld::engine
