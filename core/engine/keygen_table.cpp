#include "core/engine/keygen_table.h"

#include "core/base/log.h"
#include "core/engine/hub.h"
#include "core/engine/record_views.h"

namespace keymeld::engine {
namespace {

constexpr std::chrono::seconds kReloadPause{1};

Error elsewhere() { return fail(Errc::Overloaded, "the keygen session cannot be worked on now"); }

} // namespace

KeygenView KeygenRef::view(std::uint32_t signer_index) const {
    return active ? active->view(signer_index) : view_of(*ended, signer_index);
}

std::optional<KeygenRef> KeygenTable::find(const KeygenId& id) {
    if (const auto active = m_active.find(id); active != m_active.end()) {
        if (!active->second->shown())
            return std::nullopt;
        return KeygenRef{active->second, nullptr};
    }
    if (const KeygenPtr* const ended = m_ended.find(id))
        return KeygenRef{nullptr, *ended};
    return std::nullopt;
}

Result<KeygenRef> KeygenTable::take(const std::optional<plugin::KeygenBundle>& bundle) {
    if (!bundle)
        return fail(Errc::NotFound, "no such keygen session");
    // It may have ended, or begun, while storage was reading.
    if (auto known = find(bundle->record.id))
        return std::move(*known);
    if (!session::is_terminal(bundle->record.status))
        return elsewhere();
    auto keygen = std::make_shared<const KeygenInfo>(bundle->record, bundle->participants);
    m_ended.put(bundle->record.id, keygen, keygen->participants.size());
    return KeygenRef{nullptr, std::move(keygen)};
}

Async<Result<KeygenRef>> KeygenTable::get(KeygenId id, SteadyTime deadline) {
    if (auto known = find(id))
        co_return std::move(*known);
    if (m_reloading.contains(id))
        co_return elsewhere();
    plugin::ReadBatch question;
    question.keygen = id;
    const auto answer = co_await m_hub.store.read(std::move(question), deadline);
    if (!answer)
        co_return answer.error();
    co_return take(answer->keygen);
}

void KeygenTable::add(const std::shared_ptr<KeygenSession>& session) { m_active[session->record().id] = session; }

void KeygenTable::resume(plugin::KeygenBundle bundle) {
    const auto session = std::make_shared<KeygenSession>(m_hub, std::move(bundle.record), std::move(bundle.participants));
    add(session);
    session->resume();
}

void KeygenTable::stop() {
    for (const auto& [id, session] : std::exchange(m_active, {}))
        session->stop();
}

void KeygenTable::ended(const KeygenId& id, KeygenPtr keygen) {
    m_active.erase(id);
    const std::size_t weight = keygen->participants.size();
    m_ended.put(id, std::move(keygen), weight);
}

void KeygenTable::dropped(const KeygenId& id) { m_active.erase(id); }

void KeygenTable::reload(const KeygenId& id) {
    m_active.erase(id);
    m_reloading.insert(id);
    spawn(m_hub.loop, "reload_keygen", run_reload(id));
}

Async<void> KeygenTable::run_reload(KeygenId id) {
    const BackgroundTask task(m_hub);
    while (!m_hub.stopping) {
        co_await m_hub.pause(kReloadPause);
        if (m_hub.stopping)
            co_return;
        plugin::ReadBatch question;
        question.keygen = id;
        auto answer = co_await m_hub.store.read(std::move(question), m_hub.request_deadline());
        if (!answer) {
            log::warn("engine", "reload_failed", {{"keygen", id}, {"why", answer.error().detail}});
            continue;
        }
        m_reloading.erase(id);
        if (answer->keygen && !session::is_terminal(answer->keygen->record.status) && !m_hub.stopping)
            resume(std::move(*answer->keygen));
        co_return;
    }
}

} // namespace keymeld::engine
