#include "core/crypto/ecdh.h"

#include <secp256k1.h>
#include <secp256k1_ecdh.h>

#include "core/crypto/secp256k1_context.h"

namespace keymeld::crypto {

Result<secure::SecretArray<32>> ecdh(const SecretKey& secret, const PlainPubKey& peer) {
    const auto point = opaque_load<secp256k1_pubkey>(peer.opaque());
    secure::SecretArray<32> out;
    if (secp256k1_ecdh(secp_context(), out.expose_mut().data(), &point, secret.expose().data(),
                       nullptr, nullptr) != 1 ||
        misuse_reported())
        return fail(Errc::Internal, "ECDH failed");
    return out;
}

} // namespace keymeld::crypto
