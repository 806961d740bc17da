#include "core/crypto/secret_key.h"

#include <stdexcept>

#include <secp256k1.h>
#include <secp256k1_extrakeys.h>

#include "core/crypto/secp256k1_context.h"
#include "core/secure/cleanse.h"
#include "core/secure/random.h"

namespace keymeld::crypto {

Result<SecretKey> SecretKey::parse(ByteView secret32) {
    if (secret32.size() != 32)
        return fail(Errc::InvalidScalar, "private key is not 32 bytes long");
    secp256k1_keypair pair;
    const secure::ScopedCleanse wipe_pair(pair);
    if (secp256k1_keypair_create(secp_context(), &pair, secret32.data()) != 1)
        return fail(Errc::InvalidScalar, "private key is zero or not below the group order");
    secp256k1_pubkey point;
    if (secp256k1_keypair_pub(secp_context(), &point, &pair) != 1 || misuse_reported())
        return fail(Errc::Internal, "keypair without a public key");

    static_assert(sizeof pair == 96);
    secure::SecretArray<128> data;
    std::memcpy(data.expose_mut().data(), secret32.data(), 32);
    std::memcpy(data.expose_mut().data() + 32, pair.data, sizeof pair);
    return SecretKey(std::move(data), PlainPubKey::from_opaque(opaque_store(point)));
}

SecretKey SecretKey::generate() {
    // A random 32-byte value is no scalar once in 2^128; more failures than one mean a broken
    // generator.
    for (int attempt = 0; attempt < 3; ++attempt) {
        const auto secret = secure::random_secret<32>();
        Result<SecretKey> key = parse(secret.expose());
        if (key)
            return std::move(*key);
    }
    throw std::runtime_error("the random number generator gives no private key");
}

SecretKey SecretKey::clone() const {
    return SecretKey(m_data.clone(), m_public);
}

} // namespace keymeld::crypto
