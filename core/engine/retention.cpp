#include "core/engine/retention.h"

#include <set>

#include "core/base/log.h"
#include "core/engine/hub.h"

namespace keymeld::engine {
namespace {

constexpr std::chrono::seconds kInterval{60};
constexpr std::uint32_t kAtOnce = 100;

std::uint64_t ago(std::chrono::seconds age) {
    const std::uint64_t now = unix_seconds();
    const auto seconds = static_cast<std::uint64_t>(age.count());
    return now > seconds ? now - seconds : 0;
}

} // namespace

void Retention::start() { spawn(m_hub.loop, "retention", run()); }

Async<void> Retention::run() {
    const BackgroundTask task(m_hub);
    while (!m_hub.stopping) {
        co_await sweep();
        co_await m_hub.pause(kInterval);
    }
}

Async<void> Retention::sweep() {
    const config::Limits& limits = m_hub.config.limits;
    co_await delete_signings(ago(limits.finished_signing_retention));
    co_await delete_single(plugin::EndedKind::KeySignings, ago(limits.finished_signing_retention));
    co_await delete_single(plugin::EndedKind::LapsedReservations, unix_seconds());
    co_await delete_keygens(plugin::EndedKind::FailedKeygens, ago(limits.failed_retention));
    if (limits.completed_keygen_retention)
        co_await delete_keygens(plugin::EndedKind::CompletedKeygens, ago(*limits.completed_keygen_retention));
}

Async<void> Retention::delete_signings(std::uint64_t before) {
    std::set<Uuid> stuck; // asked for again each time: let them not fill the list
    while (!m_hub.stopping) {
        const auto limit = static_cast<std::uint32_t>(kAtOnce + stuck.size());
        const auto ids = co_await m_hub.store.ended_before(plugin::EndedKind::FinishedSignings, before, limit);
        if (!ids) {
            log::warn("engine", "retention_failed", {{"error", ids.error().code}, {"why", ids.error().detail}});
            co_return;
        }
        Batch batch;
        for (const Uuid& id : *ids)
            if (!stuck.contains(id))
                batch.push_back(plugin::DeleteSigning{SigningId(id)});
        if (batch.empty())
            co_return;
        const Status deleted = co_await m_hub.store.write(std::move(batch));
        for (const Uuid& id : *ids) {
            if (stuck.contains(id))
                continue;
            if (!deleted) {
                Batch one;
                one.push_back(plugin::DeleteSigning{SigningId(id)});
                const Status alone = co_await m_hub.store.write(std::move(one));
                if (!alone) {
                    log::warn("engine", "signing_not_deleted", {{"signing", id}, {"why", alone.error().detail}});
                    stuck.insert(id);
                    continue;
                }
            }
            m_hub.signings.forget(SigningId(id));
        }
        if (ids->size() < limit)
            co_return;
    }
}

/// Signatures by single keys, or reservations of such keys. They stand alone, so a whole batch can only fail with storage itself.
Async<void> Retention::delete_single(plugin::EndedKind kind, std::uint64_t before) {
    while (!m_hub.stopping) {
        const auto ids = co_await m_hub.store.ended_before(kind, before, kAtOnce);
        if (!ids) {
            log::warn("engine", "retention_failed", {{"error", ids.error().code}, {"why", ids.error().detail}});
            co_return;
        }
        Batch batch;
        for (const Uuid& id : *ids) {
            if (kind == plugin::EndedKind::KeySignings)
                batch.push_back(plugin::DeleteKeySigning{SigningId(id)});
            else
                batch.push_back(plugin::DropReservation{KeyId(id)});
        }
        if (batch.empty())
            co_return;
        const Status deleted = co_await m_hub.store.write(std::move(batch));
        if (!deleted) {
            log::warn("engine", "retention_failed", {{"error", deleted.error().code}, {"why", deleted.error().detail}});
            co_return;
        }
        if (ids->size() < kAtOnce)
            co_return;
    }
}

Async<void> Retention::delete_keygens(plugin::EndedKind kind, std::uint64_t before) {
    std::set<Uuid> stuck;
    while (!m_hub.stopping) {
        const auto limit = static_cast<std::uint32_t>(kAtOnce + stuck.size());
        const auto ids = co_await m_hub.store.ended_before(kind, before, limit);
        if (!ids) {
            log::warn("engine", "retention_failed", {{"error", ids.error().code}, {"why", ids.error().detail}});
            co_return;
        }
        for (const Uuid& id : *ids) {
            if (stuck.contains(id) || m_hub.stopping)
                continue;
            const Status deleted = co_await delete_keygen(KeygenId(id));
            if (!deleted) {
                log::warn("engine", "keygen_not_deleted", {{"keygen", id}, {"why", deleted.error().detail}});
                stuck.insert(id);
            }
        }
        if (ids->size() < limit)
            co_return;
    }
}

Async<Status> Retention::delete_keygen(KeygenId id) {
    const auto keygen = co_await m_hub.keygens.get(id, m_hub.request_deadline());
    if (!keygen)
        co_return keygen.error();
    if (!keygen->ended)
        co_return Status{};
    // Without its sealed state a key is gone as soon as no enclave holds it in memory.
    Batch batch;
    batch.push_back(plugin::DeleteKeygen{id});
    const Status deleted = co_await m_hub.store.write(std::move(batch));
    if (!deleted)
        co_return deleted;
    m_hub.keygens.forget(id);
    m_hub.signings.forget_keygen(id);
    m_hub.sealed.forget(id);
    for (const std::uint32_t enclave : keygen->ended->enclaves)
        m_hub.cleaner.destroy(enclave, id);
    log::info("keygen", "deleted", {{"keygen", id}});
    co_return Status{};
}

} // namespace keymeld::engine
