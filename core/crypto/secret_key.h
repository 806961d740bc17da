// SecretKey: a secp256k1 private key with its public key.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/public_key.h"
#include "core/secure/secret.h"

namespace keymeld::crypto {

/// A scalar in 1..n-1 and its point, computed once (20 us) when the object is made. Move-only, in
/// locked memory.
class SecretKey {
  public:
    /// From 32 big-endian bytes. `Errc::InvalidScalar` for another length, zero, or a value not
    /// below the group order.
    static Result<SecretKey> parse(ByteView secret32);
    static SecretKey generate();

    SecretKey clone() const;

    const PlainPubKey& public_key() const { return m_public; }
    /// The 32 secret bytes, valid as long as the object: for sealing and for encryption to an
    /// enclave.
    std::span<const std::uint8_t, 32> expose() const& { return m_data.expose().first<32>(); }
    std::span<const std::uint8_t, 32> expose() const&& = delete;

    /// libsecp256k1's secp256k1_keypair (96 bytes, secret), for sources of core/crypto,
    /// core/bitcoin and core/musig.
    std::span<const std::uint8_t, 96> keypair() const& { return m_data.expose().last<96>(); }
    std::span<const std::uint8_t, 96> keypair() const&& = delete;

  private:
    SecretKey(secure::SecretArray<128> data, const PlainPubKey& public_key)
        : m_data(std::move(data)), m_public(public_key) {}

    secure::SecretArray<128> m_data; // scalar || keypair
    PlainPubKey m_public;
};

} // namespace keymeld::crypto
