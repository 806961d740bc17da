// Public nonces that enclaves show each other through the gateway, and the check that nobody but
// them had a hand in it.
#pragma once

#include <vector>

#include "core/musig/nonce.h"
#include "enclave/signer/escrow_vault.h"
#include "enclave/signer/keygen_state.h"

namespace keymeld::wire {
class NonceContribution;
}

namespace keymeld::enclave {

/// Every signer's public nonce, vouched for.
struct CheckedContributions {
    std::vector<musig::PubNonce> nonces; ///< in aggregation order
    crypto::Hash256
        id{}; ///< over the tags in the order of KeygenParams::enclaves: the same at every enclave
};

/// Wants exactly one contribution of every enclave of the session, for this attempt, each with a
/// nonce for each of its slots, our own as we gave it, and no ledger version below what we had seen
/// when our nonces were made, nor of an enclave whose key a later one has taken over.
/// `Errc::RosterMismatch`; `Errc::StateRolledBack` with the fact
/// peer_public_key; `Errc::ContributionInvalid` with blamed_user for a nonce that is no pair of
/// points. Remembers the versions, also
/// for the peers' next lives.
Result<CheckedContributions>
check_contributions(EscrowVault& escrows, KeygenState& keygen, const SigningAttempt& attempt,
                    const KeygenState::Keys& keys,
                    const std::vector<const wire::NonceContribution*>& contributions);

void put_contribution(const KeygenState& keygen, const OwnContribution& own,
                      wire::NonceContribution& out);

} // namespace keymeld::enclave
