// PlainPubKey: a secp256k1 public key, compressed to 33 bytes (BIP-327 "plain public key").
#pragma once

#include <compare>
#include <functional>
#include <string>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::crypto {

/// Always a valid point. Keeps the parsed form beside the 33 bytes, so that using it costs no
/// second parse (4.6 us).
class PlainPubKey {
  public:
    /// 33-byte compressed (02, 03) or 65-byte uncompressed (04) SEC 1 form. `Errc::InvalidPoint`
    /// for anything else, the hybrid forms 06 and 07 too. [any-thread]
    static Result<PlainPubKey> parse(ByteView sec1);

    const ByteArray<33>& bytes() const { return m_bytes; }
    /// The 32-byte x-coordinate.
    ByteView x_coordinate() const { return ByteView(m_bytes).subspan(1); }
    bool has_even_y() const { return m_bytes[0] == 2; }
    /// 66 lower-case hex characters.
    std::string hex() const;
    /// 04 || x || y.
    ByteArray<65> uncompressed() const;

    /// By the 33 bytes: the order of BIP-327 KeySort.
    std::strong_ordering operator<=>(const PlainPubKey& other) const {
        return m_bytes <=> other.m_bytes;
    }
    bool operator==(const PlainPubKey& other) const { return m_bytes == other.m_bytes; }

    /// libsecp256k1's parsed form (secp256k1_pubkey), for sources of core/crypto, core/bitcoin and
    /// core/musig.
    const ByteArray<64>& opaque() const { return m_opaque; }
    static PlainPubKey from_opaque(const ByteArray<64>& secp256k1_pubkey);

  private:
    PlainPubKey() = default;

    ByteArray<33> m_bytes{};
    ByteArray<64> m_opaque{};
};

} // namespace keymeld::crypto

template <> struct std::hash<keymeld::crypto::PlainPubKey> {
    std::size_t operator()(const keymeld::crypto::PlainPubKey& key) const noexcept;
};
