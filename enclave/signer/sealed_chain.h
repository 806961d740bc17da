// The sealed updates of one keygen session or single key: AES-256-GCM under a key of the enclave
// and the subject, versions without gaps, each delta tied to its predecessor
// (docs/decisions/0002-sealed-ledger.md).
//
// Blob = nonce (12) || ciphertext || tag (16); AAD = "keymeld-sealed-v1" || subject id || version
// (8) || kind (1) || SHA-256 of the predecessor's blob (zero for a snapshot, which replaces what
// was before). What a chain cannot show is that its tail is missing: that is why peers compare
// versions.
#pragma once

#include "core/base/uuid.h"
#include "core/crypto/aead.h"
#include "core/crypto/digest.h"

namespace keymeld::enclave {

/// For the gateway to keep. Opaque to it.
struct SealedBlob {
    std::uint64_t version = 0;
    bool snapshot = false;
    Bytes blob;
};

class SealedChain {
  public:
    /// `subject`: the id of the keygen session or single key; `key` must be of that kind and id
    /// (EnclaveIdentity::seal_key).
    SealedChain(const Uuid& subject, crypto::AeadKey key)
        : m_subject(subject), m_key(std::move(key)) {}

    /// Of the last update; 0 before the first.
    std::uint64_t version() const { return m_version; }
    std::size_t deltas() const { return m_deltas; }
    std::size_t delta_bytes() const { return m_delta_bytes; }

    SealedBlob seal_snapshot(ByteView plaintext);
    SealedBlob seal_delta(ByteView plaintext);
    /// Opens the next update of a chain that is given back, and advances to it. `Errc::SealBroken`
    /// if it was not sealed by this enclave for this session, was changed, or does not follow the
    /// one before.
    Result<secure::SecretBytes> open(std::uint64_t version, bool snapshot, ByteView blob);

    /// The whole state at the current version, to put aside inside the enclave; no update of the
    /// chain.
    Bytes park(ByteView plaintext) const;
    /// The inverse, into a chain that has no update yet.
    Result<secure::SecretBytes> unpark(std::uint64_t version, ByteView blob);

  private:
    enum class Kind : std::uint8_t { Snapshot = 1, Delta = 2, Parked = 3 };
    Bytes seal(Kind kind, std::uint64_t version, ByteView plaintext) const;
    Result<secure::SecretBytes> unseal(Kind kind, std::uint64_t version, ByteView blob) const;
    Bytes aad(Kind kind, std::uint64_t version) const;
    void advance(bool snapshot, std::uint64_t version, ByteView blob);

    Uuid m_subject;
    crypto::AeadKey m_key;
    std::uint64_t m_version = 0;
    crypto::Hash256 m_last{}; // of the last update's blob
    std::size_t m_deltas = 0; // since the last snapshot
    std::size_t m_delta_bytes = 0;
};

} // namespace keymeld::enclave
