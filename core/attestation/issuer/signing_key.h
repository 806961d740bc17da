// P-384 keys that sign: certificates and attestation documents of the simulator, signatures of
// enclave images. Library keymeld_attestation_issuer: no enclave image links it.
#pragma once

#include <filesystem>
#include <memory>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/cose.h"

struct evp_pkey_st;

namespace keymeld::attestation {

/// A private key in OpenSSL's memory, wiped when the last copy of this handle goes. Thread rule:
/// immutable, any thread.
class SigningKey {
  public:
    /// A new key. `Errc::Internal` if OpenSSL fails.
    static Result<SigningKey> generate();
    /// Reads an unencrypted PEM file. `Errc::Io`; `Errc::ConfigInvalid` if it holds no P-384 key,
    /// or if group or others have any right on the file. [startup]
    static Result<SigningKey> load(const std::filesystem::path& path);
    /// Writes a new PEM file with mode 0600; an existing file is not touched. `Errc::Io`. [startup]
    Status save(const std::filesystem::path& path) const;

    cose::Es384PublicKey public_key() const;
    /// ES384 over `message`. `Errc::Internal` if OpenSSL fails.
    Result<cose::Es384Signature> sign(ByteView message) const;
    /// The same as a function that keeps the key alive.
    cose::Es384Sign signer() const;

    /// OpenSSL's object, for the certificate issuer; owned by this handle.
    evp_pkey_st* native() const { return m_key.get(); }

  private:
    explicit SigningKey(std::shared_ptr<evp_pkey_st> key) : m_key(std::move(key)) {}
    std::shared_ptr<evp_pkey_st> m_key;
};

} // namespace keymeld::attestation
