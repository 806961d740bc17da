#include "enclave/signer/single_key_store.h"

#include <utility>

namespace keymeld::enclave {
namespace {

// How far from the cold end a key to drop is looked for, when those at the end have facts that no
// update has carried.
constexpr std::size_t kDropScan = 64;
// As of KeygenStore.
constexpr std::size_t kMaxChanged = StateVersions::kMaxEntries;
constexpr std::size_t kMaxReported = 50'000;

} // namespace

Result<SingleKey*> SingleKeyStore::find(const KeyId& id) {
    if (const auto found = m_keys.find(id); found != m_keys.end()) {
        m_recent.splice(m_recent.begin(), m_recent, found->second.place);
        recount(found->second);
        if (!std::exchange(found->second.changed, true))
            note_change(id);
        return found->second.key.get();
    }
    if (const auto past = m_history.find(m_marker.key(id)); past && (*past & 1) != 0)
        return fail(Errc::NotFound, "key was deleted");
    return fail(Errc::StateUnknown, "this enclave does not hold the key");
}

Status SingleKeyStore::may_create(const KeyId& id) const {
    if (const auto past = m_history.find(m_marker.key(id))) {
        if ((*past & 1) != 0)
            return fail(Errc::DuplicateId, "key id belongs to a deleted key");
        return fail(Errc::StateUnknown, "this enclave does not hold the key");
    }
    if (history_full())
        return fail(Errc::Overloaded, "this enclave remembers as many keys as it can");
    return {};
}

Status SingleKeyStore::may_restore(const KeyId& id, std::uint64_t version) const {
    if (const auto past = m_history.find(m_marker.key(id))) {
        if ((*past & 1) != 0)
            return fail(Errc::StateRolledBack, "key was deleted");
        if (version < *past >> 1)
            return fail(Errc::StateRolledBack,
                        "sealed state is older than what this enclave has had");
        return {};
    }
    if (history_full())
        return fail(Errc::Overloaded, "this enclave remembers as many keys as it can");
    return {};
}

SingleKey& SingleKeyStore::add(std::unique_ptr<SingleKey> key) {
    const KeyId id = key->id();
    if (key->facts().blob != 0)
        m_bindings.bind(key->facts().blob, m_marker.key_user(id, key->facts().user));
    m_recent.push_front(id);
    Held& held = m_keys[id];
    held = {std::move(key), m_recent.begin(), 0, true};
    note_change(id);
    recount(held);
    SingleKey& out = *held.key;
    shrink(id);
    return out;
}

void SingleKeyStore::remove(const KeyId& id) {
    const auto held = m_keys.find(id);
    if (held == m_keys.end())
        return;
    note_change(id);
    note_past(*held->second.key, true);
    drop(held);
}

void SingleKeyStore::note_change(const KeyId& id) {
    if (m_changed.size() < kMaxChanged)
        m_changed.push_back(id);
}

void SingleKeyStore::put_versions(StateVersions& out) const {
    for (const auto& [id, held] : m_keys)
        out.note(StateVersions::Kind::SingleKey, m_marker.key(id), held.key->version(), false);
    m_history.for_each([&](Mark mark, std::uint64_t word) {
        out.note(StateVersions::Kind::SingleKey, mark, word >> 1, (word & 1) != 0);
    });
}

void SingleKeyStore::put_changes(StateVersions& out) {
    for (std::size_t i = 0; i < kMaxReported && !m_changed.empty(); ++i) {
        const KeyId id = m_changed.back();
        m_changed.pop_back();
        const Mark mark = m_marker.key(id);
        if (const auto held = m_keys.find(id); held != m_keys.end()) {
            held->second.changed = false;
            out.note(StateVersions::Kind::SingleKey, mark, held->second.key->version(), false);
        } else if (const auto word = m_history.find(mark)) {
            out.note(StateVersions::Kind::SingleKey, mark, *word >> 1, (*word & 1) != 0);
        }
    }
}

void SingleKeyStore::learn(const StateVersions& versions) {
    versions.for_each(StateVersions::Kind::SingleKey,
                      [&](Mark mark, std::uint64_t version, bool deleted) {
                          if (!history_full())
                              m_history.set(mark, version << 1 | (deleted ? 1 : 0));
                      });
}

void SingleKeyStore::recount(Held& held) {
    const std::size_t approvals = held.key->approvals().size();
    m_approvals += approvals - held.approvals;
    held.approvals = approvals;
}

void SingleKeyStore::note_past(const SingleKey& key, bool deleted) {
    m_history.set(m_marker.key(key.id()), key.version() << 1 | (deleted ? 1 : 0));
}

void SingleKeyStore::drop(std::unordered_map<KeyId, Held>::iterator held) {
    m_approvals -= held->second.approvals;
    m_recent.erase(held->second.place);
    m_keys.erase(held);
}

void SingleKeyStore::shrink(const KeyId& keep) {
    while (m_keys.size() > m_limits.max_single_keys || m_approvals > m_limits.max_approvals) {
        auto candidate = m_recent.rbegin();
        for (std::size_t i = 0; candidate != m_recent.rend(); ++candidate) {
            if (*candidate != keep && !m_keys.at(*candidate).key->has_pending())
                break;
            if (++i == kDropScan)
                return;
        }
        if (candidate == m_recent.rend())
            return;
        const auto held = m_keys.find(*candidate);
        note_past(*held->second.key, false);
        drop(held);
    }
}

} // namespace keymeld::enclave
