// The key types of BIP-340 and BIP-327 under their Bitcoin names.
#pragma once

#include <compare>
#include <string>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/public_key.h"
#include "core/crypto/secret_key.h"

namespace keymeld::bitcoin {

using crypto::PlainPubKey;
using crypto::SecretKey;

/// BIP-340 x-only public key: 32 bytes that stand for the point with even y. Always valid.
class XOnlyPubKey {
  public:
    /// `Errc::InvalidPoint` unless the 32 bytes are the x-coordinate of a point. [any-thread]
    static Result<XOnlyPubKey> parse(ByteView x32);
    /// Drops the parity.
    static XOnlyPubKey from(const PlainPubKey& key);

    const ByteArray<32>& bytes() const { return m_bytes; }
    /// 64 lower-case hex characters.
    std::string hex() const;

    std::strong_ordering operator<=>(const XOnlyPubKey& other) const {
        return m_bytes <=> other.m_bytes;
    }
    bool operator==(const XOnlyPubKey& other) const { return m_bytes == other.m_bytes; }

    /// libsecp256k1's parsed form (secp256k1_xonly_pubkey), for sources of core/bitcoin and
    /// core/musig.
    const ByteArray<64>& opaque() const { return m_opaque; }
    static XOnlyPubKey from_opaque(const ByteArray<64>& secp256k1_xonly_pubkey);

  private:
    XOnlyPubKey() = default;

    ByteArray<32> m_bytes{};
    ByteArray<64> m_opaque{};
};

/// Whether 32 big-endian bytes are below the group order (a tweak may be zero, a private key not).
/// Not constant time: for public values.
bool is_below_group_order(const ByteArray<32>& scalar);

} // namespace keymeld::bitcoin
