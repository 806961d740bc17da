// SHA-256 and SHA-384 (FIPS 180-4).
#pragma once

#include <initializer_list>

#include <cstdint>

#include "core/base/bytes.h"

namespace keymeld::crypto {

using Hash256 = ByteArray<32>;
using Hash384 = ByteArray<48>;

/// One-shot hash of the concatenation of the parts. [any-thread]
Hash256 sha256(ByteView data);
Hash256 sha256(std::initializer_list<ByteView> parts);
Hash384 sha384(ByteView data);
Hash384 sha384(std::initializer_list<ByteView> parts);

/// Incremental hash of N bytes (32: SHA-256, 48: SHA-384). finish() gives the digest and makes it
/// ready for a new message. The state is in the object, which wipes it at its end; a copy goes on
/// from the same state.
template <std::size_t N> class Digest {
  public:
    Digest();
    Digest(const Digest&) = default;
    Digest& operator=(const Digest&) = default;
    ~Digest();

    Digest& update(ByteView data);
    ByteArray<N> finish();

  private:
    alignas(std::uint64_t) std::uint8_t m_state[N == 32 ? 112 : 216];
};
extern template class Digest<32>;
extern template class Digest<48>;
using Sha256 = Digest<32>;
using Sha384 = Digest<48>;

} // namespace keymeld::crypto
