#include "core/musig/nonce.h"

#include <stdexcept>

#include <secp256k1.h>
#include <secp256k1_musig.h>

#include "core/crypto/secp256k1_context.h"
#include "core/secure/cleanse.h"
#include "core/secure/random.h"

namespace keymeld::musig {

using crypto::misuse_reported;
using crypto::opaque_load;
using crypto::opaque_store;
using crypto::secp_context;

Result<PubNonce> PubNonce::parse(ByteView bytes66) {
    secp256k1_musig_pubnonce nonce;
    if (bytes66.size() != 66 ||
        secp256k1_musig_pubnonce_parse(secp_context(), &nonce, bytes66.data()) != 1)
        return fail(Errc::InvalidPoint, "not a MuSig2 public nonce");
    PubNonce out;
    std::memcpy(out.m_bytes.data(), bytes66.data(), bytes66.size());
    out.m_opaque = opaque_store(nonce);
    return out;
}

PubNonce PubNonce::from_opaque(const ByteArray<132>& opaque) {
    const auto nonce = opaque_load<secp256k1_musig_pubnonce>(opaque);
    PubNonce out;
    out.m_opaque = opaque;
    if (secp256k1_musig_pubnonce_serialize(secp_context(), out.m_bytes.data(), &nonce) != 1 ||
        misuse_reported())
        throw std::logic_error("public nonce object without points");
    return out;
}

Result<AggNonce> AggNonce::parse(ByteView bytes66) {
    secp256k1_musig_aggnonce nonce;
    if (bytes66.size() != 66 ||
        secp256k1_musig_aggnonce_parse(secp_context(), &nonce, bytes66.data()) != 1)
        return fail(Errc::InvalidPoint, "not a MuSig2 aggregate nonce");
    AggNonce out;
    std::memcpy(out.m_bytes.data(), bytes66.data(), bytes66.size());
    out.m_opaque = opaque_store(nonce);
    return out;
}

AggNonce AggNonce::from_opaque(const ByteArray<132>& opaque) {
    const auto nonce = opaque_load<secp256k1_musig_aggnonce>(opaque);
    AggNonce out;
    out.m_opaque = opaque;
    if (secp256k1_musig_aggnonce_serialize(secp_context(), out.m_bytes.data(), &nonce) != 1 ||
        misuse_reported())
        throw std::logic_error("aggregate nonce object without points");
    return out;
}

Result<NoncePair> nonce_gen(const SecretKey& key, const KeyAggContext* aggregate,
                            const ByteArray<32>* message) {
    const auto signer = opaque_load<secp256k1_pubkey>(key.public_key().opaque());
    secp256k1_musig_keyagg_cache cache;
    if (aggregate != nullptr)
        cache = opaque_load<secp256k1_musig_keyagg_cache>(aggregate->opaque());
    auto session_random = secure::random_secret<32>();
    secp256k1_musig_secnonce secret;
    const secure::ScopedCleanse wipe_secret(secret);
    secp256k1_musig_pubnonce pub;
    if (secp256k1_musig_nonce_gen(secp_context(), &secret, &pub, session_random.expose_mut().data(),
                                  key.expose().data(), &signer,
                                  message != nullptr ? message->data() : nullptr,
                                  aggregate != nullptr ? &cache : nullptr, nullptr) != 1 ||
        misuse_reported())
        return fail(Errc::Internal, "MuSig2 nonce generation failed");
    static_assert(sizeof secret.data == 132);
    return NoncePair{SecNonce(secure::SecretArray<132>::copy_of(secret.data), key.public_key()),
                     PubNonce::from_opaque(opaque_store(pub))};
}

Result<AggNonce> nonce_agg(std::span<const PubNonce> nonces) {
    if (nonces.empty())
        return fail(Errc::InvalidArgument, "no public nonces to aggregate");
    std::vector<secp256k1_musig_pubnonce> parsed;
    std::vector<const secp256k1_musig_pubnonce*> pointers;
    parsed.reserve(nonces.size());
    pointers.reserve(nonces.size());
    for (const PubNonce& nonce : nonces) {
        parsed.push_back(opaque_load<secp256k1_musig_pubnonce>(nonce.opaque()));
        pointers.push_back(&parsed.back());
    }
    secp256k1_musig_aggnonce out;
    if (secp256k1_musig_nonce_agg(secp_context(), &out, pointers.data(), pointers.size()) != 1 ||
        misuse_reported())
        return fail(Errc::Internal, "MuSig2 nonce aggregation failed");
    return AggNonce::from_opaque(opaque_store(out));
}

} // namespace keymeld::musig
