// The keys of a token as of one reading of its credential store, each with the handles of its objects. Immutable.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "appliance/client/credential_store.h"
#include "pkcs11/cryptoki.h"

namespace keymeld::pkcs11 {

/// A handle is given once in the life of the module, whatever the token. [any-thread]
CK_OBJECT_HANDLE next_handle();

struct Key {
    client::StoredKey stored;
    ByteArray<20> id{}; ///< CKA_ID: first 20 bytes of SHA-256 of the 33-byte public key
    ByteArray<65> point{};
    CK_OBJECT_HANDLE public_handle = CK_INVALID_HANDLE;
    CK_OBJECT_HANDLE private_handle = CK_INVALID_HANDLE;
    CK_OBJECT_HANDLE certificate_handle = CK_INVALID_HANDLE; ///< invalid: no certificate
};

/// Handles by key and class, so that a key that is still there after a refresh keeps them.
using KnownHandles = std::map<std::pair<ByteArray<33>, CK_OBJECT_CLASS>, CK_OBJECT_HANDLE>;

class KeyRing {
  public:
    KeyRing(const client::CredentialStore& store, KnownHandles& known);

    const std::vector<Key>& keys() const { return m_keys; }

    struct Found {
        const Key* key = nullptr;
        std::size_t index = 0;
        CK_OBJECT_CLASS object_class = 0;
    };
    /// Null key: no object of this ring.
    Found find(CK_OBJECT_HANDLE handle) const;
    /// Every handle with what it is, in a stable order: keys as in the store.
    std::vector<std::pair<CK_OBJECT_HANDLE, Found>> objects() const;

  private:
    std::vector<Key> m_keys;
    std::unordered_map<CK_OBJECT_HANDLE, std::pair<std::size_t, CK_OBJECT_CLASS>> m_by_handle;
};

} // namespace keymeld::pkcs11
