// The libsecp256k1 context of the calling thread, and the library's complaints as values instead of
// an abort. For the sources of core/crypto, core/bitcoin and core/musig only.
#pragma once

#include <cstring>

#include "core/base/bytes.h"

struct secp256k1_context_struct;

namespace keymeld::crypto {

/// One context per thread in locked memory, blinded with fresh randomness when the thread first
/// needs it. Valid for the life of the thread. Its illegal-argument and error callbacks never
/// abort: they make misuse_reported() true. Asking for the context begins a new call: it clears the
/// mark.
const secp256k1_context_struct* secp_context();

/// Whether libsecp256k1 refused an argument of this thread's last call as illegal (the call then
/// returned 0); clears the mark. A caller that sees true gives `Errc::Internal`, for state is
/// checked before the library is called.
bool misuse_reported();

/// The library's opaque structures are fixed-size byte arrays that may be copied; our headers hold
/// them as such.
template <class T, std::size_t N> T opaque_load(const ByteArray<N>& bytes) {
    static_assert(sizeof(T) == N);
    T out;
    std::memcpy(&out, bytes.data(), N);
    return out;
}
template <class T> ByteArray<sizeof(T)> opaque_store(const T& value) {
    ByteArray<sizeof(T)> out;
    std::memcpy(out.data(), &value, sizeof(T));
    return out;
}

} // namespace keymeld::crypto
