// ECIES as clients use it towards an enclave (rest-v1.md 5.1).
//
// Blob = ephemeral public key (33) || nonce (12) || ciphertext || tag (16). Key = HKDF-SHA256(no
// salt, ECDH output, "keymeld-ecies-encrypt", 32).
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/digest.h"
#include "core/crypto/secret_key.h"

namespace keymeld::crypto {

/// Bytes of a blob beyond its plaintext.
inline constexpr std::size_t kEciesOverhead = 33 + 12 + 16;

/// Encrypts to `recipient` with a fresh ephemeral key and nonce. `aad` is empty, or the text of
/// bitcoin/ecies_aad.h. `Errc::Internal` only on a defect. [any-thread]
Result<Bytes> ecies_encrypt(const PlainPubKey& recipient, ByteView plaintext, ByteView aad = {});

/// Opens a blob. `Errc::DecryptFailed` if it is shorter than 61 bytes, its point is invalid, or it
/// was encrypted to another key or with another AAD, without telling which. Costs an ECDH: bind and
/// check the length first. [any-thread]
Result<secure::SecretBytes> ecies_open(const SecretKey& key, ByteView blob, ByteView aad = {});

/// SHA-256 of the first 45 bytes: what an enclave records so that a blob serves one (session, user)
/// only. `Errc::DecryptFailed` for a blob shorter than 61 bytes.
Result<Hash256> ecies_binding_id(ByteView blob);

} // namespace keymeld::crypto
