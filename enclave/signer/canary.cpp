#include "enclave/signer/canary.h"

#include <vector>

#include "core/musig/session_context.h"
#include "core/secure/random.h"

namespace keymeld::enclave {

Result<CanarySignature> sign_canary() {
    const auto first = crypto::SecretKey::generate();
    const auto second = crypto::SecretKey::generate();
    const std::vector<crypto::PlainPubKey> keys{first.public_key(), second.public_key()};
    KEYMELD_TRY(const auto aggregate, musig::KeyAggContext::create(keys));
    const auto message = secure::random_array<32>();

    KEYMELD_TRY(auto first_nonce, musig::nonce_gen(first, &aggregate, &message));
    KEYMELD_TRY(auto second_nonce, musig::nonce_gen(second, &aggregate, &message));
    const std::vector<musig::PubNonce> nonces{first_nonce.pub, second_nonce.pub};
    KEYMELD_TRY(const auto aggregate_nonce, musig::nonce_agg(nonces));
    KEYMELD_TRY(const auto session,
                musig::SessionContext::create(aggregate_nonce, message, aggregate));
    KEYMELD_TRY(const auto first_share,
                musig::partial_sign(std::move(first_nonce.secret), first, aggregate, session));
    KEYMELD_TRY(const auto second_share,
                musig::partial_sign(std::move(second_nonce.secret), second, aggregate, session));
    const std::vector<musig::PartialSignature> shares{first_share, second_share};
    KEYMELD_TRY(const auto signature,
                musig::aggregate_and_verify(aggregate, session, nonces, shares));
    return CanarySignature{aggregate.x_only().bytes(), message, signature};
}

} // namespace keymeld::enclave
