// One command to one enclave, with what is needed to repeat it.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/base/uuid.h"
#include "core/engine/sealed_owner.h"
#include "core/engine/timer_queue.h"
#include "core/protocol/enclave.pb.h"

namespace keymeld::engine {

struct EnclaveAnswer {
    wire::Response response;
    std::uint64_t sealed_token = 0; ///< of the sealed update that came with it (sealed_store.h); 0: none
};

/// Filled in by whoever asks; the commands are idempotent, so that it may be sent again after a lost link or a repair.
struct EnclaveCall {
    std::uint32_t enclave = 0;
    std::optional<SealedOwner> owner;           ///< whose state the command needs and may change
    std::optional<KeygenId> source;             ///< if set, whose state it needs instead: of KeepKey
    std::function<void(wire::Request&)> build;  ///< makes the command, each time anew; the request is in an arena, so it can hold
                                                ///< messages of others that stay where they are for the length of the call
    std::function<void(Result<EnclaveAnswer>)> done; ///< called once, never from inside the asking
    SteadyTime deadline{};                      ///< answered by then
    SteadyTime wait_until{};                    ///< until then an enclave that is away is waited for; {}: not at all

    // Of the fleet:
    TimerQueue::Handle waiting{};
    bool queued = false;
    std::uint32_t restored = 0;
    std::uint32_t introduced = 0;
};
using EnclaveCallPtr = std::shared_ptr<EnclaveCall>;

/// The sealed update in `response`, if there is one; it may be moved from.
wire::SealedUpdate* sealed_update(wire::Response& response);

} // namespace keymeld::engine
