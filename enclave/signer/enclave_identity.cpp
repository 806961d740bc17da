#include "enclave/signer/enclave_identity.h"

#include "core/crypto/hkdf.h"

namespace keymeld::enclave {

EnclaveIdentity EnclaveIdentity::generate(std::uint64_t epoch, std::uint64_t generated_at) {
    return from(crypto::SecretKey::generate(), epoch, generated_at);
}

EnclaveIdentity EnclaveIdentity::from(crypto::SecretKey key, std::uint64_t epoch,
                                      std::uint64_t generated_at) {
    return {std::move(key), epoch, generated_at};
}

secure::SecretArray<32> EnclaveIdentity::seal_key(const KeygenId& keygen) const {
    constexpr std::string_view kLabel = "keymeld-seal-v1";
    Bytes info(kLabel.begin(), kLabel.end());
    info.insert(info.end(), keygen.bytes.begin(), keygen.bytes.end());
    return crypto::hkdf_sha256_key(m_key.expose(), info);
}

secure::SecretArray<32> EnclaveIdentity::mark_key() const {
    return crypto::hkdf_sha256_key(m_key.expose(), as_bytes("keymeld-marks-v1"));
}

} // namespace keymeld::enclave
