// What enclaves still have to be told after a keygen session is over: erase its private keys, or destroy it. Repeated until it is done.
#pragma once

#include <deque>
#include <map>

#include "core/engine/async.h"
#include "core/engine/enclave_call.h"

namespace keymeld::engine {

struct Hub;

/// [loop] Lives in memory: a session that failed while an enclave was away is erased there when that enclave is back, or at the latest
/// with its record, when retention deletes it.
class Cleaner {
  public:
    explicit Cleaner(Hub& hub) : m_hub(hub) {}

    /// FailKeygen: private keys go, the session secret stays for status requests.
    void erase_keys(std::uint32_t enclave, const KeygenId& keygen);
    /// DeleteKeygen.
    void destroy(std::uint32_t enclave, const KeygenId& keygen);
    void enclave_is_up(std::uint32_t enclave) { work(enclave); }
    /// Until none of `enclaves` has to destroy this session any more: an id that was given up may be opened again only then.
    /// EnclaveUnavailable at `until`.
    Async<Status> wait_destroyed(KeygenId keygen, std::vector<std::uint32_t> enclaves, SteadyTime until);
    std::size_t owed() const;

  private:
    struct Task {
        KeygenId keygen;
        bool destroy = false;
    };
    struct Queue {
        std::deque<Task> tasks;
        bool working = false;
    };
    void add(std::uint32_t enclave, Task task);
    void finished(std::uint32_t enclave, const Task& task);
    void work(std::uint32_t enclave);
    Async<void> run(std::uint32_t enclave);

    Hub& m_hub;
    std::map<std::uint32_t, Queue> m_queues;
    std::map<std::pair<std::uint32_t, KeygenId>, std::vector<OneShot<bool>>> m_destroying; ///< owed, and who waits for it
};

} // namespace keymeld::engine
