// HMAC-SHA256 (RFC 2104, FIPS 198-1).
#pragma once

#include <initializer_list>

#include "core/base/bytes.h"
#include "core/crypto/digest.h"
#include "core/secure/secret.h"

namespace keymeld::crypto {

/// MAC of the concatenation of the parts; `key` is secret, the MAC is not. Compare MACs with
/// secure::ct_equal. [any-thread]
Hash256 hmac_sha256(ByteView key, std::initializer_list<ByteView> parts);
inline Hash256 hmac_sha256(ByteView key, ByteView message) {
    return hmac_sha256(key, {message});
}

inline constexpr std::size_t kHmacBlock = 64;

/// A key set once and used for many messages; in locked memory. [any-thread] as far as mac() goes.
class HmacKey {
  public:
    explicit HmacKey(ByteView key);

    Hash256 mac(std::initializer_list<ByteView> parts) const;
    Hash256 mac(ByteView message) const { return mac({message}); }

  private:
    secure::SecretArray<kHmacBlock> m_block;
};

} // namespace keymeld::crypto
