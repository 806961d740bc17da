// Authentication headers X-Session-HMAC and X-Signing-HMAC (rest-v1.md section 3), and
// X-User-Signature of single keys (rest-keys.md).
//
// Parsing judges the form only (401), verifying the proof (403). Neither looks at whether the nonce
// was used before: the caller consumes it after the proof was found correct and before the request
// takes effect. In headers only lower-case hex is valid.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/uuid.h"
#include "core/crypto/digest.h"
#include "core/crypto/ecdsa.h"
#include "core/secure/secret.h"

namespace keymeld::crypto {

/// 16 fresh random bytes as 32 hex characters. [any-thread]
std::string make_header_nonce();

/// `<nonce>:<hmac>`
struct SessionHmacHeader {
    std::string nonce; ///< 32..128 lower-case hex characters, an even number
    Hash256 hmac{};

    /// `Errc::AuthMissing` for no or an empty header, `Errc::AuthMalformed` for any other form.
    /// [any-thread]
    static Result<SessionHmacHeader> parse(std::optional<std::string_view> value);
};

/// Index into `users` of the user for whom the HMAC is right, else `Errc::AuthFailed`. Every user
/// is tried, whatever matches (up to 1000, 0.5 us each). `session` is always the keygen session,
/// also for POST /signing. [any-thread]
Result<std::size_t> verify_session_hmac(const SessionHmacHeader& header,
                                        const secure::SecretArray<32>& session_secret,
                                        const KeygenId& session, std::span<const UserId> users);

/// The header's value, for clients. `nonce` from make_header_nonce(), a fresh one for each request.
std::string make_session_hmac(const secure::SecretArray<32>& session_secret,
                              const KeygenId& session, const UserId& user, std::string_view nonce);

/// `<user_id>:<nonce>:<signature>`
struct SigningHmacHeader {
    UserId user_id;
    std::string nonce; ///< 32..128 lower-case hex characters, an even number
    EcdsaSignature signature{};

    /// `Errc::AuthMissing` for no or an empty header, `Errc::AuthMalformed` for any other form.
    /// [any-thread]
    static Result<SigningHmacHeader> parse(std::optional<std::string_view> value);
};

/// `Errc::AuthFailed` unless the signature is right and low-S under `key`, the key with which
/// header.user_id registered. [any-thread]
Status verify_signing_hmac(const SigningHmacHeader& header, const PlainPubKey& key);

/// The header's value, for clients.
Result<std::string> make_signing_hmac(const SecretKey& key, const UserId& user,
                                      std::string_view nonce);

/// `<nonce>:<signature>`
struct UserSignatureHeader {
    std::string nonce; ///< 32..128 lower-case hex characters, an even number
    EcdsaSignature signature{};

    /// `Errc::AuthMissing` for no or an empty header, `Errc::AuthMalformed` for any other form.
    /// [any-thread]
    static Result<UserSignatureHeader> parse(std::optional<std::string_view> value);
};

/// `Errc::AuthFailed` unless the signature is right and low-S under `auth_key` over SHA-256(scope
/// text || user text || raw nonce bytes). `scope`: the key id for everything about a key, the
/// signing session id for its status. [any-thread]
Status verify_user_signature(const UserSignatureHeader& header, const PlainPubKey& auth_key,
                             const Uuid& scope, const UserId& user);

/// The header's value, for clients.
Result<std::string> make_user_signature(const SecretKey& auth_key, const Uuid& scope,
                                        const UserId& user, std::string_view nonce);

} // namespace keymeld::crypto
