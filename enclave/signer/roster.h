// What the enclaves of one keygen session vouch for to each other through the gateway: HMAC-SHA256
// under the roster key, 32 random bytes made by the coordinator enclave and known to the session's
// enclaves only. Without it the gateway could replace a participant's key, drop an approval policy,
// or feed nonces of its own into a signature.
#pragma once

#include <span>
#include <string_view>

#include "core/base/uuid.h"
#include "core/crypto/digest.h"
#include "core/crypto/public_key.h"
#include "core/secure/secret.h"
#include "core/session/status.h"
#include "enclave/signer/incarnation.h"

namespace keymeld::enclave {

using RosterKey = secure::SecretArray<32>;

/// Covers the keygen session with its parameters, the user, its public key and its effective
/// policy.
crypto::Hash256 registration_tag(const RosterKey& key, const KeygenId& keygen,
                                 const crypto::Hash256& params_digest, const UserId& user,
                                 const crypto::PlainPubKey& public_key,
                                 session::ApprovalPolicy policy);

/// A public nonce as it travels: whether its 66 bytes are two points is checked after the tag.
struct NonceEntry {
    std::uint32_t signer_index = 0;
    ByteArray<128> pubnonce{}; ///< PubNonce::points()
    bool operator==(const NonceEntry&) const = default;
};

/// The signature that a contribution is for.
struct AttemptId {
    KeygenId keygen;
    SigningId signing;
    std::uint32_t attempt = 0;
    ByteArray<32> message{};
};

/// What an enclave says of itself with its nonces.
struct Standing {
    std::uint64_t ledger_version = 0;
    Incarnation incarnation;
};

/// Covers the attempt, its message, the enclave, its standing and its nonces.
crypto::Hash256 contribution_tag(const RosterKey& key, const AttemptId& attempt,
                                 const crypto::PlainPubKey& enclave, const Standing& standing,
                                 std::span<const NonceEntry> nonces);

} // namespace keymeld::enclave
