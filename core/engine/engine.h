// The engine: runs keygen and signing sessions over storage and enclaves. The REST layer is its first user.
//
// Event-driven: a request, an enclave's answer or a deadline advances a session at once; nothing polls. A transition is durable before its
// effect can be seen outside. All functions run on the event loop given at creation [loop], return awaitables that end at the latest at the
// request deadline of the configuration, and give errors as rest-v1.md 2.5 names them. Nothing here sees a plaintext secret.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/engine/api.h"
#include "core/engine/observer.h"

namespace keymeld::config {
struct Config;
}
namespace keymeld::plugin {
class Storage;
class TweakPlugin;
}
namespace keymeld::protocol {
class Transport;
}

namespace keymeld::engine {

template <class T> using Async = boost::asio::awaitable<T>;

/// The opened plugins that the engine works with; transports by enclave id.
struct Parts {
    std::unique_ptr<plugin::Storage> storage;
    std::shared_ptr<plugin::TweakPlugin> tweak;
    std::map<std::uint32_t, std::unique_ptr<protocol::Transport>> transports;
};

class Engine {
  public:
    /// `config` and `observer` (metrics; may be null) must outlive the engine. [startup]
    Engine(boost::asio::io_context& loop, const config::Config& config, Parts parts, Observer* observer);
    /// Stops at once, if stop() was not called: what clients wait for is dropped. Waits for what storage was given. [loop]
    ~Engine();

    /// Claims and loads unfinished sessions, starts the enclave links, resumes. Ends when sessions are loaded (enclaves may still be connecting).
    Async<Status> start();
    /// Stops accepting work, lets batches under way finish, closes links.
    Async<void> stop();

    // Keygen (4.4 - 4.8)
    Async<Result<CreateKeygenAnswer>> create_keygen(CreateKeygen request);
    Async<Result<SlotsAnswer>> slots(KeygenId id);
    Async<Result<RegisterAnswer>> register_participant(RegisterParticipant request);
    /// Verifies the header (consuming its nonce) and returns the current state.
    Async<Result<KeygenView>> keygen_status(KeygenId id, std::string session_header);
    /// For a caller that was verified by keygen_status: the next view whose status differs from `from.status`, or the current one at `until`.
    Async<Result<KeygenView>> wait_keygen_status(KeygenView from, SteadyTime until);
    /// As above, for any visible change (event_seq above `from.event_seq`): event streams.
    Async<Result<KeygenView>> wait_keygen_event(KeygenView from, SteadyTime until);

    // Signing (4.9 - 4.13)
    Async<Result<CreateSigningAnswer>> create_signing(CreateSigning request);
    Async<Status> approve(ApproveSigning request);
    Async<Result<SigningView>> reject(SigningId id, std::string signing_header);
    Async<Result<SigningView>> signing_status(SigningId id, std::string signing_header);
    Async<Result<SigningView>> wait_signing_status(SigningView from, SteadyTime until);
    Async<Result<SigningView>> wait_signing_event(SigningView from, SteadyTime until);

    // Single keys (rest-keys.md)
    Async<Result<ReservedKey>> reserve_key(UserId user);
    Async<Result<KeyView>> import_key(ImportKey request);
    Async<Result<KeyView>> generate_key(GenerateKey request);
    Async<Result<KeyView>> keep_key(KeepKey request);
    /// The keys of this user with the same authentication key, oldest first.
    Async<Result<std::vector<KeyView>>> list_keys(KeyRequest request);
    Async<Result<KeyView>> key_status(KeyRequest request);
    Async<Status> delete_key(KeyRequest request);
    Async<Result<SingleSigningView>> sign_single(SignSingle request);
    /// Each on its own, all at once; answers in the order of the requests.
    Async<std::vector<Result<SingleSigningView>>> sign_batch(std::vector<SignSingle> requests);
    Async<Result<SingleSigningView>> single_signing_status(SigningId id, UserId user, std::string user_header);

    /// Existence check that precedes header verification (2.3): NotFound or success, cheap.
    Async<Status> keygen_exists(KeygenId id);
    Async<Status> signing_exists(SigningId id);

    // Enclaves and operations (4.1 - 4.3, 4.14); cached state except attestation()
    std::vector<EnclaveView> enclaves() const;
    Result<EnclaveView> enclave(std::uint32_t id) const;
    Async<Result<AttestationAnswer>> attestation(std::uint32_t id, Bytes nonce);
    HealthView health() const;
    ReadyView ready() const;

  private:
    class Impl;
    std::shared_ptr<Impl> m_impl; ///< requests under way share it
};

} // namespace keymeld::engine
