// AES-256-GCM (NIST SP 800-38D) with a 12-byte nonce and a 16-byte tag.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/secure/secret.h"

namespace keymeld::crypto {

inline constexpr std::size_t kAeadKeySize = 32;
inline constexpr std::size_t kAeadNonceSize = 12;
inline constexpr std::size_t kAeadTagSize = 16;
/// Longest plaintext accepted; longer is a bug of the caller (std::length_error) or no ciphertext
/// of ours.
inline constexpr std::size_t kAeadMaxPlaintext = std::size_t{1} << 30;

using AeadKey = secure::SecretArray<kAeadKeySize>;
using AeadNonce = ByteArray<kAeadNonceSize>;

/// ciphertext || tag. The same (key, nonce) for two plaintexts gives away both and the power to
/// forge: take the nonce from secure::random_array<12>() and never seal more than 2^32 messages
/// under one key. [any-thread]
Bytes aes256gcm_seal(const AeadKey& key, const AeadNonce& nonce, ByteView plaintext,
                     ByteView aad = {});

/// The plaintext of ciphertext || tag. `Errc::DecryptFailed` if it is too short or the tag, key,
/// nonce or AAD is another; then nothing of the plaintext leaves the function. [any-thread]
Result<secure::SecretBytes> aes256gcm_open(const AeadKey& key, const AeadNonce& nonce,
                                           ByteView ciphertext_and_tag, ByteView aad = {});

} // namespace keymeld::crypto
