// The keygen sessions of this process: in clear (bounded, least recently used go first), parked
// (sealed, in ordinary memory), and the memory of those that went, so that an old version never
// comes back within one life of the process.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "enclave/signer/blob_bindings.h"
#include "enclave/signer/keygen_state.h"
#include "enclave/signer/state_versions.h"

namespace keymeld::enclave {

class KeygenStore {
  public:
    /// All must outlive the store.
    KeygenStore(const EnclaveIdentity& identity, const Marker& marker, BlobBindings& bindings,
                SigningNonces& nonces, const Limits& limits);

    /// The session, now the most recently used. `Errc::NotFound` if it was deleted here,
    /// `Errc::StateUnknown` if the gateway must give it back. The reference is valid until the next
    /// add(), find() or remove() for another session.
    Result<KeygenState*> find(const KeygenId& id);
    /// For a new session under this id: success means that no trace of one forbids it.
    /// `Errc::DuplicateId` if one was deleted, `Errc::StateUnknown` if one was evicted,
    /// `Errc::Overloaded`. Ids in memory are the caller's to check with find() first.
    Status may_create(const KeygenId& id) const;
    /// For a session given back at `version`: `Errc::StateRolledBack` if a later one was here, or
    /// if it was deleted.
    Status may_restore(const KeygenId& id, std::uint64_t version) const;
    /// Takes a session whose id is not in memory, binds its blobs, learns its used nonces, and
    /// parks others if there are too many.
    KeygenState& add(std::unique_ptr<KeygenState> state);
    /// Destroys the session. If a participant registered here, or it is not in memory, its id stays
    /// refused; a creation that was given up before may be repeated (rest-v1.md 2.4), but what was
    /// sealed of it is worthless. `Errc::Overloaded` if an unknown id cannot be noted.
    Status remove(const KeygenId& id);

    /// Versions and deletions of all sessions that are or were here, or of those that may have
    /// changed since changes were asked for last. A session that nobody registered with may be
    /// created again and is left out.
    void put_versions(StateVersions& out) const;
    void put_changes(StateVersions& out);
    std::size_t changes() const { return m_changed.size(); }
    /// What was here in an earlier life of this enclave's key, for an empty store.
    void learn(const StateVersions& versions);

    std::size_t size() const { return m_loaded.size(); }
    std::size_t parked() const { return m_parked.size(); }

  private:
    enum class Past : std::uint8_t { None = 0, Evicted = 1, Deleted = 2, GivenUp = 3 };
    struct PastEntry {
        Past past = Past::None;
        std::uint64_t version = 0;
    };
    struct Loaded {
        std::unique_ptr<KeygenState> state;
        std::list<KeygenId>::iterator place; // in m_recent, most recent first
        std::size_t entries = 0;             // counted in m_entries
        std::size_t keys = 0;                // counted in m_keys
        bool changed = false;                // in m_changed
    };
    struct Parked {
        std::uint64_t version = 0;
        Bytes blob;
        std::list<KeygenId>::iterator place; // in m_parked_order, oldest first
    };

    PastEntry past_of(const KeygenId& id) const;
    void note_past(const KeygenId& id, Past past, std::uint64_t version);
    KeygenState& insert(std::unique_ptr<KeygenState> state);
    void recount(Loaded& loaded);
    void note_change(const KeygenId& id);
    void put_version(const KeygenId& id, const Loaded& loaded, StateVersions& out) const;
    void unload(std::unordered_map<KeygenId, Loaded>::iterator loaded);
    void shrink(const KeygenId& keep);
    void park(const KeygenId& id);
    void drop_parked(const KeygenId& id);

    const EnclaveIdentity& m_identity;
    const Marker& m_marker;
    BlobBindings& m_bindings;
    SigningNonces& m_nonces;
    const Limits& m_limits;

    std::unordered_map<KeygenId, Loaded> m_loaded;
    std::list<KeygenId> m_recent;
    std::size_t m_entries = 0;
    std::size_t m_keys = 0;
    std::unordered_map<KeygenId, Parked> m_parked;
    std::list<KeygenId> m_parked_order;
    std::size_t m_parked_bytes = 0;
    MarkMap m_history;
    std::vector<KeygenId> m_changed; // perhaps
};

} // namespace keymeld::enclave
