// Marks: 64-bit keyed fingerprints of ids, header nonces and blobs, for memories that must be long
// and small.
//
// A mark is the start of SHA-256(mark key || kind || value). The key comes from the enclave's own
// key, so nobody outside can look for two values with one mark, and marks in sealed state stay good
// across a restart. Two values that share a mark by chance (n^2 / 2^64) cost a refusal, never an
// acceptance.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/uuid.h"
#include "core/crypto/digest.h"
#include "core/crypto/public_key.h"
#include "core/secure/secret.h"

namespace keymeld::enclave {

/// Never zero.
using Mark = std::uint64_t;

/// What a header nonce was used for: one 64-bit word that equals another only if kind and subject
/// are the same.
enum class UseKind : std::uint8_t {
    Read = 0,
    Register = 1,
    CreateSigning = 2,
    Approve = 3,
    Reject = 4,
    CreateKey = 5, ///< of a single key, as the next
    SignSingle = 6
};

class NonceUse {
  public:
    /// `subject` is the mark of the user (Register), of the single key (CreateKey) or of the
    /// signing session (the others but Read).
    static NonceUse of(UseKind kind, Mark subject) {
        return NonceUse((subject & ~kKindBits) | static_cast<std::uint64_t>(kind));
    }
    /// A read on the stream with that number.
    static NonceUse read(std::uint64_t stream) { return NonceUse(stream << 3); }
    static NonceUse from_word(std::uint64_t word) { return NonceUse(word); }

    std::uint64_t word() const { return m_word; }
    UseKind kind() const { return static_cast<UseKind>(m_word & kKindBits); }
    std::uint64_t stream() const { return m_word >> 3; }
    bool operator==(const NonceUse&) const = default;

  private:
    static constexpr std::uint64_t kKindBits = 7;
    explicit NonceUse(std::uint64_t word) : m_word(word) {}
    std::uint64_t m_word;
};

class Marker {
  public:
    explicit Marker(secure::SecretArray<32> key) : m_key(std::move(key)) {}

    Mark keygen(const KeygenId& keygen) const;
    Mark user(const KeygenId& keygen, const UserId& user) const;
    Mark signing(const KeygenId& keygen, const SigningId& signing) const;
    Mark blob(const crypto::Hash256& binding_id) const;
    /// X-Session-HMAC: one space per keygen session.
    Mark session_nonce(const KeygenId& keygen, std::string_view nonce) const;
    /// X-Signing-HMAC: one space per (user, registered key), over all sessions.
    Mark signing_nonce(const UserId& user, const crypto::PlainPubKey& key,
                       std::string_view nonce) const;

    // Single keys.
    Mark key(const KeyId& key) const;
    Mark key_user(const KeyId& key, const UserId& user) const;
    Mark key_signing(const KeyId& key, const SigningId& signing) const;
    /// X-User-Signature: one space per single key.
    Mark user_nonce(const KeyId& key, std::string_view nonce) const;
    Mark key_approval(const KeyId& key, const crypto::Hash256& digest) const;

  private:
    Mark mark(std::uint8_t kind, ByteView a, ByteView b, ByteView c = {}) const;
    secure::SecretArray<32> m_key;
};

} // namespace keymeld::enclave
