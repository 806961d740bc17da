// One configured enclave: its link, who it proved to be, how it is, and the calls that wait for it.
#pragma once

#include <deque>
#include <unordered_map>

#include "core/attestation/verifier.h"
#include "core/config/config.h"
#include "core/engine/api.h"
#include "core/engine/async.h"
#include "core/engine/enclave_call.h"
#include "core/engine/known_keys.h"
#include "core/plugin/transport.h"
#include "core/protocol/enclave_link.h"

namespace keymeld::engine {

/// What an enclave proved at its last hello.
struct EnclaveProof {
    protocol::SignerHello hello;
    attestation::PcrSet pcrs;
};

/// [loop]
class EnclaveNode {
  public:
    struct Events {
        std::function<void(std::uint32_t id, bool healthy)> health;
        /// An answer to a submitted call. The fleet repairs and repeats, or tells the one who asked.
        std::function<void(const EnclaveCallPtr&, Result<wire::Response>)> answered;
        /// The enclave has lost its key with a restart and would take it back: as IdentityKeeper::recover().
        std::function<void(std::uint32_t id, protocol::SignerHello, std::function<void(Status)>)> recover;
        /// It has versions of sealed states to report to its peers.
        std::function<void(std::uint32_t id)> has_news;
    };

    EnclaveNode(asio::io_context& loop, TimerQueue& timers, KnownKeys& known_keys, const config::Enclave& config,
                std::size_t max_in_flight, std::shared_ptr<plugin::Transport> transport,
                attestation::AttestationVerifier verifier, Events events);

    void start();
    void stop();

    /// Sends `call` now, or when the link is there and has room; fails it with EnclaveUnavailable after wait_until, DeadlineExceeded
    /// after its deadline.
    void submit(const EnclaveCallPtr& call);
    /// Sends CloseSigning a second later, or when there are many: one for all sessions of a keygen, because each makes the enclave seal
    /// an update and storage keep it.
    void close_later(const KeygenId& keygen, const SigningId& signing);
    /// What was answered on the stream may be lost: gives it up.
    void reset(const std::string& reason);

    std::uint32_t id() const { return m_config.id; }
    const config::Enclave& config() const { return m_config; }
    bool healthy() const { return m_link->up(); }
    /// Of the last hello that was accepted; null if there was none.
    const EnclaveProof* proof() const { return m_proof ? &*m_proof : nullptr; }
    /// The document of `hello`, verified as that of every stream to this enclave.
    Result<attestation::VerifiedAttestation> attested(const protocol::SignerHello& hello) const;
    /// Another link to it, beside its stream.
    std::unique_ptr<protocol::EnclaveLink> side_link(protocol::LinkEvents events) const;
    EnclaveView view() const;
    std::size_t waiting() const { return m_queue.size(); }

  private:
    void verify(const protocol::SignerHello& hello, std::function<void(Status)> done);
    Async<void> confirm(protocol::SignerHello hello, attestation::PcrSet pcrs, std::function<void(Status)> done);
    Async<Status> known(protocol::SignerHello hello, std::optional<std::uint64_t> accepted_epoch);
    bool given_up(const Uuid& boot_id) const;
    void begin_recovery(const protocol::SignerHello& hello);
    void end_recovery(const Uuid& boot_id, const Status& status);
    protocol::Connector connector() const;
    void on_up();
    void on_down(const protocol::LinkDown& down);
    void ping();
    void pump();
    void transmit(const EnclaveCallPtr& call);
    void flush_closes();
    void refuse(const EnclaveCallPtr& call, Error error);

    asio::io_context& m_loop;
    TimerQueue& m_timers;
    KnownKeys& m_known_keys;
    const config::Enclave& m_config;
    std::size_t m_max_in_flight;
    std::shared_ptr<plugin::Transport> m_transport;
    attestation::AttestationVerifier m_verifier;
    Events m_events;
    std::unique_ptr<protocol::EnclaveLink> m_link;
    std::optional<EnclaveProof> m_proof;
    std::optional<Uuid> m_boot_id;
    /// Of an enclave that came without its key.
    struct Recovery {
        Uuid boot_id;
        SteadyTime since{};
        bool under_way = false;
        bool nobody_holds_it = false;
    };
    std::optional<Recovery> m_recovery;
    std::deque<EnclaveCallPtr> m_queue;
    std::unordered_map<KeygenId, std::vector<SigningId>> m_closes;
    std::size_t m_close_count = 0;
    TimerQueue::Handle m_close_timer;
    TimerQueue::Handle m_ping_timer;
    wire::PingResult m_ping;
    std::uint64_t m_last_health_check = 0;
    bool m_stopped = false;
    bool m_was_down_logged = false;
};

} // namespace keymeld::engine
