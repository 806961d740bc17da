// PeerChannel: authenticated encryption between two enclaves that have verified each other's
// attestation.
//
// Channel key = HKDF-SHA256(no salt, ECDH(my key, peer's key), "keymeld-peer-v1" || the two public
// keys in byte order, 32). Message key = HKDF-SHA256(no salt, channel key, "keymeld-peer-box-v1" ||
// sender's public key || context, 32). Box = nonce (12) || ciphertext || tag (16), AES-256-GCM. A
// box opens only at the other end, in its direction and under the context it was made for; it may
// be delivered twice, so contexts name the session, the attempt and the purpose.
#pragma once

#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/secret_key.h"

namespace keymeld::crypto {

class PeerChannel {
  public:
    /// Computes the shared key (an ECDH, 46 us); keep the object. `Errc::InvalidArgument` if the
    /// peer has our own key.
    static Result<PeerChannel> create(const SecretKey& mine, const PlainPubKey& peer);

    const PlainPubKey& peer() const { return m_peer; }

    /// Encrypts to the peer. [any-thread]
    Bytes seal(std::string_view context, ByteView plaintext, ByteView aad = {}) const;
    /// Opens a box of the peer's. `Errc::DecryptFailed` if it is not one for this context and AAD.
    /// [any-thread]
    Result<secure::SecretBytes> open(std::string_view context, ByteView box,
                                     ByteView aad = {}) const;

    /// A 32-byte MAC key for this pair and purpose, the same at both ends.
    secure::SecretArray<32> derive_key(std::string_view purpose) const;

  private:
    PeerChannel(secure::SecretArray<32> key, const PlainPubKey& mine, const PlainPubKey& peer)
        : m_key(std::move(key)), m_mine(mine), m_peer(peer) {}
    secure::SecretArray<32> message_key(const PlainPubKey& sender, std::string_view context) const;

    secure::SecretArray<32> m_key;
    PlainPubKey m_mine;
    PlainPubKey m_peer;
};

} // namespace keymeld::crypto
