#include "core/engine/engine.h"

#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/attestation/document.h"
#include "core/base/log.h"
#include "core/crypto/digest.h"
#include "core/engine/canary.h"
#include "core/engine/hub.h"
#include "core/engine/key_requests.h"
#include "core/engine/keygen_requests.h"
#include "core/engine/retention.h"
#include "core/engine/signing_requests.h"
#include "core/plugin/tweak.h"

namespace keymeld::engine {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kLease{60};
constexpr seconds kRenewal{20};
constexpr seconds kStatsInterval{5};
constexpr seconds kStopTimeout{10};

/// Who holds the leases: the same after a restart on the same machine with the same configuration, so that what it left is its own again.
Uuid lease_owner(const config::Config& config) {
    char host[256] = {};
    if (::gethostname(host, sizeof host - 1) != 0)
        host[0] = 0;
    const auto hash = crypto::sha256({as_bytes("keymeld-lease-owner-v1"), as_bytes(std::string_view(host)),
                                      as_bytes(config.file.native()), as_bytes(config.server.listen.text())});
    Uuid owner;
    std::copy_n(hash.begin(), owner.bytes.size(), owner.bytes.begin());
    return owner;
}

} // namespace

class Engine::Impl : public Hub {
  public:
    Impl(asio::io_context& the_loop, const config::Config& the_config, Parts parts, Observer* the_observer)
        : Hub(the_loop, the_config, std::move(parts), the_observer), canary(*this), retention(*this),
          owner(lease_owner(the_config)) {}

    Async<Status> start();
    Async<void> stop();
    Async<void> renew_leases();
    Async<void> refresh_stats();
    Async<Status> adopt(plugin::Unfinished unfinished, bool at_start);
    Async<Result<AttestationAnswer>> attest(std::uint32_t id, Bytes nonce);
    EnclaveView view_of_enclave(const config::Enclave& enclave);

    Canary canary;
    Retention retention;
    Uuid owner;
    plugin::StorageStats stats;
    bool stop_called = false;
};

Async<Status> Engine::Impl::start() {
    const auto keep = shared_from_this();
    if (const Status opened = fleet.open(std::move(transports)); !opened)
        co_return opened;
    auto unfinished =
        co_await store.claim_unfinished(owner, unix_seconds() + static_cast<std::uint64_t>(kLease.count()));
    if (!unfinished)
        co_return unfinished.error();
    started = true;
    fleet.start();
    const Status adopted = co_await adopt(std::move(*unfinished), true);
    if (!adopted)
        co_return adopted;
    canary.start();
    retention.start();
    spawn(loop, "leases", renew_leases());
    spawn(loop, "statistics", refresh_stats());
    co_return Status{};
}

/// Takes over sessions that storage gave us. Those of a renewal are looked at again: they may have ended while the list was made.
Async<Status> Engine::Impl::adopt(plugin::Unfinished unfinished, bool at_start) {
    std::size_t resumed = 0;
    for (plugin::KeygenBundle& bundle : unfinished.keygens) {
        if (keygens.knows_unfinished(bundle.record.id))
            continue;
        if (!at_start) {
            plugin::ReadBatch question;
            question.keygen = bundle.record.id;
            auto now = co_await store.read(std::move(question), request_deadline());
            if (!now || !now->keygen || session::is_terminal(now->keygen->record.status) ||
                keygens.knows_unfinished(bundle.record.id))
                continue;
            bundle = std::move(*now->keygen);
        }
        keygens.resume(std::move(bundle));
        ++resumed;
    }
    for (plugin::SigningBundle& bundle : unfinished.signings) {
        const SigningId id = bundle.record.id;
        if (signings.knows_unfinished(id))
            continue;
        if (!at_start) {
            plugin::ReadBatch question;
            question.signing = id;
            auto now = co_await store.read(std::move(question), request_deadline());
            if (!now || !now->signing || session::is_terminal(now->signing->record.status) || signings.knows_unfinished(id))
                continue;
            bundle = std::move(*now->signing);
        }
        const auto keygen = co_await keygens.get(bundle.record.keygen_id, request_deadline());
        if (!keygen || !keygen->ended) {
            log::error("engine", "signing_without_keygen", {{"signing", id}, {"keygen", bundle.record.keygen_id}});
            if (at_start && !keygen && keygen.error().code == Errc::StorageFailed)
                co_return keygen.error();
            continue;
        }
        signings.resume(keygen->ended, std::move(bundle));
        ++resumed;
    }
    if (resumed > 0)
        log::info("engine", "resumed", {{"sessions", resumed}});
    co_return Status{};
}

Async<void> Engine::Impl::renew_leases() {
    const BackgroundTask task(*this);
    while (!stopping) {
        co_await pause(kRenewal);
        if (stopping)
            co_return;
        auto unfinished =
            co_await store.claim_unfinished(owner, unix_seconds() + static_cast<std::uint64_t>(kLease.count()));
        if (!unfinished) {
            log::warn("engine", "lease_not_renewed", {{"why", unfinished.error().detail}});
            continue;
        }
        const Status adopted = co_await adopt(std::move(*unfinished), false);
        if (!adopted)
            log::warn("engine", "adoption_failed", {{"why", adopted.error().detail}});
    }
}

Async<void> Engine::Impl::refresh_stats() {
    const BackgroundTask task(*this);
    while (!stopping) {
        auto fresh = co_await store.stats();
        if (fresh)
            stats = *fresh;
        co_await pause(kStatsInterval);
    }
}

Async<void> Engine::Impl::stop() {
    const auto keep = shared_from_this();
    if (std::exchange(stop_called, true))
        co_return;
    shut_down();
    // What clients asked for and what runs in the background ends by itself now, and what storage was given becomes durable.
    asio::steady_timer timer(loop);
    const SteadyTime until = steady_clock::now() + kStopTimeout;
    while ((operations > 0 || tasks > 0 || store.writes_under_way() > 0) && steady_clock::now() < until) {
        timer.expires_after(std::chrono::milliseconds(5));
        co_await timer.async_wait(asio::use_awaitable);
    }
}

Async<Result<AttestationAnswer>> Engine::Impl::attest(std::uint32_t id, Bytes nonce) {
    const auto operation = Operation::begin(*this);
    if (!operation)
        co_return operation.error();
    const EnclaveNode* const node = fleet.find(id);
    if (node == nullptr)
        co_return fail(Errc::NotFound, "no such enclave");
    EnclaveCall call;
    call.enclave = id;
    const Patience patience = fleet.in_request(operation->deadline());
    call.deadline = patience.deadline;
    call.wait_until = patience.wait_until;
    call.build = [nonce = std::move(nonce)](wire::Request& request) {
        request.mutable_attest()->set_nonce(std::string(as_text(nonce)));
    };
    const auto answer = co_await fleet.ask(std::move(call));
    if (!answer)
        co_return for_client(answer.error());
    AttestationAnswer out;
    out.enclave_id = id;
    out.attestation_document = to_bytes(as_bytes(answer->response.attest().attestation_document()));
    out.timestamp = unix_seconds();
    if (const EnclaveProof* const proof = node->proof()) {
        out.public_key = proof->hello.public_key;
        out.key_epoch = proof->hello.key_epoch;
        out.pcrs = attestation::pcr_texts(proof->pcrs);
    }
    co_return out;
}

EnclaveView Engine::Impl::view_of_enclave(const config::Enclave& enclave) {
    if (const EnclaveNode* const node = fleet.find(enclave.id))
        return node->view();
    EnclaveView out;
    out.enclave_id = enclave.id;
    return out;
}

// ---- Engine ---------------------------------------------------------------------------------------------------------

Engine::Engine(boost::asio::io_context& loop, const config::Config& config, Parts parts, Observer* observer)
    : m_impl(std::make_shared<Impl>(loop, config, std::move(parts), observer)) {}

Engine::~Engine() {
    if (!m_impl->stopping)
        m_impl->shut_down();
    // A coroutine that waits for storage would keep everything, and its answer could come when the loop is gone.
    m_impl->store.close();
    // Handlers that are queued already refer to it.
    asio::post(m_impl->loop, [keep = m_impl] {});
}

Async<Status> Engine::start() { return m_impl->start(); }
Async<void> Engine::stop() { return m_impl->stop(); }

Async<Result<CreateKeygenAnswer>> Engine::create_keygen(CreateKeygen request) {
    return engine::create_keygen(*m_impl, std::move(request));
}
Async<Result<SlotsAnswer>> Engine::slots(KeygenId id) { return keygen_slots(*m_impl, id); }
Async<Result<RegisterAnswer>> Engine::register_participant(RegisterParticipant request) {
    return engine::register_participant(*m_impl, std::move(request));
}
Async<Result<KeygenView>> Engine::keygen_status(KeygenId id, std::string session_header) {
    return engine::keygen_status(*m_impl, id, std::move(session_header));
}
Async<Result<KeygenView>> Engine::wait_keygen_status(KeygenView from, SteadyTime until) {
    return wait_keygen(*m_impl, std::move(from), until, false);
}
Async<Result<KeygenView>> Engine::wait_keygen_event(KeygenView from, SteadyTime until) {
    return wait_keygen(*m_impl, std::move(from), until, true);
}

Async<Result<CreateSigningAnswer>> Engine::create_signing(CreateSigning request) {
    return engine::create_signing(*m_impl, std::move(request));
}
Async<Status> Engine::approve(ApproveSigning request) { return approve_signing(*m_impl, std::move(request)); }
Async<Result<SigningView>> Engine::reject(SigningId id, std::string signing_header) {
    return reject_signing(*m_impl, id, std::move(signing_header));
}
Async<Result<SigningView>> Engine::signing_status(SigningId id, std::string signing_header) {
    return engine::signing_status(*m_impl, id, std::move(signing_header));
}
Async<Result<SigningView>> Engine::wait_signing_status(SigningView from, SteadyTime until) {
    return wait_signing(*m_impl, std::move(from), until, false);
}
Async<Result<SigningView>> Engine::wait_signing_event(SigningView from, SteadyTime until) {
    return wait_signing(*m_impl, std::move(from), until, true);
}

Async<Result<ReservedKey>> Engine::reserve_key(UserId user) { return engine::reserve_key(*m_impl, user); }
Async<Result<KeyView>> Engine::import_key(ImportKey request) { return engine::import_key(*m_impl, std::move(request)); }
Async<Result<KeyView>> Engine::generate_key(GenerateKey request) {
    return engine::generate_key(*m_impl, std::move(request));
}
Async<Result<KeyView>> Engine::keep_key(KeepKey request) { return engine::keep_key(*m_impl, std::move(request)); }
Async<Result<std::vector<KeyView>>> Engine::list_keys(KeyRequest request) {
    return engine::list_keys(*m_impl, std::move(request));
}
Async<Result<KeyView>> Engine::key_status(KeyRequest request) { return engine::key_status(*m_impl, std::move(request)); }
Async<Status> Engine::delete_key(KeyRequest request) { return engine::delete_key(*m_impl, std::move(request)); }
Async<Result<SingleSigningView>> Engine::sign_single(SignSingle request) {
    return engine::sign_single(*m_impl, std::move(request));
}
Async<std::vector<Result<SingleSigningView>>> Engine::sign_batch(std::vector<SignSingle> requests) {
    return engine::sign_batch(*m_impl, std::move(requests));
}
Async<Result<SingleSigningView>> Engine::single_signing_status(SigningId id, UserId user, std::string user_header) {
    return engine::single_signing_status(*m_impl, id, user, std::move(user_header));
}

Async<Status> Engine::keygen_exists(KeygenId id) {
    const std::shared_ptr<Impl> impl = m_impl;
    const auto keygen = co_await impl->keygens.get(id, impl->request_deadline());
    if (!keygen)
        co_return for_client(keygen.error());
    co_return Status{};
}

Async<Status> Engine::signing_exists(SigningId id) {
    const std::shared_ptr<Impl> impl = m_impl;
    const auto signing = co_await impl->signings.get(id, impl->request_deadline());
    if (!signing)
        co_return for_client(signing.error());
    co_return Status{};
}

std::vector<EnclaveView> Engine::enclaves() const {
    std::vector<EnclaveView> out;
    for (const config::Enclave& enclave : m_impl->config.enclaves)
        out.push_back(m_impl->view_of_enclave(enclave));
    return out;
}

Result<EnclaveView> Engine::enclave(std::uint32_t id) const {
    for (const config::Enclave& enclave : m_impl->config.enclaves)
        if (enclave.id == id)
            return m_impl->view_of_enclave(enclave);
    return fail(Errc::NotFound, "no such enclave");
}

Async<Result<AttestationAnswer>> Engine::attestation(std::uint32_t id, Bytes nonce) {
    return m_impl->attest(id, std::move(nonce));
}

HealthView Engine::health() const {
    HealthView out;
    out.active_sessions = static_cast<std::uint32_t>(m_impl->keygens.unfinished() + m_impl->signings.unfinished());
    out.healthy_enclaves = static_cast<std::uint32_t>(m_impl->fleet.healthy().size());
    out.total_enclaves = static_cast<std::uint32_t>(m_impl->fleet.nodes().size());
    out.total_sessions = m_impl->stats.total_sessions;
    out.stored_active_sessions = m_impl->stats.active_sessions;
    out.total_participants = m_impl->stats.total_participants;
    out.database_size_bytes = m_impl->stats.database_size_bytes;
    return out;
}

ReadyView Engine::ready() const { return m_impl->canary.ready(); }

} // namespace keymeld::engine
