// Which (keygen session, user) each ECIES blob serves (rest-v1.md 5.1): the first whose request was
// accepted, for the life of this process, and again after a restart once the session's sealed state
// is given back.
#pragma once

#include "core/base/result.h"
#include "enclave/signer/mark_map.h"

namespace keymeld::enclave {

class BlobBindings {
  public:
    explicit BlobBindings(std::size_t capacity) : m_capacity(capacity) {}

    /// `Errc::BlobReused` if the blob serves somebody else, `Errc::Overloaded` if there is no room
    /// to bind a new one.
    Status check(Mark blob, Mark owner) const;
    /// Binds a blob that check() passed. One that is bound keeps its owner.
    void bind(Mark blob, Mark owner);
    /// Whether `blobs` more can be bound.
    bool has_room(std::size_t blobs) const { return m_owners.size() + blobs <= m_capacity; }
    std::size_t size() const { return m_owners.size(); }

  private:
    std::size_t m_capacity;
    MarkMap m_owners;
};

} // namespace keymeld::enclave
