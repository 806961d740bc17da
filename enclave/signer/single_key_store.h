// The single keys of this process: bounded, the least recently used go first and must be given
// back, and the memory of those that went, so that an old version never comes back within one life
// of the process.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "enclave/signer/blob_bindings.h"
#include "enclave/signer/single_key.h"
#include "enclave/signer/state_versions.h"

namespace keymeld::enclave {

class SingleKeyStore {
  public:
    /// All must outlive the store.
    SingleKeyStore(const Marker& marker, BlobBindings& bindings, const Limits& limits)
        : m_marker(marker), m_bindings(bindings), m_limits(limits) {}

    /// The key, now the most recently used. `Errc::NotFound` if it was deleted here,
    /// `Errc::StateUnknown` if the gateway must give it back. Valid until the next add() or
    /// remove().
    Result<SingleKey*> find(const KeyId& id);
    /// For a new key under this id. `Errc::DuplicateId` if one was deleted, `Errc::StateUnknown` if
    /// one was here, `Errc::Overloaded`. Ids in memory are the caller's to check with find() first.
    Status may_create(const KeyId& id) const;
    /// For a key given back at `version`: `Errc::StateRolledBack` if a later one was here, or if it
    /// was deleted.
    Status may_restore(const KeyId& id, std::uint64_t version) const;
    /// Takes a key whose id is not in memory and binds its blob.
    SingleKey& add(std::unique_ptr<SingleKey> key);
    /// Destroys a key that find() gave.
    void remove(const KeyId& id);

    /// As of KeygenStore.
    void put_versions(StateVersions& out) const;
    void put_changes(StateVersions& out);
    std::size_t changes() const { return m_changed.size(); }
    void learn(const StateVersions& versions);

    std::size_t size() const { return m_keys.size(); }

  private:
    struct Held {
        std::unique_ptr<SingleKey> key;
        std::list<KeyId>::iterator place; // in m_recent, most recent first
        std::size_t approvals = 0;        // counted in m_approvals
        bool changed = false;             // in m_changed
    };
    void recount(Held& held);
    void note_change(const KeyId& id);
    void note_past(const SingleKey& key, bool deleted);
    void drop(std::unordered_map<KeyId, Held>::iterator held);
    void shrink(const KeyId& keep);
    bool history_full() const { return m_history.size() + m_keys.size() >= m_limits.max_history; }

    const Marker& m_marker;
    BlobBindings& m_bindings;
    const Limits& m_limits;
    std::unordered_map<KeyId, Held> m_keys;
    std::list<KeyId> m_recent;
    std::size_t m_approvals = 0;
    std::vector<KeyId> m_changed; // perhaps
    MarkMap m_history;            // key mark -> version << 1 | deleted
};

} // namespace keymeld::enclave
