#include "enclave/signer/enclave_identity.h"

#include "core/crypto/hkdf.h"

namespace keymeld::enclave {

EnclaveIdentity EnclaveIdentity::generate(std::uint64_t epoch, std::uint64_t generated_at) {
    return from(crypto::SecretKey::generate(), epoch, generated_at);
}

EnclaveIdentity EnclaveIdentity::from(crypto::SecretKey key, std::uint64_t epoch,
                                      std::uint64_t generated_at, std::uint64_t incarnation) {
    return {std::move(key), epoch, generated_at, incarnation};
}

EnclaveIdentity EnclaveIdentity::reincarnated(std::uint64_t incarnation) const {
    return {m_key.clone(), m_epoch, m_generated_at, incarnation};
}

namespace {

secure::SecretArray<32> labelled_key(const crypto::SecretKey& key, std::string_view label,
                                     const Uuid& id) {
    Bytes info(label.begin(), label.end());
    info.insert(info.end(), id.bytes.begin(), id.bytes.end());
    return crypto::hkdf_sha256_key(key.expose(), info);
}

} // namespace

secure::SecretArray<32> EnclaveIdentity::seal_key(const KeygenId& keygen) const {
    return labelled_key(m_key, "keymeld-seal-v1", keygen);
}

secure::SecretArray<32> EnclaveIdentity::seal_key(const KeyId& key) const {
    return labelled_key(m_key, "keymeld-seal-key-v1", key);
}

secure::SecretArray<32> EnclaveIdentity::mark_key() const {
    return crypto::hkdf_sha256_key(m_key.expose(), as_bytes("keymeld-marks-v1"));
}

} // namespace keymeld::enclave
