// Which enclaves a client believes: attestation verified before any key leaves, without a switch that skips it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "appliance/client/rest.h"
#include "core/attestation/verifier.h"
#include "core/bitcoin/keys.h"

namespace keymeld::client {

/// An enclave key that a document just vouched for, fresh by a nonce of ours. The only thing this library encrypts a key to.
class VerifiedEnclave {
  public:
    std::uint32_t id() const { return m_id; }
    const bitcoin::PlainPubKey& key() const { return m_key; }
    std::uint64_t key_epoch() const { return m_epoch; }
    /// Entry of the allow-list that matched.
    const std::string& image() const { return m_image; }
    /// False: a simulator, which protects nothing.
    bool hardware() const { return m_hardware; }

  private:
    friend class Trust;
    VerifiedEnclave(std::uint32_t id, const bitcoin::PlainPubKey& key, std::uint64_t epoch, std::string image, bool hardware)
        : m_id(id), m_key(key), m_epoch(epoch), m_image(std::move(image)), m_hardware(hardware) {}

    std::uint32_t m_id;
    bitcoin::PlainPubKey m_key;
    std::uint64_t m_epoch;
    std::string m_image;
    bool m_hardware;
};

class Trust {
  public:
    explicit Trust(attestation::AttestationVerifier verifier) : m_verifier(std::move(verifier)) {}
    /// `anchor`: "aws" or a PEM file with a simulator's root; `pcrs`: allow-list file. `Errc::Io`, `Errc::ConfigInvalid`.
    static Result<Trust> load(std::string_view anchor, const std::filesystem::path& pcrs);

    /// Asks the enclave for a document over a fresh nonce and verifies it. `Errc::AttestationRefused` names the check that failed.
    Async<Result<VerifiedEnclave>> verify(RestClient& rest, std::uint32_t enclave_id) const;

    const attestation::AttestationVerifier& verifier() const { return m_verifier; }

  private:
    attestation::AttestationVerifier m_verifier;
};

} // namespace keymeld::client
