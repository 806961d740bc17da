#include "core/engine/canary.h"

#include "core/bitcoin/schnorr.h"
#include "core/engine/hub.h"

namespace keymeld::engine {

using std::chrono::steady_clock;

void Canary::start() {
    for (const auto& [id, node] : m_hub.fleet.nodes()) {
        m_seen[id];
        spawn(m_hub.loop, "canary", run(id));
    }
}

Async<void> Canary::run(std::uint32_t enclave) {
    const BackgroundTask task(m_hub);
    while (!m_hub.stopping) {
        // An enclave that is away is waited for: its first canary comes right after its link.
        const Status there = co_await m_hub.fleet.wait_healthy(enclave, steady_clock::now() + m_hub.config.limits.canary_interval);
        if (m_hub.stopping)
            co_return;
        // Not in a conditional expression: GCC 12 then frees what the status owns twice.
        Status signed_now = there;
        if (there)
            signed_now = co_await sign_once(enclave);
        if (m_hub.stopping)
            co_return;
        Seen& seen = m_seen[enclave];
        seen.checked_at = unix_seconds();
        if (signed_now) {
            seen.last_success = steady_clock::now();
            seen.ever = true;
        } else {
            seen.type = std::string(errc_name(signed_now.error().code));
            seen.problem = signed_now.error().detail;
        }
        m_hub.observer.on_musig("canary", signed_now.has_value());
        if (!there)
            continue;
        co_await m_hub.pause(m_hub.config.limits.canary_interval);
    }
}

Async<Status> Canary::sign_once(std::uint32_t enclave) {
    EnclaveCall call;
    call.enclave = enclave;
    call.deadline = m_hub.fleet.at_once().deadline;
    call.build = [](wire::Request& request) { request.mutable_canary(); };
    const auto answer = co_await m_hub.fleet.ask(std::move(call));
    if (!answer)
        co_return answer.error();
    const wire::CanaryResult& result = answer->response.canary();
    const auto key = bitcoin::XOnlyPubKey::parse(as_bytes(result.x_only_key()));
    const auto signature = bitcoin::SchnorrSignature::parse(as_bytes(result.signature()));
    if (!key || !signature || result.message().size() != 32)
        co_return fail(Errc::InvalidSignature, "the canary signature has the wrong form");
    co_return bitcoin::schnorr_verify(*signature, as_bytes(result.message()), *key);
}

ReadyView Canary::ready() const {
    ReadyView out;
    const SteadyTime oldest = steady_clock::now() - m_hub.config.limits.canary_max_age;
    for (const auto& [id, seen] : m_seen) {
        out.checked_at = std::max(out.checked_at, seen.checked_at);
        if (!m_hub.fleet.find(id)->config().required || (seen.ever && seen.last_success >= oldest))
            continue;
        out.reasons.push_back({id, seen.type, seen.problem});
    }
    out.ready = m_hub.started && !m_hub.stopping && out.reasons.empty();
    return out;
}

} // namespace keymeld::engine
