// Header nonces are single use (rest-v1.md 3.1): storage knows those that were used, this those whose use is not durable yet.
#pragma once

#include <string_view>
#include <unordered_set>

#include "core/plugin/storage.h"

namespace keymeld::engine {

/// Key of a nonce of X-Session-HMAC: one space per keygen session. `nonce` is the header's text. [any-thread]
plugin::Hash32 session_nonce_key(const KeygenId& keygen, std::string_view nonce);
/// Key of a nonce of X-Signing-HMAC: one space per (user, registered key), over all sessions.
plugin::Hash32 signing_nonce_key(const UserId& user, const ByteArray<33>& public_key, std::string_view nonce);

/// Key of a nonce of X-User-Signature: one space per single key.
plugin::Hash32 user_nonce_key(const KeyId& key, std::string_view nonce);

/// The nonce part of a header of right form, without a copy; empty if the form is wrong.
std::string_view session_header_nonce(std::string_view header);
struct SigningHeaderParts {
    UserId user;
    std::string_view nonce;
};
Result<SigningHeaderParts> signing_header_parts(std::string_view header);

/// Nonces of requests under way. [loop]
class NonceGuard {
  public:
    /// Held from before the first look until the use is durable or refused. `fresh()` is false if another request holds the same nonce.
    class Claim {
      public:
        Claim(NonceGuard& guard, const plugin::Hash32& key);
        ~Claim();
        Claim(const Claim&) = delete;
        Claim& operator=(const Claim&) = delete;
        bool fresh() const { return m_fresh; }
        const plugin::Hash32& key() const { return m_key; }

      private:
        NonceGuard& m_guard;
        plugin::Hash32 m_key;
        bool m_fresh;
    };

  private:
    struct KeyHash {
        std::size_t operator()(const plugin::Hash32& key) const noexcept;
    };
    std::unordered_set<plugin::Hash32, KeyHash> m_held;
};

} // namespace keymeld::engine
