#include "core/crypto/ecies.h"

#include "core/crypto/aead.h"
#include "core/crypto/ecdh.h"
#include "core/crypto/hkdf.h"
#include "core/secure/random.h"

namespace keymeld::crypto {
namespace {

constexpr std::size_t kPointSize = 33;
constexpr std::size_t kHeaderSize = kPointSize + kAeadNonceSize;
constexpr std::string_view kInfo = "keymeld-ecies-encrypt";

Result<AeadKey> shared_key(const SecretKey& secret, const PlainPubKey& peer) {
    KEYMELD_TRY(const auto shared, ecdh(secret, peer));
    return hkdf_sha256_key(shared.expose(), as_bytes(kInfo));
}

Error does_not_open() {
    return fail(Errc::DecryptFailed, "ECIES blob does not open with this enclave's key");
}

} // namespace

Result<Bytes> ecies_encrypt(const PlainPubKey& recipient, ByteView plaintext, ByteView aad) {
    const SecretKey ephemeral = SecretKey::generate();
    KEYMELD_TRY(const AeadKey key, shared_key(ephemeral, recipient));
    const AeadNonce nonce = secure::random_array<kAeadNonceSize>();
    const Bytes sealed = aes256gcm_seal(key, nonce, plaintext, aad);
    const ByteArray<33>& point = ephemeral.public_key().bytes();
    Bytes blob;
    blob.reserve(kEciesOverhead + plaintext.size());
    blob.insert(blob.end(), point.begin(), point.end());
    blob.insert(blob.end(), nonce.begin(), nonce.end());
    blob.insert(blob.end(), sealed.begin(), sealed.end());
    return blob;
}

Result<secure::SecretBytes> ecies_open(const SecretKey& key, ByteView blob, ByteView aad) {
    if (blob.size() < kEciesOverhead)
        return does_not_open();
    const auto ephemeral = PlainPubKey::parse(blob.first(kPointSize));
    if (!ephemeral)
        return does_not_open();
    KEYMELD_TRY(const AeadKey aead_key, shared_key(key, *ephemeral));
    AeadNonce nonce;
    std::memcpy(nonce.data(), blob.data() + kPointSize, nonce.size());
    auto plaintext = aes256gcm_open(aead_key, nonce, blob.subspan(kHeaderSize), aad);
    if (!plaintext)
        return does_not_open();
    return plaintext;
}

Result<Hash256> ecies_binding_id(ByteView blob) {
    if (blob.size() < kEciesOverhead)
        return fail(Errc::DecryptFailed, "ECIES blob is too short");
    return sha256(blob.first(kHeaderSize));
}

} // namespace keymeld::crypto
