#include "core/crypto/hmac.h"

#include <utility>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "core/crypto/openssl_handles.h"

namespace keymeld::crypto {
namespace {

EVP_MAC_CTX* new_context() {
    static EVP_MAC* const hmac = openssl_must_have(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    OpenSslPtr<EVP_MAC_CTX> context(openssl_must_have(EVP_MAC_CTX_new(hmac)));
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    openssl_must(EVP_MAC_CTX_set_params(context.get(), params) == 1);
    return context.release();
}

// HMAC pads a key with zeros, so one zero byte is the empty key; OpenSSL takes an empty one for
// "the key as before".
constexpr std::uint8_t kEmptyKey[1] = {0};

void set_key(EVP_MAC_CTX* context, ByteView key) {
    const ByteView used = key.empty() ? ByteView(kEmptyKey) : key;
    openssl_must(EVP_MAC_init(context, used.data(), used.size(), nullptr) == 1);
}

Hash256 finish(EVP_MAC_CTX* context, std::initializer_list<ByteView> parts) {
    for (const ByteView part : parts)
        openssl_must(EVP_MAC_update(context, part.data(), part.size()) == 1);
    Hash256 out;
    std::size_t length = 0;
    openssl_must(EVP_MAC_final(context, out.data(), &length, out.size()) == 1 &&
                 length == out.size());
    return out;
}

} // namespace

Hash256 hmac_sha256(ByteView key, std::initializer_list<ByteView> parts) {
    thread_local const OpenSslPtr<EVP_MAC_CTX> context(new_context());
    set_key(context.get(), key);
    const Hash256 out = finish(context.get(), parts);
    set_key(context.get(), {}); // leave no key behind in the context
    return out;
}

HmacKey::HmacKey(ByteView key) : m_context(new_context()) {
    try {
        set_key(m_context, key);
    } catch (...) {
        EVP_MAC_CTX_free(m_context);
        throw;
    }
}

HmacKey::HmacKey(HmacKey&& other) noexcept : m_context(std::exchange(other.m_context, nullptr)) {}

HmacKey& HmacKey::operator=(HmacKey&& other) noexcept {
    std::swap(m_context, other.m_context);
    return *this;
}

HmacKey::~HmacKey() {
    EVP_MAC_CTX_free(m_context);
}

Hash256 HmacKey::mac(std::initializer_list<ByteView> parts) {
    openssl_must(EVP_MAC_init(m_context, nullptr, 0, nullptr) == 1); // the same key again
    return finish(m_context, parts);
}

} // namespace keymeld::crypto
