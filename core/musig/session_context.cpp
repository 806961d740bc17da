#include "core/musig/session_context.h"

#include <secp256k1.h>
#include <secp256k1_musig.h>

#include "core/crypto/secp256k1_context.h"
#include "core/secure/cleanse.h"

namespace keymeld::musig {

using crypto::misuse_reported;
using crypto::opaque_load;
using crypto::opaque_store;
using crypto::secp_context;

namespace {

Error other_key() {
    return fail(Errc::InvalidArgument, "signing session was made for another aggregate key");
}

} // namespace

Result<SessionContext> SessionContext::create(const AggNonce& nonce, const ByteArray<32>& message,
                                              const KeyAggContext& aggregate) {
    const auto cache = opaque_load<secp256k1_musig_keyagg_cache>(aggregate.opaque());
    const auto agg_nonce = opaque_load<secp256k1_musig_aggnonce>(nonce.opaque());
    secp256k1_musig_session session;
    if (secp256k1_musig_nonce_process(secp_context(), &session, &agg_nonce, message.data(),
                                      &cache) != 1 ||
        misuse_reported())
        return fail(Errc::Internal, "MuSig2 nonce processing failed");
    SessionContext out;
    out.m_message = message;
    out.m_key = aggregate.key().bytes();
    out.m_opaque = opaque_store(session);
    return out;
}

bool belongs_to(const SessionContext& session, const KeyAggContext& aggregate) {
    return session.m_key == aggregate.key().bytes();
}

Result<PartialSignature> partial_sign(SecNonce nonce, const SecretKey& key,
                                      const KeyAggContext& aggregate,
                                      const SessionContext& session) {
    // From here on the nonce dies with this call, whichever way it ends.
    if (!nonce.usable())
        return fail(Errc::NonceConsumed, "secret nonce was used before");
    if (nonce.signer() != key.public_key())
        return fail(Errc::KeyMismatch, "secret nonce was made for another key");
    if (!belongs_to(session, aggregate))
        return other_key();
    bool is_signer = false;
    for (const PlainPubKey& signer : aggregate.signer_keys())
        is_signer = is_signer || signer == key.public_key();
    if (!is_signer)
        return fail(Errc::KeyMismatch, "key is not one of the aggregated keys");

    secp256k1_musig_secnonce secret;
    const secure::ScopedCleanse wipe_secret(secret);
    std::memcpy(secret.data, nonce.m_data.expose().data(), sizeof secret.data);
    nonce.m_data.wipe();
    secp256k1_keypair pair;
    const secure::ScopedCleanse wipe_pair(pair);
    std::memcpy(pair.data, key.keypair().data(), sizeof pair.data);
    const auto cache = opaque_load<secp256k1_musig_keyagg_cache>(aggregate.opaque());
    const auto process = opaque_load<secp256k1_musig_session>(session.opaque());
    secp256k1_musig_partial_sig signature;
    if (secp256k1_musig_partial_sign(secp_context(), &signature, &secret, &pair, &cache,
                                     &process) != 1 ||
        misuse_reported())
        return fail(Errc::Internal, "MuSig2 partial signing failed");
    return PartialSignature::from_opaque(opaque_store(signature));
}

Status partial_sig_verify(const PartialSignature& signature, const PubNonce& nonce,
                          SignerIndex signer, const KeyAggContext& aggregate,
                          const SessionContext& session) {
    if (signer.value >= aggregate.signer_count())
        return fail(Errc::InvalidArgument, "no such signer");
    if (!belongs_to(session, aggregate))
        return other_key();
    const auto parsed = opaque_load<secp256k1_musig_partial_sig>(signature.opaque());
    const auto pub_nonce = opaque_load<secp256k1_musig_pubnonce>(nonce.opaque());
    const auto key = opaque_load<secp256k1_pubkey>(aggregate.signer_keys()[signer.value].opaque());
    const auto cache = opaque_load<secp256k1_musig_keyagg_cache>(aggregate.opaque());
    const auto process = opaque_load<secp256k1_musig_session>(session.opaque());
    const int valid = secp256k1_musig_partial_sig_verify(secp_context(), &parsed, &pub_nonce, &key,
                                                         &cache, &process);
    if (misuse_reported())
        return fail(Errc::Internal, "MuSig2 partial verification failed");
    if (valid != 1)
        return contribution_error({signer, Contribution::PartialSig});
    return {};
}

Result<SchnorrSignature> partial_sig_agg(const SessionContext& session,
                                         std::span<const PartialSignature> signatures) {
    if (signatures.empty())
        return fail(Errc::InvalidArgument, "no partial signatures to aggregate");
    std::vector<secp256k1_musig_partial_sig> parsed;
    std::vector<const secp256k1_musig_partial_sig*> pointers;
    parsed.reserve(signatures.size());
    pointers.reserve(signatures.size());
    for (const PartialSignature& signature : signatures) {
        parsed.push_back(opaque_load<secp256k1_musig_partial_sig>(signature.opaque()));
        pointers.push_back(&parsed.back());
    }
    const auto process = opaque_load<secp256k1_musig_session>(session.opaque());
    SchnorrSignature out;
    if (secp256k1_musig_partial_sig_agg(secp_context(), out.bytes.data(), &process, pointers.data(),
                                        pointers.size()) != 1 ||
        misuse_reported())
        return fail(Errc::Internal, "MuSig2 signature aggregation failed");
    return out;
}

Result<SchnorrSignature> aggregate_and_verify(const KeyAggContext& aggregate,
                                              const SessionContext& session,
                                              std::span<const PubNonce> nonces,
                                              std::span<const PartialSignature> signatures) {
    if (nonces.size() != aggregate.signer_count() || signatures.size() != aggregate.signer_count())
        return fail(Errc::InvalidArgument,
                    "one nonce and one partial signature per signer are needed");
    if (!belongs_to(session, aggregate))
        return other_key();
    KEYMELD_TRY(const SchnorrSignature signature, partial_sig_agg(session, signatures));
    if (bitcoin::schnorr_verify(signature, session.message(), aggregate.x_only()))
        return signature;
    for (std::uint32_t i = 0; i < signatures.size(); ++i)
        KEYMELD_CHECK(
            partial_sig_verify(signatures[i], nonces[i], SignerIndex{i}, aggregate, session));
    return fail(Errc::Internal, "signature does not verify though every partial signature does");
}

} // namespace keymeld::musig
