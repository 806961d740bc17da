#include "pkcs11/key_ring.h"

#include <algorithm>
#include <atomic>

#include "appliance/client/local_crypto.h"

namespace keymeld::pkcs11 {

CK_OBJECT_HANDLE next_handle() {
    static std::atomic<CK_OBJECT_HANDLE> last{0};
    return ++last;
}

KeyRing::KeyRing(const client::CredentialStore& store, KnownHandles& known) {
    const auto handle_of = [&known](const Key& key, CK_OBJECT_CLASS object_class) {
        CK_OBJECT_HANDLE& handle = known[{key.stored.public_key.bytes(), object_class}];
        if (handle == CK_INVALID_HANDLE)
            handle = next_handle();
        return handle;
    };
    m_keys.reserve(store.header().keys.size());
    for (const client::StoredKey& stored : store.header().keys) {
        Key key{.stored = stored};
        const auto digest = client::sha256(stored.public_key.bytes());
        std::copy_n(digest.begin(), key.id.size(), key.id.begin());
        key.point = client::uncompressed(stored.public_key);
        key.public_handle = handle_of(key, CKO_PUBLIC_KEY);
        key.private_handle = handle_of(key, CKO_PRIVATE_KEY);
        if (!stored.certificate.empty())
            key.certificate_handle = handle_of(key, CKO_CERTIFICATE);
        m_keys.push_back(std::move(key));
    }
    for (const auto& [handle, found] : objects())
        m_by_handle.emplace(handle, std::pair(found.index, found.object_class));
    // A key that is gone and comes back is a new object.
    std::erase_if(known, [this](const auto& entry) { return !m_by_handle.contains(entry.second); });
}

KeyRing::Found KeyRing::find(CK_OBJECT_HANDLE handle) const {
    const auto at = m_by_handle.find(handle);
    if (at == m_by_handle.end())
        return {};
    return {&m_keys[at->second.first], at->second.first, at->second.second};
}

std::vector<std::pair<CK_OBJECT_HANDLE, KeyRing::Found>> KeyRing::objects() const {
    std::vector<std::pair<CK_OBJECT_HANDLE, Found>> out;
    out.reserve(3 * m_keys.size());
    for (std::size_t i = 0; i < m_keys.size(); ++i) {
        const Key& key = m_keys[i];
        out.emplace_back(key.public_handle, Found{&key, i, CKO_PUBLIC_KEY});
        out.emplace_back(key.private_handle, Found{&key, i, CKO_PRIVATE_KEY});
        if (key.certificate_handle != CK_INVALID_HANDLE)
            out.emplace_back(key.certificate_handle, Found{&key, i, CKO_CERTIFICATE});
    }
    return out;
}

} // namespace keymeld::pkcs11
