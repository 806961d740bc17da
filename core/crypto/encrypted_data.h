// EncryptedData under the session secret, as hex-JSON: `final_signature` and form (b) of
// `encrypted_message` (rest-v1.md 5.3).
#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/secure/secret.h"

namespace keymeld::crypto {

/// What the plaintext is; the key is derived from it, so one kind cannot be passed off as the
/// other.
enum class DataContext { Signature, Message };

/// Binary form, which only single keys use (rest-keys.md): hex of context_len(1) || context ||
/// nonce(12) || ciphertext || tag(16), no AAD, key = HKDF-SHA256(no salt, IKM = secret, info =
/// context). Its contexts are `session_data` and `signature`.
enum class BinaryContext { SessionData, Signature };

/// Encrypts with a random nonce and writes lower-case hex. [any-thread]
std::string binary_data_seal(const secure::SecretArray<32>& secret, BinaryContext context,
                             ByteView plaintext);

/// Opens the binary form (hex of either case) whose context must be `expected`. Errors as
/// encrypted_data_open(). [any-thread]
Result<secure::SecretBytes> binary_data_open(const secure::SecretArray<32>& secret,
                                             BinaryContext expected, std::string_view hex);

/// Longest hex-JSON text that is read, in characters.
inline constexpr std::size_t kMaxEncryptedDataText = 128 * 1024;

/// Encrypts under HKDF(session secret, context) with a random nonce and writes hex-JSON.
/// [any-thread]
std::string encrypted_data_seal(const secure::SecretArray<32>& session_secret, DataContext context,
                                ByteView plaintext);

/// Opens hex-JSON (hex of either case) whose context must be `expected`. `Errc::InvalidArgument` if
/// it is not a text of that form, `Errc::DecryptFailed` if the context, the session secret or a
/// byte is another. Members may be in any order with any white space; a repeated or unknown member,
/// or a number beyond 0..255, is refused. [any-thread]
Result<secure::SecretBytes> encrypted_data_open(const secure::SecretArray<32>& session_secret,
                                                DataContext expected, std::string_view hex_json);

} // namespace keymeld::crypto
