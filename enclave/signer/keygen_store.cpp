#include "enclave/signer/keygen_store.h"

#include <algorithm>
#include <utility>

namespace keymeld::enclave {
namespace {

constexpr int kPastShift = 62;
constexpr std::uint64_t kVersionBits = (std::uint64_t{1} << kPastShift) - 1;
// Beyond, changes are not noted until they were asked for: they come with the next snapshot.
constexpr std::size_t kMaxChanged = StateVersions::kMaxEntries;
// Of one report.
constexpr std::size_t kMaxReported = 50'000;
// How far from the cold end a session to park is looked for, when those at the end have attempts
// under way.
constexpr std::size_t kParkScan = 64;
// What a parked session takes beyond its blob.
constexpr std::size_t kParkedOverhead = 256;

} // namespace

KeygenStore::KeygenStore(const EnclaveIdentity& identity, const Marker& marker,
                         BlobBindings& bindings, SigningNonces& nonces, const Limits& limits)
    : m_identity(identity), m_marker(marker), m_bindings(bindings), m_nonces(nonces),
      m_limits(limits) {}

KeygenStore::PastEntry KeygenStore::past_of(const KeygenId& id) const {
    const auto word = m_history.find(m_marker.keygen(id));
    if (!word)
        return {};
    return {static_cast<Past>(*word >> kPastShift), *word & kVersionBits};
}

void KeygenStore::note_past(const KeygenId& id, Past past, std::uint64_t version) {
    m_history.set(m_marker.keygen(id), static_cast<std::uint64_t>(past) << kPastShift | version);
}

Result<KeygenState*> KeygenStore::find(const KeygenId& id) {
    if (const auto found = m_loaded.find(id); found != m_loaded.end()) {
        m_recent.splice(m_recent.begin(), m_recent, found->second.place);
        recount(found->second);
        if (!std::exchange(found->second.changed, true))
            note_change(id);
        KeygenState* const state = found->second.state.get();
        shrink(id); // keys and entries come after the session itself
        return state;
    }
    if (const auto found = m_parked.find(id); found != m_parked.end()) {
        KEYMELD_TRY(auto state, KeygenState::unpark(m_identity, id, found->second.version,
                                                    found->second.blob, m_limits));
        drop_parked(id);
        return &insert(std::move(state));
    }
    if (past_of(id).past == Past::Deleted)
        return fail(Errc::NotFound, "keygen session was deleted");
    return fail(Errc::StateUnknown, "this enclave does not hold the keygen session");
}

Status KeygenStore::may_create(const KeygenId& id) const {
    switch (past_of(id).past) {
    case Past::Deleted:
        return fail(Errc::DuplicateId, "keygen session id belongs to a deleted session");
    case Past::Evicted:
        return fail(Errc::StateUnknown, "this enclave does not hold the keygen session");
    case Past::None:
    case Past::GivenUp:
        break;
    }
    if (m_history.size() + m_loaded.size() >= m_limits.max_history)
        return fail(Errc::Overloaded, "this enclave remembers as many sessions as it can");
    return {};
}

Status KeygenStore::may_restore(const KeygenId& id, std::uint64_t version) const {
    const PastEntry past = past_of(id);
    switch (past.past) {
    case Past::Deleted:
    case Past::GivenUp:
        return fail(Errc::StateRolledBack, "keygen session was deleted");
    case Past::Evicted:
        if (version < past.version)
            return fail(Errc::StateRolledBack,
                        "sealed state is older than what this enclave has had");
        return {};
    case Past::None:
        break;
    }
    if (m_history.size() + m_loaded.size() >= m_limits.max_history)
        return fail(Errc::Overloaded, "this enclave remembers as many sessions as it can");
    return {};
}

KeygenState& KeygenStore::add(std::unique_ptr<KeygenState> state) {
    const KeygenId id = state->id();
    const auto bind = [&](Mark blob, const UserId& user) {
        if (blob != 0)
            m_bindings.bind(blob, m_marker.user(id, user));
    };
    const auto& users = state->params().session.expected_participants;
    bind(state->opening().key_blob, users.front());
    bind(state->opening().secret_blob, users.front());
    for (std::size_t i = 0; i < users.size(); ++i)
        bind(state->participants()[i].blob, users[i]);
    state->ledger().for_each_nonce([&](Mark nonce, NonceUse use) {
        if (use.kind() == UseKind::Approve || use.kind() == UseKind::Reject)
            m_nonces.note(nonce, use);
    });
    return insert(std::move(state));
}

KeygenState& KeygenStore::insert(std::unique_ptr<KeygenState> state) {
    const KeygenId id = state->id();
    m_recent.push_front(id);
    Loaded& loaded = m_loaded[id];
    loaded = {std::move(state), m_recent.begin(), 0, 0, true};
    note_change(id);
    recount(loaded);
    KeygenState& out = *loaded.state;
    shrink(id);
    return out;
}

void KeygenStore::recount(Loaded& loaded) {
    const std::size_t entries = loaded.state->ledger().entries();
    const std::size_t keys = loaded.state->private_keys();
    m_entries += entries - loaded.entries;
    m_keys += keys - loaded.keys;
    loaded.entries = entries;
    loaded.keys = keys;
}

void KeygenStore::note_change(const KeygenId& id) {
    if (m_changed.size() < kMaxChanged)
        m_changed.push_back(id);
}

void KeygenStore::put_version(const KeygenId& id, const Loaded& loaded, StateVersions& out) const {
    if (loaded.state->phase() != Phase::Collecting || loaded.state->has_registrations())
        out.note(StateVersions::Kind::Keygen, m_marker.keygen(id), loaded.state->version(), false);
}

void KeygenStore::put_versions(StateVersions& out) const {
    for (const auto& [id, loaded] : m_loaded)
        put_version(id, loaded, out);
    m_history.for_each([&](Mark mark, std::uint64_t word) {
        const auto past = static_cast<Past>(word >> kPastShift);
        if (past == Past::Evicted || past == Past::Deleted)
            out.note(StateVersions::Kind::Keygen, mark, word & kVersionBits, past == Past::Deleted);
    });
}

void KeygenStore::put_changes(StateVersions& out) {
    for (std::size_t i = 0; i < kMaxReported && !m_changed.empty(); ++i) {
        const KeygenId id = m_changed.back();
        m_changed.pop_back();
        if (const auto loaded = m_loaded.find(id); loaded != m_loaded.end()) {
            loaded->second.changed = false;
            put_version(id, loaded->second, out);
            continue;
        }
        const PastEntry past = past_of(id);
        if (past.past == Past::Evicted || past.past == Past::Deleted)
            out.note(StateVersions::Kind::Keygen, m_marker.keygen(id), past.version,
                     past.past == Past::Deleted);
    }
}

void KeygenStore::learn(const StateVersions& versions) {
    versions.for_each(
        StateVersions::Kind::Keygen, [&](Mark mark, std::uint64_t version, bool deleted) {
            const Past past = deleted ? Past::Deleted : Past::Evicted;
            if (m_history.size() < m_limits.max_history)
                m_history.set(mark, static_cast<std::uint64_t>(past) << kPastShift | version);
        });
}

void KeygenStore::unload(std::unordered_map<KeygenId, Loaded>::iterator loaded) {
    m_entries -= loaded->second.entries;
    m_keys -= loaded->second.keys;
    m_recent.erase(loaded->second.place);
    m_loaded.erase(loaded);
}

void KeygenStore::shrink(const KeygenId& keep) {
    while (m_loaded.size() > m_limits.max_keygens || m_entries > m_limits.max_ledger_entries ||
           m_keys > m_limits.max_private_keys) {
        auto candidate = m_recent.rbegin();
        for (std::size_t i = 0; i < kParkScan && candidate != m_recent.rend(); ++i, ++candidate) {
            const KeygenState& state = *m_loaded.at(*candidate).state;
            if (*candidate != keep && !state.has_active_attempts() && !state.has_pending())
                break;
            if (i + 1 == kParkScan)
                return;
        }
        if (candidate == m_recent.rend())
            return;
        park(KeygenId(*candidate));
    }
}

void KeygenStore::park(const KeygenId& id) {
    const auto found = m_loaded.find(id);
    KeygenState& state = *found->second.state;
    note_past(id, Past::Evicted, state.version());
    if (m_limits.max_parked_bytes != 0) {
        Parked parked{state.version(), state.park(),
                      m_parked_order.insert(m_parked_order.end(), id)};
        m_parked_bytes += parked.blob.size() + kParkedOverhead;
        m_parked.insert_or_assign(id, std::move(parked));
        while (m_parked_bytes > m_limits.max_parked_bytes)
            drop_parked(KeygenId(m_parked_order.front()));
    }
    unload(found);
}

void KeygenStore::drop_parked(const KeygenId& id) {
    const auto found = m_parked.find(id);
    m_parked_bytes -= found->second.blob.size() + kParkedOverhead;
    m_parked_order.erase(found->second.place);
    m_parked.erase(found);
}

Status KeygenStore::remove(const KeygenId& id) {
    note_change(id);
    if (const auto found = m_loaded.find(id); found != m_loaded.end()) {
        const KeygenState& state = *found->second.state;
        const bool given_up = state.phase() == Phase::Collecting && !state.has_registrations();
        note_past(id, given_up ? Past::GivenUp : Past::Deleted, state.version());
        unload(found);
        return {};
    }
    const Past past = past_of(id).past;
    if (past == Past::Deleted || past == Past::GivenUp)
        return {};
    if (past == Past::None && m_history.size() + m_loaded.size() >= m_limits.max_history)
        return fail(Errc::Overloaded, "this enclave remembers as many sessions as it can");
    if (m_parked.contains(id))
        drop_parked(id);
    // Never seen in this life of the process: a creation that failed here, which may be repeated,
    // or a session from before a restart, which must not be given back.
    note_past(id, past == Past::None ? Past::GivenUp : Past::Deleted, 0);
    return {};
}

} // namespace keymeld::enclave
