// aggregate_key_tag: how a client knows that an aggregate key comes from an enclave that holds the
// session secret (rest-v1.md 5.6).
#pragma once

#include <span>

#include "core/base/uuid.h"
#include "core/crypto/digest.h"
#include "core/crypto/public_key.h"
#include "core/secure/secret.h"

namespace keymeld::crypto {

struct AggregatedParticipant {
    UserId user_id;
    PlainPubKey public_key;
};

/// HMAC-SHA256 under the session secret. `in_aggregation_order` is public; its order is that of key
/// aggregation (5.4). The tag says nothing about the tweak: a verifier also recomputes the
/// aggregate, and compares tags with secure::ct_equal. [any-thread]
Hash256 aggregate_key_tag(const secure::SecretArray<32>& session_secret, const KeygenId& keygen,
                          const PlainPubKey& aggregate,
                          std::span<const AggregatedParticipant> in_aggregation_order);

} // namespace keymeld::crypto
