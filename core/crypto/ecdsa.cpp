#include "core/crypto/ecdsa.h"

#include <secp256k1.h>

#include "core/crypto/secp256k1_context.h"

namespace keymeld::crypto {

Result<EcdsaSignature> ecdsa_sign(const SecretKey& key, const ByteArray<32>& hash) {
    secp256k1_ecdsa_signature signature;
    EcdsaSignature out;
    if (secp256k1_ecdsa_sign(secp_context(), &signature, hash.data(), key.expose().data(), nullptr,
                             nullptr) != 1 ||
        secp256k1_ecdsa_signature_serialize_compact(secp_context(), out.data(), &signature) != 1 ||
        misuse_reported())
        return fail(Errc::Internal, "ECDSA signing failed");
    return out;
}

Status ecdsa_verify(const EcdsaSignature& signature, const ByteArray<32>& hash,
                    const PlainPubKey& key) {
    const auto point = opaque_load<secp256k1_pubkey>(key.opaque());
    secp256k1_ecdsa_signature parsed;
    // The library's verification refuses a high S.
    if (secp256k1_ecdsa_signature_parse_compact(secp_context(), &parsed, signature.data()) != 1 ||
        secp256k1_ecdsa_verify(secp_context(), &parsed, hash.data(), &point) != 1)
        return fail(Errc::InvalidSignature, "ECDSA signature does not verify");
    return {};
}

} // namespace keymeld::crypto
