#include "core/engine/signing_table.h"

#include "core/base/log.h"
#include "core/engine/hub.h"
#include "core/engine/record_views.h"

namespace keymeld::engine {
namespace {

constexpr std::chrono::seconds kSigningReloadPause{1};

Error signing_elsewhere() { return fail(Errc::Overloaded, "the signing session cannot be worked on now"); }

} // namespace

SigningView SigningRef::view() const { return active ? active->view() : view_of(ended->record, *ended->keygen); }

std::optional<SigningRef> SigningTable::find(const SigningId& id) {
    if (const auto active = m_active.find(id); active != m_active.end()) {
        if (!active->second->shown())
            return std::nullopt;
        return SigningRef{active->second, nullptr};
    }
    if (const auto* const ended = m_ended.find(id))
        return SigningRef{nullptr, *ended};
    return std::nullopt;
}

Result<SigningRef> SigningTable::take(const plugin::ReadAnswer& answer) {
    if (!answer.signing)
        return fail(Errc::NotFound, "no such signing session");
    // It may have ended, or begun, while storage was reading.
    if (auto known = find(answer.signing->record.id))
        return std::move(*known);
    if (!session::is_terminal(answer.signing->record.status))
        return signing_elsewhere();
    auto keygen = m_hub.keygens.find(answer.signing->record.keygen_id);
    if (!keygen) {
        KEYMELD_TRY(keygen, m_hub.keygens.take(answer.keygen));
    }
    if (!keygen->ended)
        return signing_elsewhere();
    auto signing = std::make_shared<const EndedSigning>(EndedSigning{answer.signing->record, keygen->ended});
    m_ended.put(signing->record.id, signing);
    return SigningRef{nullptr, std::move(signing)};
}

Async<Result<SigningRef>> SigningTable::get(SigningId id, SteadyTime deadline) {
    if (auto known = find(id))
        co_return std::move(*known);
    if (m_reloading.contains(id))
        co_return signing_elsewhere();
    plugin::ReadBatch question;
    question.signing = id;
    const auto answer = co_await m_hub.store.read(std::move(question), deadline);
    if (!answer)
        co_return answer.error();
    co_return take(*answer);
}

void SigningTable::add(const std::shared_ptr<SigningSession>& session) { m_active[session->record().id] = session; }

void SigningTable::resume(KeygenPtr keygen, plugin::SigningBundle bundle) {
    const auto session =
        std::make_shared<SigningSession>(m_hub, std::move(keygen), std::move(bundle.record), std::move(bundle.approvals));
    add(session);
    session->resume();
}

void SigningTable::forget_keygen(const KeygenId& id) {
    m_ended.erase_if([&](const std::shared_ptr<const EndedSigning>& signing) { return signing->record.keygen_id == id; });
}

void SigningTable::stop() {
    for (const auto& [id, session] : std::exchange(m_active, {}))
        session->stop();
}

void SigningTable::ended(const plugin::SigningRecord& record, const KeygenPtr& keygen) {
    m_active.erase(record.id);
    auto signing = std::make_shared<EndedSigning>(EndedSigning{record, keygen});
    // Evidence is of no use any more.
    signing->record.session_header.clear();
    signing->record.encrypted_message.reset();
    m_ended.put(record.id, std::move(signing));
}

void SigningTable::dropped(const SigningId& id) { m_active.erase(id); }

void SigningTable::reload(const SigningId& id) {
    m_active.erase(id);
    m_reloading.insert(id);
    spawn(m_hub.loop, "reload_signing", run_reload(id));
}

Async<void> SigningTable::run_reload(SigningId id) {
    const BackgroundTask task(m_hub);
    while (!m_hub.stopping) {
        co_await m_hub.pause(kSigningReloadPause);
        if (m_hub.stopping)
            co_return;
        plugin::ReadBatch question;
        question.signing = id;
        auto answer = co_await m_hub.store.read(std::move(question), m_hub.request_deadline());
        if (!answer) {
            log::warn("engine", "reload_failed", {{"signing", id}, {"why", answer.error().detail}});
            continue;
        }
        m_reloading.erase(id);
        if (!answer->signing || session::is_terminal(answer->signing->record.status) || m_hub.stopping)
            co_return;
        auto keygen = m_hub.keygens.find(answer->signing->record.keygen_id);
        if (!keygen) {
            auto taken = m_hub.keygens.take(answer->keygen);
            if (taken)
                keygen = std::move(*taken);
        }
        if (keygen && keygen->ended)
            resume(keygen->ended, std::move(*answer->signing));
        co_return;
    }
}

} // namespace keymeld::engine
