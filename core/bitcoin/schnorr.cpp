#include "core/bitcoin/schnorr.h"

#include <secp256k1.h>
#include <secp256k1_schnorrsig.h>

#include "core/base/hex.h"
#include "core/crypto/secp256k1_context.h"
#include "core/secure/cleanse.h"
#include "core/secure/random.h"

namespace keymeld::bitcoin {

using crypto::misuse_reported;
using crypto::opaque_load;
using crypto::secp_context;

namespace {

Result<SchnorrSignature> sign(const SecretKey& key, ByteView message, ByteView aux32) {
    secp256k1_keypair pair;
    const secure::ScopedCleanse wipe_pair(pair);
    std::memcpy(pair.data, key.keypair().data(), sizeof pair.data);
    secp256k1_schnorrsig_extraparams extra = SECP256K1_SCHNORRSIG_EXTRAPARAMS_INIT;
    ByteArray<32> aux;
    const secure::ScopedCleanse wipe_aux(aux);
    std::memcpy(aux.data(), aux32.data(), aux.size());
    extra.ndata = aux.data();
    SchnorrSignature out;
    if (secp256k1_schnorrsig_sign_custom(secp_context(), out.bytes.data(), message.data(),
                                         message.size(), &pair, &extra) != 1 ||
        misuse_reported())
        return fail(Errc::Internal, "BIP-340 signing failed");
    return out;
}

} // namespace

Result<SchnorrSignature> SchnorrSignature::parse(ByteView bytes) {
    SchnorrSignature out;
    if (bytes.size() != out.bytes.size())
        return fail(Errc::InvalidSignature, "BIP-340 signature is not 64 bytes long");
    std::memcpy(out.bytes.data(), bytes.data(), bytes.size());
    return out;
}

std::string SchnorrSignature::hex() const {
    return hex_encode(bytes);
}

Result<SchnorrSignature> schnorr_sign(const SecretKey& key, ByteView message) {
    const auto aux = secure::random_secret<32>();
    return sign(key, message, aux.expose());
}

Result<SchnorrSignature> schnorr_sign(const SecretKey& key, ByteView message,
                                      const ByteArray<32>& aux_rand) {
    return sign(key, message, aux_rand);
}

Status schnorr_verify(const SchnorrSignature& signature, ByteView message, const XOnlyPubKey& key) {
    const auto point = opaque_load<secp256k1_xonly_pubkey>(key.opaque());
    if (secp256k1_schnorrsig_verify(secp_context(), signature.bytes.data(), message.data(),
                                    message.size(), &point) != 1)
        return fail(Errc::InvalidSignature, "BIP-340 signature does not verify");
    return {};
}

} // namespace keymeld::bitcoin
