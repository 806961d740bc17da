#include "core/engine/enclave_fleet.h"

#include <boost/asio/post.hpp>

#include "core/base/hex.h"
#include "core/base/log.h"
#include "core/engine/hub.h"

namespace keymeld::engine {
namespace {

using std::chrono::steady_clock;

constexpr std::uint32_t kMaxRestores = 2;         // of one call
constexpr std::chrono::seconds kStepTimeout{10}; // of a background step, after the enclave is there
constexpr std::size_t kMaxInFlight = 4096;       // commands at one enclave; more wait here

} // namespace

Status EnclaveFleet::open(std::map<std::uint32_t, std::unique_ptr<plugin::Transport>> transports) {
    for (const config::Enclave& enclave : m_hub.config.enclaves) {
        if (!enclave.enabled)
            continue;
        const auto transport = transports.find(enclave.id);
        if (transport == transports.end() || !transport->second)
            return fail(Errc::ConfigInvalid, enclave.where + ": enclave " + std::to_string(enclave.id) + " has no transport");
        auto anchor = attestation::TrustAnchor::from_config(enclave.attestation.trust(), m_hub.config.file.parent_path());
        if (!anchor)
            return anchor.error();
        auto policy = attestation::PcrPolicy::from_file(enclave.attestation.pcrs);
        if (!policy)
            return policy.error();
        m_nodes.emplace(
            enclave.id,
            std::make_unique<EnclaveNode>(
                m_hub.loop, m_hub.timers, m_hub.known_keys, enclave, kMaxInFlight, std::move(transport->second),
                attestation::AttestationVerifier(std::move(*anchor), std::move(*policy)),
                EnclaveNode::Events{
                    [this](std::uint32_t id, bool healthy) { health_changed(id, healthy); },
                    [this](const EnclaveCallPtr& call, Result<wire::Response> result) { answered(call, std::move(result)); },
                    [this](std::uint32_t id, protocol::SignerHello hello, std::function<void(Status)> done) {
                        m_hub.identities.recover(id, std::move(hello), std::move(done));
                    },
                    [this](std::uint32_t id) { m_hub.identities.report_versions(id); }}));
    }
    return {};
}

void EnclaveFleet::start() {
    for (const auto& [id, node] : m_nodes) {
        m_hub.observer.on_enclave_health(id, false);
        node->start();
    }
}

void EnclaveFleet::stop() {
    for (const auto& [id, node] : m_nodes)
        node->stop();
    for (auto& [id, waiting] : std::exchange(m_awaited, {}))
        for (const OneShot<bool>& one : waiting)
            one.set(false);
}

EnclaveNode* EnclaveFleet::find(std::uint32_t id) {
    const auto found = m_nodes.find(id);
    return found == m_nodes.end() ? nullptr : found->second.get();
}

std::vector<std::uint32_t> EnclaveFleet::healthy() const {
    std::vector<std::uint32_t> ids;
    for (const auto& [id, node] : m_nodes)
        if (node->healthy())
            ids.push_back(id);
    return ids;
}

void EnclaveFleet::health_changed(std::uint32_t id, bool healthy) {
    m_hub.observer.on_enclave_health(id, healthy);
    m_hub.identities.enclave_health_changed(id);
    if (!healthy)
        return;
    for (const OneShot<bool>& waiting : std::exchange(m_awaited[id], {}))
        waiting.set(true);
    m_hub.cleaner.enclave_is_up(id);
}

Async<Status> EnclaveFleet::wait_healthy(std::uint32_t id, SteadyTime until) {
    const EnclaveNode* const node = find(id);
    if (node != nullptr && node->healthy())
        co_return Status{};
    bool up = false;
    if (node != nullptr) {
        const OneShot<bool> waiting(m_hub.loop);
        auto& all = m_awaited[id];
        std::erase_if(all, [](const OneShot<bool>& other) { return other.is_set(); });
        all.push_back(waiting);
        up = co_await waiting.wait_until(m_hub.timers, until, false);
    }
    if (!up)
        co_return fail(Errc::EnclaveUnavailable, "enclave " + std::to_string(id) + " cannot be reached");
    co_return Status{};
}

Patience EnclaveFleet::in_request(SteadyTime deadline) const {
    return {deadline, std::min(deadline, steady_clock::now() + m_hub.config.limits.enclave_wait_max)};
}

Patience EnclaveFleet::in_background() const {
    const SteadyTime wait_until = steady_clock::now() + m_hub.config.limits.enclave_wait_max;
    return {wait_until + kStepTimeout, wait_until};
}

Patience EnclaveFleet::at_once() const { return {steady_clock::now() + kStepTimeout, {}}; }

// ---- Calls ----------------------------------------------------------------------------------------------------------

void EnclaveFleet::call(EnclaveCall given) {
    const auto call = std::make_shared<EnclaveCall>(std::move(given));
    if (EnclaveNode* const node = find(call->enclave))
        return node->submit(call);
    asio::post(m_hub.loop, [call] {
        call->done(fail(Errc::EnclaveUnavailable, "enclave " + std::to_string(call->enclave) + " is not configured"));
    });
}

Async<Result<EnclaveAnswer>> EnclaveFleet::ask(EnclaveCall given) {
    const OneShot<Result<EnclaveAnswer>> answer(m_hub.loop);
    given.done = [answer](Result<EnclaveAnswer> result) { answer.set(std::move(result)); };
    call(std::move(given));
    co_return co_await answer.wait();
}

void EnclaveFleet::answered(const EnclaveCallPtr& call, Result<wire::Response> result) {
    if (result) {
        EnclaveAnswer answer{std::move(*result), 0};
        if (call->owner)
            if (wire::SealedUpdate* const update = sealed_update(answer.response))
                answer.sealed_token = m_hub.sealed.note(call->enclave, *call->owner, *update);
        return call->done(std::move(answer));
    }
    Error& error = result.error();
    const SteadyTime now = steady_clock::now();
    // The fleet never loses a node, so the call's is there.
    if ((error.code == Errc::Disconnected || error.code == Errc::DeadlineExceeded) && now < call->wait_until &&
        now < call->deadline)
        return find(call->enclave)->submit(call);
    if (error.code == Errc::StateUnknown && call->owner && call->restored < kMaxRestores) {
        ++call->restored;
        const SealedOwner lost = call->source ? SealedOwner(*call->source) : *call->owner;
        return m_hub.sealed.restore(call->enclave, lost, call->deadline, [this, call](Status status) {
            if (status)
                find(call->enclave)->submit(call);
            else
                call->done(status.error());
        });
    }
    const auto peer = error.facts.find("peer_public_key");
    if (error.code == Errc::PeerUnknown && peer != error.facts.end() && call->introduced < m_nodes.size() + 2) {
        ++call->introduced;
        return introduce(call, peer->second);
    }
    call->done(std::move(error));
}

// ---- Introductions --------------------------------------------------------------------------------------------------

void EnclaveFleet::introduce(const EnclaveCallPtr& call, const std::string& peer_key_hex) {
    auto& waiting = m_introductions[{call->enclave, peer_key_hex}];
    waiting.push_back([this, call](Status status) {
        if (status)
            find(call->enclave)->submit(call);
        else
            call->done(status.error());
    });
    if (waiting.size() == 1)
        spawn(m_hub.loop, "introduce", run_introduction(call->enclave, peer_key_hex, {call->deadline, call->wait_until}));
}

Async<void> EnclaveFleet::run_introduction(std::uint32_t enclave, std::string peer_key_hex, Patience patience) {
    const BackgroundTask task(m_hub);
    const Status status = co_await introduction(enclave, peer_key_hex, patience);
    if (!status)
        log::warn("enclave", "introduction_failed",
                  {{"enclave", enclave}, {"error", status.error().code}, {"why", status.error().detail}});
    auto waiting = m_introductions.extract({enclave, peer_key_hex});
    for (const Settled& settled : waiting.mapped())
        settled(status);
}

Async<Status> EnclaveFleet::introduction(std::uint32_t enclave, const std::string& peer_key_hex, Patience patience) {
    const EnclaveNode* peer = nullptr;
    for (const auto& [id, node] : m_nodes)
        if (node->proof() != nullptr && hex_encode(node->proof()->hello.public_key) == peer_key_hex)
            peer = node.get();
    if (peer == nullptr)
        co_return fail(Errc::PeerUnknown, "no enclave is known with the key of a peer that must be introduced");

    EnclaveCall challenge;
    challenge.enclave = enclave;
    challenge.deadline = patience.deadline;
    challenge.wait_until = patience.wait_until;
    challenge.build = [](wire::Request& request) { request.mutable_challenge(); };
    const auto challenged = co_await ask(std::move(challenge));
    if (!challenged)
        co_return challenged.error();

    EnclaveCall attest;
    attest.enclave = peer->id();
    attest.deadline = patience.deadline;
    attest.wait_until = patience.wait_until;
    attest.build = [nonce = challenged->response.challenge().nonce()](wire::Request& request) {
        request.mutable_attest()->set_nonce(nonce);
    };
    const auto attested = co_await ask(std::move(attest));
    if (!attested)
        co_return attested.error();

    EnclaveCall present;
    present.enclave = enclave;
    present.deadline = patience.deadline;
    present.wait_until = patience.wait_until;
    present.build = [document = attested->response.attest().attestation_document()](wire::Request& request) {
        request.mutable_introduce_peer()->set_attestation_document(document);
    };
    const auto presented = co_await ask(std::move(present));
    if (!presented)
        co_return presented.error();
    log::info("enclave", "introduced", {{"enclave", enclave}, {"peer", peer->id()}});
    co_return Status{};
}

} // namespace keymeld::engine
