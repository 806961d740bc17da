// Everything the parts of the engine know of each other. One per Engine, on one loop.
#pragma once

#include <atomic>
#include <unordered_map>

#include "core/config/config.h"
#include "core/engine/cleaner.h"
#include "core/engine/enclave_fleet.h"
#include "core/engine/engine.h"
#include "core/engine/identity_keeper.h"
#include "core/engine/keyed_lock.h"
#include "core/engine/keygen_table.h"
#include "core/engine/known_keys.h"
#include "core/engine/nonce_guard.h"
#include "core/engine/sealed_store.h"
#include "core/engine/signing_table.h"
#include "core/engine/store.h"
#include "core/engine/timer_queue.h"

namespace keymeld::engine {

/// Coroutines of client requests keep it alive; everything else in it ends with shut_down().
struct Hub : std::enable_shared_from_this<Hub> {
    Hub(asio::io_context& the_loop, const config::Config& the_config, Parts parts, Observer* the_observer);
    ~Hub();

    /// Closes links, ends all waiting. Batches already given to storage finish; coroutines end in the next turns of the loop.
    void shut_down();

    asio::io_context& loop;
    const config::Config& config;
    Observer& observer;
    std::shared_ptr<plugin::TweakPlugin> tweak;
    std::map<std::uint32_t, std::unique_ptr<plugin::Transport>> transports; ///< until the fleet takes them
    TimerQueue timers;
    Store store;
    NonceGuard nonces;
    KeyedLock locks;
    KnownKeys known_keys;
    EnclaveFleet fleet;
    SealedStore sealed;
    KeygenTable keygens;
    SigningTable signings;
    Cleaner cleaner;
    IdentityKeeper identities;
    std::unordered_map<KeyId, std::uint64_t> reserved_keys; ///< not used yet, and until when they may be
    std::uint32_t next_key_enclave = 0;                     ///< single keys go round the enclaves
    bool started = false;
    bool stopping = false;
    std::uint32_t operations = 0; ///< of clients, under way
    std::uint32_t tasks = 0;      ///< of our own, running in the background

    /// For loops of background tasks: until `time` is over or the hub stops.
    Async<void> pause(std::chrono::milliseconds time);
    /// When a client's request that begins now must be answered.
    SteadyTime request_deadline() const { return std::chrono::steady_clock::now() + config.limits.request_deadline; }
};

/// One client request: counted while it lives, and keeps the hub.
class Operation {
  public:
    /// Overloaded while stopping or when too many are under way.
    static Result<Operation> begin(Hub& hub);
    Operation(Operation&&) = default;
    Operation& operator=(Operation&&) = delete;
    ~Operation();
    SteadyTime deadline() const { return m_deadline; }
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - m_began).count(); }

  private:
    explicit Operation(Hub& hub);
    std::shared_ptr<Hub> m_hub;
    SteadyTime m_began;
    SteadyTime m_deadline;
};

/// A coroutine that runs in the background: counted while it lives, and keeps the hub.
class BackgroundTask {
  public:
    explicit BackgroundTask(Hub& hub) : m_hub(hub.shared_from_this()) { ++m_hub->tasks; }
    BackgroundTask(const BackgroundTask&) = delete;
    BackgroundTask& operator=(const BackgroundTask&) = delete;
    ~BackgroundTask() { --m_hub->tasks; }

  private:
    std::shared_ptr<Hub> m_hub;
};

/// An error as rest-v1.md 2.5 names it: what happened inside becomes 503 (may be tried again) or 500.
Error for_client(Error error);

} // namespace keymeld::engine
