// Sealed state of the enclaves on its way to storage and back (docs/architecture.md, "Sealed state and its ledger").
//
// Updates of one enclave for one keygen or single key must become durable in the order of their versions: a chain with a hole cannot be given back. So every
// update is noted here in the order of arrival, and every batch of an owner takes along all that is noted for it, whoever caused it.
#pragma once

#include <map>
#include <set>
#include <unordered_map>

#include "core/engine/enclave_call.h"
#include "core/engine/store.h"

namespace keymeld::engine {

struct Hub;

/// [loop]
class SealedStore {
  public:
    explicit SealedStore(Hub& hub) : m_hub(hub) {}

    /// An update has arrived; its blob is moved out. Returns its token, which rises with each. If no batch takes it, it is written alone soon.
    std::uint64_t note(std::uint32_t enclave, const SealedOwner& owner, wire::SealedUpdate& update);
    /// Between hold() and release() updates of this owner wait for write(): it itself is not stored yet.
    void hold(const SealedOwner& owner);
    void release(const SealedOwner& owner);
    /// The owner is gone: its updates are worthless.
    void forget(const SealedOwner& owner);

    /// Writes `batch` together with everything noted for `owner`. `oldest_token`: of the first update that the caller relies on, 0 if none;
    /// StorageFailed if that one was lost with an earlier batch. When a batch with updates is refused, the streams of their enclaves are
    /// closed, so that the next update of each is a snapshot.
    void write(const SealedOwner& owner, Batch batch, std::uint64_t oldest_token, Store::Done done);
    Async<Status> write(SealedOwner owner, Batch batch, std::uint64_t oldest_token);

    /// When every update noted until now is durable, but for those of held owners; StorageFailed if one of them was refused.
    Async<Status> settled();

    /// Gives `enclave` back what is stored of `owner`. SealBroken if there is nothing, or if the enclave does not take it.
    void restore(std::uint32_t enclave, const SealedOwner& owner, SteadyTime deadline, std::function<void(Status)> done);

    void stop();

  private:
    struct Pending {
        std::uint32_t enclave = 0;
        std::uint64_t version = 0;
        bool snapshot = false;
        Bytes blob;
    };
    struct Lane {
        std::vector<Pending> updates; ///< in order of arrival
        SteadyTime since{};
        bool held = false;
    };
    void arm_flush();
    void flush();
    void batch_failed(const SealedOwner& owner, std::vector<std::uint32_t> enclaves, const Error& error);
    Async<void> run_restore(std::uint32_t enclave, SealedOwner owner, SteadyTime deadline);
    Async<Status> restored(std::uint32_t enclave, SealedOwner owner, SteadyTime deadline);

    Hub& m_hub;
    struct Settling {
        std::uint64_t last_write = 0;
        OneShot<Status> done;
    };
    void write_ended(std::uint64_t number, const Status& status);
    std::uint64_t m_last_token = 0;
    std::uint64_t m_last_write = 0;
    std::set<std::uint64_t> m_writes; ///< of updates, under way
    std::vector<Settling> m_settling;
    std::unordered_map<SealedOwner, Lane> m_lanes; ///< only those with something in them
    std::unordered_map<SealedOwner, std::uint64_t> m_lost; ///< updates up to this token did not reach storage
    std::map<std::pair<std::uint32_t, SealedOwner>, std::vector<std::function<void(Status)>>> m_restores;
    TimerQueue::Handle m_flush_timer;
    bool m_stopped = false;
};

} // namespace keymeld::engine
