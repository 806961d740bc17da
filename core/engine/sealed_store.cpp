#include "core/engine/sealed_store.h"

#include <algorithm>

#include <boost/asio/post.hpp>

#include "core/base/log.h"
#include "core/engine/hub.h"

namespace keymeld::engine {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFlushAfter{1000};
constexpr std::size_t kMaxLostEntries = 10'000;

/// An update as storage gave it.
struct Stored {
    std::uint64_t version = 0;
    bool snapshot = false;
    Bytes blob;
};

} // namespace

std::uint64_t SealedStore::note(std::uint32_t enclave, const SealedOwner& owner, wire::SealedUpdate& update) {
    Lane& lane = m_lanes[owner];
    if (lane.updates.empty())
        lane.since = steady_clock::now();
    lane.updates.push_back({enclave, update.version(), update.snapshot(), to_bytes(as_bytes(update.blob()))});
    if (!lane.held)
        arm_flush();
    return ++m_last_token;
}

void SealedStore::hold(const SealedOwner& owner) { m_lanes[owner].held = true; }

void SealedStore::release(const SealedOwner& owner) {
    const auto lane = m_lanes.find(owner);
    if (lane == m_lanes.end())
        return;
    lane->second.held = false;
    if (lane->second.updates.empty())
        m_lanes.erase(lane);
    else
        arm_flush();
}

void SealedStore::forget(const SealedOwner& owner) {
    m_lanes.erase(owner);
    m_lost.erase(owner);
}

void SealedStore::write(const SealedOwner& owner, Batch batch, std::uint64_t oldest_token, Store::Done done) {
    if (const auto lost = m_lost.find(owner); lost != m_lost.end() && oldest_token != 0 && oldest_token <= lost->second) {
        asio::post(m_hub.loop, [done = std::move(done)] {
            done(fail(Errc::StorageFailed, "sealed state that this depends on was not stored"));
        });
        return;
    }
    std::vector<std::uint32_t> enclaves;
    if (const auto lane = m_lanes.find(owner); lane != m_lanes.end()) {
        // First the session, then what belongs to it: a keygen that is being created is inserted by `batch`.
        for (Pending& update : lane->second.updates) {
            enclaves.push_back(update.enclave);
            switch (owner.kind) {
            case SealedOwner::Kind::Keygen:
                batch.push_back(plugin::PutSealed{
                    {KeygenId(owner.id), update.enclave, update.version, update.snapshot, std::move(update.blob)}});
                break;
            case SealedOwner::Kind::SingleKey:
                batch.push_back(
                    plugin::PutKeySealed{{KeyId(owner.id), update.version, update.snapshot, std::move(update.blob)}});
                break;
            }
        }
        lane->second.updates.clear();
        if (!lane->second.held)
            m_lanes.erase(lane);
    }
    if (batch.empty()) {
        asio::post(m_hub.loop, [done = std::move(done)] { done({}); });
        return;
    }
    if (enclaves.empty())
        return m_hub.store.write(std::move(batch), std::move(done));
    const std::uint64_t number = ++m_last_write;
    m_writes.insert(m_writes.end(), number);
    m_hub.store.write(std::move(batch), [this, owner, number, enclaves = std::move(enclaves), done = std::move(done)](Status status) {
        if (!status)
            batch_failed(owner, enclaves, status.error());
        write_ended(number, status);
        done(std::move(status));
    });
}

void SealedStore::write_ended(std::uint64_t number, const Status& status) {
    m_writes.erase(number);
    std::erase_if(m_settling, [&](const Settling& waiting) {
        if (!status && number <= waiting.last_write)
            waiting.done.set(status);
        else if (m_writes.empty() || *m_writes.begin() > waiting.last_write)
            waiting.done.set({});
        return waiting.done.is_set();
    });
}

Async<Status> SealedStore::settled() {
    std::vector<SealedOwner> owners;
    for (const auto& [owner, lane] : m_lanes)
        if (!lane.held && !lane.updates.empty())
            owners.push_back(owner);
    for (const SealedOwner& owner : owners)
        write(owner, {}, 0, [](const Status&) {});
    if (m_stopped)
        co_return fail(Errc::Cancelled, "the appliance is stopping");
    if (m_writes.empty())
        co_return Status{};
    const OneShot<Status> done(m_hub.loop);
    m_settling.push_back({m_last_write, done});
    co_return co_await done.wait();
}

Async<Status> SealedStore::write(SealedOwner owner, Batch batch, std::uint64_t oldest_token) {
    const OneShot<Status> answer(m_hub.loop);
    write(owner, std::move(batch), oldest_token, [answer](Status status) { answer.set(std::move(status)); });
    co_return co_await answer.wait();
}

void SealedStore::batch_failed(const SealedOwner& owner, std::vector<std::uint32_t> enclaves, const Error& error) {
    log::error("storage", "sealed_state_refused", {{owner.name(), owner.id}, {"error", error.code}, {"why", error.detail}});
    // What came after the refused update does not follow what is stored.
    if (const auto lane = m_lanes.find(owner); lane != m_lanes.end()) {
        for (const Pending& update : lane->second.updates)
            enclaves.push_back(update.enclave);
        lane->second.updates.clear();
    }
    if (m_lost.size() >= kMaxLostEntries)
        m_lost.clear();
    m_lost[owner] = m_last_token;
    std::sort(enclaves.begin(), enclaves.end());
    enclaves.erase(std::unique(enclaves.begin(), enclaves.end()), enclaves.end());
    for (const std::uint32_t id : enclaves)
        if (EnclaveNode* const node = m_hub.fleet.find(id))
            node->reset("sealed state could not be stored");
}

void SealedStore::arm_flush() {
    if (m_flush_timer.number == 0 && !m_stopped)
        m_flush_timer = m_hub.timers.after(kFlushAfter, [this] { flush(); });
}

void SealedStore::flush() {
    m_flush_timer = {};
    const SteadyTime before = steady_clock::now() - kFlushAfter;
    std::vector<SealedOwner> due;
    bool more = false;
    for (const auto& [owner, lane] : m_lanes) {
        if (lane.held || lane.updates.empty())
            continue;
        if (lane.since <= before)
            due.push_back(owner);
        else
            more = true;
    }
    for (const SealedOwner& owner : due)
        write(owner, {}, 0, [](const Status&) {});
    if (more)
        arm_flush();
}

void SealedStore::stop() {
    m_stopped = true;
    for (const Settling& waiting : std::exchange(m_settling, {}))
        waiting.done.set(fail(Errc::Cancelled, "the appliance is stopping"));
    m_hub.timers.cancel(m_flush_timer);
    // Batches are still taken: the last chance to keep what has arrived.
    std::vector<SealedOwner> all;
    for (const auto& [owner, lane] : m_lanes)
        if (!lane.held && !lane.updates.empty())
            all.push_back(owner);
    for (const SealedOwner& owner : all)
        write(owner, {}, 0, [](const Status&) {});
}

// ---- Back to the enclave --------------------------------------------------------------------------------------------

void SealedStore::restore(std::uint32_t enclave, const SealedOwner& owner, SteadyTime deadline,
                          std::function<void(Status)> done) {
    auto& waiting = m_restores[{enclave, owner}];
    waiting.push_back(std::move(done));
    if (waiting.size() == 1)
        spawn(m_hub.loop, "restore", run_restore(enclave, owner, deadline));
}

Async<void> SealedStore::run_restore(std::uint32_t enclave, SealedOwner owner, SteadyTime deadline) {
    const BackgroundTask task(m_hub);
    const Status status = co_await restored(enclave, owner, deadline);
    if (!status)
        log::warn("enclave", "restore_failed",
                  {{"enclave", enclave}, {owner.name(), owner.id}, {"error", status.error().code}, {"why", status.error().detail}});
    auto waiting = m_restores.extract({enclave, owner});
    for (const auto& done : waiting.mapped())
        done(status);
}

Async<Status> SealedStore::restored(std::uint32_t enclave, SealedOwner owner, SteadyTime deadline) {
    if (const auto lane = m_lanes.find(owner); lane != m_lanes.end()) {
        if (lane->second.held)
            co_return fail(Errc::EnclaveUnavailable, "the enclave lost the session while it was being created");
        const Status flushed = co_await write(owner, {}, 0);
        if (!flushed)
            co_return flushed;
    }
    const bool keygen = owner.kind == SealedOwner::Kind::Keygen;
    plugin::ReadBatch question;
    if (keygen)
        question.sealed = std::pair(KeygenId(owner.id), enclave);
    else
        question.key_sealed = KeyId(owner.id);
    auto answer = co_await m_hub.store.read(std::move(question), deadline);
    if (!answer)
        co_return answer.error();
    auto updates = std::make_shared<std::vector<Stored>>();
    for (plugin::SealedRecord& record : answer->sealed)
        updates->push_back({record.version, record.snapshot, std::move(record.blob)});
    for (plugin::KeySealedRecord& record : answer->key_sealed)
        updates->push_back({record.version, record.snapshot, std::move(record.blob)});
    // A hole can only be left by a refused batch that a crash kept from being repaired. What is before it is whole.
    for (std::size_t i = 1; i < updates->size(); ++i)
        if ((*updates)[i].version != (*updates)[i - 1].version + 1) {
            log::error("storage", "sealed_state_has_a_hole", {{owner.name(), owner.id}, {"enclave", enclave}});
            updates->resize(i);
            break;
        }
    if (updates->empty() || !updates->front().snapshot)
        co_return fail(Errc::SealBroken, "no sealed state is stored for this enclave");
    EnclaveCall call;
    call.enclave = enclave;
    call.deadline = call.wait_until = deadline;
    call.build = [updates, owner](wire::Request& request) {
        const std::string id(as_text(owner.id.view()));
        google::protobuf::RepeatedPtrField<wire::SealedUpdate>* out = nullptr;
        switch (owner.kind) {
        case SealedOwner::Kind::Keygen:
            request.mutable_restore()->set_keygen_id(id);
            out = request.mutable_restore()->mutable_updates();
            break;
        case SealedOwner::Kind::SingleKey:
            request.mutable_restore_key()->set_key_id(id);
            out = request.mutable_restore_key()->mutable_updates();
            break;
        }
        for (const Stored& update : *updates) {
            wire::SealedUpdate& one = *out->Add();
            one.set_version(update.version);
            one.set_snapshot(update.snapshot);
            one.set_blob(std::string(as_text(update.blob)));
        }
    };
    const auto restored = co_await m_hub.fleet.ask(std::move(call));
    if (restored)
        co_return Status{};
    // Storage has nothing newer: for this enclave, what it knows of is lost.
    if (restored.error().code == Errc::StateRolledBack)
        co_return fail(Errc::SealBroken, "the stored state is older than what the enclave has seen");
    co_return restored.error();
}

} // namespace keymeld::engine
