#include "core/crypto/digest.h"

#include <utility>

#include "core/crypto/openssl_handles.h"

namespace keymeld::crypto {
namespace {

// Fetched once and kept: a fetch per call costs more than the hash.
template <std::size_t N> const EVP_MD* algorithm() {
    static const EVP_MD* const fetched =
        openssl_must_have(EVP_MD_fetch(nullptr, N == 32 ? "SHA256" : "SHA384", nullptr));
    return fetched;
}

template <std::size_t N> ByteArray<N> one_shot(std::initializer_list<ByteView> parts) {
    thread_local const OpenSslPtr<EVP_MD_CTX> context(openssl_must_have(EVP_MD_CTX_new()));
    openssl_must(EVP_DigestInit_ex2(context.get(), algorithm<N>(), nullptr) == 1);
    for (const ByteView part : parts)
        openssl_must(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
    ByteArray<N> out;
    openssl_must(EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1);
    return out;
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

template <std::size_t N> Digest<N>::Digest() : m_context(openssl_must_have(EVP_MD_CTX_new())) {
    if (EVP_DigestInit_ex2(m_context, algorithm<N>(), nullptr) != 1) {
        EVP_MD_CTX_free(m_context);
        openssl_must(false);
    }
}

template <std::size_t N>
Digest<N>::Digest(Digest&& other) noexcept : m_context(std::exchange(other.m_context, nullptr)) {}

template <std::size_t N> Digest<N>& Digest<N>::operator=(Digest&& other) noexcept {
    std::swap(m_context, other.m_context);
    return *this;
}

template <std::size_t N> Digest<N>::~Digest() {
    EVP_MD_CTX_free(m_context);
}

template <std::size_t N> Digest<N>& Digest<N>::update(ByteView data) {
    openssl_must(EVP_DigestUpdate(m_context, data.data(), data.size()) == 1);
    return *this;
}

template <std::size_t N> ByteArray<N> Digest<N>::finish() {
    ByteArray<N> out;
    openssl_must(EVP_DigestFinal_ex(m_context, out.data(), nullptr) == 1);
    openssl_must(EVP_DigestInit_ex2(m_context, algorithm<N>(), nullptr) == 1);
    return out;
}

template class Digest<32>;
template class Digest<48>;

} // namespace keymeld::crypto
