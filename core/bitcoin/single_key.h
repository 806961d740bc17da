// Single keys (rest-keys.md): keys that one owner uses alone, for ECDSA or BIP-340. What client and
// enclave each compute.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/uuid.h"
#include "core/bitcoin/keys.h"
#include "core/bitcoin/tweak_config.h"
#include "core/crypto/digest.h"
#include "core/secure/secret.h"

namespace keymeld::bitcoin {

/// Values as in the gateway-enclave protocol.
enum class SignatureType : std::uint8_t { Ecdsa = 0, SchnorrBip340 = 1 };

/// `ecdsa`, `schnorr_bip340`. [any-thread]
std::string_view text(SignatureType type);
/// The inverse; `Errc::InvalidArgument` for any other text.
Result<SignatureType> parse_signature_type(std::string_view text);

/// What a key may be used for.
struct AllowedSignatures {
    bool ecdsa = true;
    bool schnorr_bip340 = true;

    bool operator==(const AllowedSignatures&) const = default;
    bool has(SignatureType type) const {
        return type == SignatureType::Ecdsa ? ecdsa : schnorr_bip340;
    }
    bool none() const { return !ecdsa && !schnorr_bip340; }
    /// 1 for ECDSA, 2 for BIP-340, 3 for both, as in the protocol and in storage.
    std::uint8_t bits() const {
        return static_cast<std::uint8_t>((ecdsa ? 1 : 0) | (schnorr_bip340 ? 2 : 0));
    }
    /// `Errc::InvalidArgument` for 0 and for unknown bits.
    static Result<AllowedSignatures> from_bits(std::uint64_t bits);
    /// The names, joined by a comma, ECDSA first.
    std::string text() const;
};

/// The authentication key that belongs to a signing key, where the client chose no other:
/// HKDF-SHA256(no salt, IKM = signing key, info `keymeld-session-auth-v1:single_signer_auth`).
/// [any-thread]
Result<SecretKey> derive_auth_key(const SecretKey& signing_key);

/// What the owner signs to approve one signature: SHA-256(encrypted_message text || key id text ||
/// timestamp as u64 little-endian), followed by TweakConfig::params_text() where a tweak is asked
/// for, so that nobody can add, change or drop one.
crypto::Hash256 approval_digest(std::string_view encrypted_message, const KeyId& key,
                                std::uint64_t timestamp, const TweakConfig& tweak);

/// AAD of an imported key's blob (`ecies_aad: true`): ties it to this key id, this user and this
/// authentication key.
std::string import_aad(const KeyId& key, const UserId& user, const PlainPubKey& auth_key);

/// What an enclave vouches for when it generated a key: HMAC-SHA256 under the 32 bytes that the
/// client encrypted to it, over `keymeld-single-key-v1:<key id>:<user id>:<auth key>:<public
/// key>:<allowed>`.
crypto::Hash256 key_tag(const secure::SecretArray<32>& secret, const KeyId& key, const UserId& user,
                        const PlainPubKey& auth_key, const PlainPubKey& public_key,
                        const AllowedSignatures& allowed);

} // namespace keymeld::bitcoin
