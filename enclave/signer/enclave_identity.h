// The enclave's own key: what clients encrypt to, what peers know it by, and what everything sealed
// hangs on.
#pragma once

#include <cstdint>

#include "core/base/uuid.h"
#include "core/crypto/secret_key.h"

namespace keymeld::enclave {

/// Made inside the enclave after the NSM's randomness was stirred in, and bound into its
/// attestation documents. Whoever gets the secret can open every client's blob, impersonate the
/// enclave to its peers and read its sealed state. Immutable; move-only.
class EnclaveIdentity {
  public:
    /// `epoch` from 1: one more with each new key of the same enclave. `generated_at` in seconds
    /// since the Unix epoch.
    static EnclaveIdentity generate(std::uint64_t epoch, std::uint64_t generated_at);
    static EnclaveIdentity from(crypto::SecretKey key, std::uint64_t epoch,
                                std::uint64_t generated_at, std::uint64_t incarnation = 0);
    /// The same key in a later life of its enclave.
    EnclaveIdentity reincarnated(std::uint64_t incarnation) const;

    const crypto::SecretKey& key() const { return m_key; }
    const crypto::PlainPubKey& public_key() const { return m_key.public_key(); }
    std::uint64_t epoch() const { return m_epoch; }
    std::uint64_t generated_at() const { return m_generated_at; }
    /// With peer sealing from 1, one more each time that a peer gave the key to a restarted enclave;
    /// else 0, and then two lives of an enclave are not told apart.
    std::uint64_t incarnation() const { return m_incarnation; }

    /// Key for the sealed state of one keygen session: HKDF(secret, "keymeld-seal-v1" || keygen
    /// id).
    secure::SecretArray<32> seal_key(const KeygenId& keygen) const;
    /// The same of one single key, with "keymeld-seal-key-v1": state of one kind is never opened as
    /// the other.
    secure::SecretArray<32> seal_key(const KeyId& key) const;
    /// Key of Marker: HKDF(secret, "keymeld-marks-v1").
    secure::SecretArray<32> mark_key() const;

  private:
    EnclaveIdentity(crypto::SecretKey key, std::uint64_t epoch, std::uint64_t generated_at,
                    std::uint64_t incarnation)
        : m_key(std::move(key)), m_epoch(epoch), m_generated_at(generated_at),
          m_incarnation(incarnation) {}

    crypto::SecretKey m_key;
    std::uint64_t m_epoch;
    std::uint64_t m_generated_at;
    std::uint64_t m_incarnation;
};

} // namespace keymeld::enclave
