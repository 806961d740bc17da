// Owners of OpenSSL contexts, and the one way its failures are reported. For the sources of
// core/crypto only.
#pragma once

#include <memory>
#include <stdexcept>

#include <openssl/evp.h>

namespace keymeld::crypto {

struct OpenSslFree {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
template <class T> using OpenSslPtr = std::unique_ptr<T, OpenSslFree>;

/// For calls that fail only when memory runs out or OpenSSL is broken: nothing a caller could
/// handle.
inline void openssl_must(bool done) {
    if (!done)
        throw std::runtime_error("an OpenSSL primitive failed");
}
template <class T> T* openssl_must_have(T* handle) {
    openssl_must(handle != nullptr);
    return handle;
}

} // namespace keymeld::crypto
