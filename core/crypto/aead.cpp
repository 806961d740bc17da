#include "core/crypto/aead.h"

#include <stdexcept>

#include "core/crypto/openssl_handles.h"
#include "core/secure/cleanse.h"

namespace keymeld::crypto {
namespace {

enum class Direction : int { Open = 0, Seal = 1 };

EVP_CIPHER_CTX* thread_context() {
    static const EVP_CIPHER* const cipher =
        openssl_must_have(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
    thread_local const OpenSslPtr<EVP_CIPHER_CTX> context = [] {
        OpenSslPtr<EVP_CIPHER_CTX> made(openssl_must_have(EVP_CIPHER_CTX_new()));
        openssl_must(EVP_CipherInit_ex2(made.get(), cipher, nullptr, nullptr, 1, nullptr) == 1);
        return made;
    }();
    return context.get();
}

// The calling thread's context under one key, for the length of one call; afterwards no schedule of
// the key is left in it.
class KeyedContext {
  public:
    KeyedContext(Direction direction, const AeadKey& key, const AeadNonce& nonce)
        : m_context(thread_context()) {
        openssl_must(EVP_CipherInit_ex2(m_context, nullptr, key.expose().data(), nonce.data(),
                                        static_cast<int>(direction), nullptr) == 1);
    }
    ~KeyedContext() {
        static constexpr ByteArray<32> kNoKey{};
        EVP_CipherInit_ex2(m_context, nullptr, kNoKey.data(), nullptr, 1, nullptr);
    }
    KeyedContext(const KeyedContext&) = delete;
    KeyedContext& operator=(const KeyedContext&) = delete;

    void authenticate(ByteView aad) {
        int done = 0;
        if (!aad.empty())
            openssl_must(EVP_CipherUpdate(m_context, nullptr, &done, aad.data(), length_of(aad)) ==
                         1);
    }
    void process(ByteView in, std::uint8_t* out) {
        int done = 0;
        if (!in.empty())
            openssl_must(EVP_CipherUpdate(m_context, out, &done, in.data(), length_of(in)) == 1);
    }
    bool finish() {
        int done = 0;
        std::uint8_t none[kAeadTagSize];
        return EVP_CipherFinal_ex(m_context, none, &done) == 1;
    }
    void read_tag(std::uint8_t* tag) {
        openssl_must(EVP_CIPHER_CTX_ctrl(m_context, EVP_CTRL_AEAD_GET_TAG, kAeadTagSize, tag) == 1);
    }
    void expect_tag(const std::uint8_t* tag) {
        openssl_must(EVP_CIPHER_CTX_ctrl(m_context, EVP_CTRL_AEAD_SET_TAG, kAeadTagSize,
                                         const_cast<std::uint8_t*>(tag)) == 1);
    }

  private:
    static int length_of(ByteView bytes) {
        if (bytes.size() > kAeadMaxPlaintext)
            throw std::length_error("AEAD input size");
        return static_cast<int>(bytes.size());
    }

    EVP_CIPHER_CTX* m_context;
};

} // namespace

Bytes aes256gcm_seal(const AeadKey& key, const AeadNonce& nonce, ByteView plaintext, ByteView aad) {
    Bytes out(plaintext.size() + kAeadTagSize);
    KeyedContext context(Direction::Seal, key, nonce);
    context.authenticate(aad);
    context.process(plaintext, out.data());
    openssl_must(context.finish());
    context.read_tag(out.data() + plaintext.size());
    return out;
}

Result<secure::SecretBytes> aes256gcm_open(const AeadKey& key, const AeadNonce& nonce,
                                           ByteView ciphertext_and_tag, ByteView aad) {
    if (ciphertext_and_tag.size() < kAeadTagSize ||
        ciphertext_and_tag.size() - kAeadTagSize > kAeadMaxPlaintext)
        return fail(Errc::DecryptFailed, "ciphertext has an impossible length");
    const ByteView ciphertext = ciphertext_and_tag.first(ciphertext_and_tag.size() - kAeadTagSize);
    secure::SecretBytes out(ciphertext.size());
    KeyedContext context(Direction::Open, key, nonce);
    context.expect_tag(ciphertext_and_tag.data() + ciphertext.size());
    context.authenticate(aad);
    context.process(ciphertext, out.expose_mut().data());
    if (!context.finish())
        return fail(Errc::DecryptFailed, "ciphertext does not open with this key");
    return out;
}

} // namespace keymeld::crypto
