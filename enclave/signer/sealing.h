// How an enclave's key survives the enclave's restart.
//
// Chosen by whoever starts the program or builds its image, which is measured; nothing that the
// gateway says changes it (docs/decisions/0007-peer-sealing.md). A provider that can reach what it
// needs by itself, as a file, gives the key back in begin(). One that needs others, as peers or a
// service that the gateway relays to, begins with a new key, says recovers(), and the key comes
// later by a command that ends as TakeOver does.
#pragma once

#include <memory>
#include <string_view>

#include "core/base/result.h"
#include "enclave/signer/enclave_identity.h"

namespace keymeld::enclave {

class SealingProvider {
  public:
    virtual ~SealingProvider() = default;
    /// One word, for Hello and the log.
    virtual std::string_view name() const = 0;
    /// The identity to start with; the module's randomness was stirred in before. [startup]
    virtual Result<EnclaveIdentity> begin() = 0;
    /// Whether the identity of begin() may be replaced by the one that this enclave had before.
    virtual bool recovers() const { return false; }
};

/// Every start has a new key.
class NoSealing final : public SealingProvider {
  public:
    std::string_view name() const override { return "none"; }
    Result<EnclaveIdentity> begin() override;
};

/// Enclaves of the same image keep each other's keys in memory and hand them over.
class PeerSealing final : public SealingProvider {
  public:
    std::string_view name() const override { return "peer"; }
    Result<EnclaveIdentity> begin() override;
    bool recovers() const override { return true; }
};

/// "none" or "peer"; `Errc::ConfigInvalid` for anything else.
Result<std::unique_ptr<SealingProvider>> sealing_of(std::string_view name);

/// An identity in the form in which it goes from enclave to enclave, always inside a box: version
/// (1), key (32), epoch, generation time, incarnation (8 each).
secure::SecretBytes encode_identity(const EnclaveIdentity& identity);
/// `Errc::DecryptFailed` for any other bytes: whoever made the box runs our image, so they are
/// ours.
Result<EnclaveIdentity> decode_identity(ByteView bytes);

} // namespace keymeld::enclave
