// PartialSignature: one signer's share of a signature, 32 bytes; public to the signers of the
// session.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::musig {

class PartialSignature {
  public:
    /// `Errc::InvalidScalar` unless 32 bytes below the group order. [any-thread]
    static Result<PartialSignature> parse(ByteView bytes32);
    const ByteArray<32>& bytes() const { return m_bytes; }
    bool operator==(const PartialSignature& other) const { return m_bytes == other.m_bytes; }

    /// libsecp256k1's secp256k1_musig_partial_sig, for sources of core/musig.
    const ByteArray<36>& opaque() const { return m_opaque; }
    static PartialSignature from_opaque(const ByteArray<36>& secp256k1_musig_partial_sig);

  private:
    PartialSignature() = default;
    ByteArray<32> m_bytes{};
    ByteArray<36> m_opaque{};
};

} // namespace keymeld::musig
