// Randomness: OpenSSL's private DRBG, seeded by the kernel.
#pragma once

#include "core/base/bytes.h"
#include "core/secure/secret.h"

namespace keymeld::secure {

/// Fills `out` with random bytes fit for keys. Throws std::runtime_error if the generator fails,
/// which no caller can repair. [any-thread]
void random_bytes(MutableByteView out);

/// Public random bytes: nonces, ids.
template <std::size_t N> ByteArray<N> random_array() {
    ByteArray<N> out{};
    random_bytes(out);
    return out;
}

/// Secret random bytes.
template <std::size_t N> SecretArray<N> random_secret() {
    SecretArray<N> out;
    random_bytes(out.expose_mut());
    return out;
}

/// Mixes bytes of another source (the NSM device) into the generator. They are counted as worth
/// nothing, so a bad source does no harm.
void stir_random(ByteView bytes);

} // namespace keymeld::secure
