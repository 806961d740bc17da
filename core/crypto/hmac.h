// HMAC-SHA256 (RFC 2104, FIPS 198-1).
#pragma once

#include <initializer_list>

#include "core/base/bytes.h"
#include "core/crypto/digest.h"
#include "core/secure/secret.h"

struct evp_mac_ctx_st;

namespace keymeld::crypto {

/// MAC of the concatenation of the parts; `key` is secret, the MAC is not. Compare MACs with
/// secure::ct_equal. [any-thread]
Hash256 hmac_sha256(ByteView key, std::initializer_list<ByteView> parts);
inline Hash256 hmac_sha256(ByteView key, ByteView message) {
    return hmac_sha256(key, {message});
}

/// A key set once and used for many messages (five times faster for short ones). OpenSSL keeps the
/// key schedule in its own heap and wipes it when the object dies, so keep one for the length of a
/// request, not for the life of a session. Thread rule: one thread at a time.
class HmacKey {
  public:
    explicit HmacKey(ByteView key);
    HmacKey(HmacKey&& other) noexcept;
    HmacKey& operator=(HmacKey&& other) noexcept;
    HmacKey(const HmacKey&) = delete;
    HmacKey& operator=(const HmacKey&) = delete;
    ~HmacKey();

    Hash256 mac(std::initializer_list<ByteView> parts);
    Hash256 mac(ByteView message) { return mac({message}); }

  private:
    evp_mac_ctx_st* m_context;
};

} // namespace keymeld::crypto
