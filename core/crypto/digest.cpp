// OpenSSL's generic interface frees and allocates its state for every message, which costs more than hashing a short one. The functions
// of the algorithms themselves are deprecated since OpenSSL 3.0 in its favour, but there in all of 3.x, and run the same code.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "core/crypto/digest.h"

#include <openssl/sha.h>

#include "core/crypto/openssl_handles.h"
#include "core/secure/cleanse.h"

namespace keymeld::crypto {
namespace {

template <std::size_t N> struct Algorithm;
template <> struct Algorithm<32> {
    using State = SHA256_CTX;
    static constexpr auto kInit = SHA256_Init;
    static constexpr auto kUpdate = SHA256_Update;
    static constexpr auto kFinal = SHA256_Final;
};
template <> struct Algorithm<48> {
    using State = SHA512_CTX;
    static constexpr auto kInit = SHA384_Init;
    static constexpr auto kUpdate = SHA384_Update;
    static constexpr auto kFinal = SHA384_Final;
};

template <std::size_t N> typename Algorithm<N>::State* state_in(std::uint8_t (&bytes)[N == 32 ? 112 : 216]) {
    using State = typename Algorithm<N>::State;
    static_assert(sizeof(State) <= sizeof(bytes) && alignof(State) <= alignof(std::uint64_t));
    return reinterpret_cast<State*>(bytes);
}

template <std::size_t N> ByteArray<N> one_shot(std::initializer_list<ByteView> parts) {
    Digest<N> digest;
    for (const ByteView part : parts)
        digest.update(part);
    return digest.finish();
}

} // namespace

Hash256 sha256(ByteView data) {
    return one_shot<32>({data});
}
Hash256 sha256(std::initializer_list<ByteView> parts) {
    return one_shot<32>(parts);
}
Hash384 sha384(ByteView data) {
    return one_shot<48>({data});
}
Hash384 sha384(std::initializer_list<ByteView> parts) {
    return one_shot<48>(parts);
}

template <std::size_t N> Digest<N>::Digest() {
    openssl_must(Algorithm<N>::kInit(state_in<N>(m_state)) == 1);
}

template <std::size_t N> Digest<N>::~Digest() {
    secure::cleanse(m_state);
}

template <std::size_t N> Digest<N>& Digest<N>::update(ByteView data) {
    openssl_must(Algorithm<N>::kUpdate(state_in<N>(m_state), data.data(), data.size()) == 1);
    return *this;
}

template <std::size_t N> ByteArray<N> Digest<N>::finish() {
    ByteArray<N> out;
    openssl_must(Algorithm<N>::kFinal(out.data(), state_in<N>(m_state)) == 1);
    openssl_must(Algorithm<N>::kInit(state_in<N>(m_state)) == 1);
    return out;
}

template class Digest<32>;
template class Digest<48>;

} // namespace keymeld::crypto
