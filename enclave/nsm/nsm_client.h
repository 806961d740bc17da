// Typed requests to a Nitro security module, real or simulated. Source: NSM API of
// aws-nitro-enclaves.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/attestation/pcr.h"
#include "enclave/nsm/nsm_transport.h"

namespace keymeld::nsm {

/// Answer of DescribeNSM.
struct NsmDescription {
    std::string digest; ///< "SHA384"
    std::string module_id;
    std::uint16_t max_pcrs = 0;
    std::set<attestation::PcrIndex> locked_pcrs;
    std::uint16_t version_major = 0;
    std::uint16_t version_minor = 0;
    std::uint16_t version_patch = 0;
};

/// Answer of DescribePCR.
struct PcrDescription {
    attestation::PcrValue value{};
    bool locked = false;
};

/// Every call gives `Errc::AttestationUnavailable` if the module reports an error (detail names it)
/// or answers something malformed, and what NsmTransport::process gives. [any-thread]
class NsmClient {
  public:
    explicit NsmClient(std::unique_ptr<NsmTransport> transport);

    /// A fresh signed document (COSE_Sign1) with these fields, all public. Sizes: public_key 1024,
    /// user_data and nonce 512 bytes, else `Errc::InvalidArgument`.
    Result<Bytes> attest(const std::optional<Bytes>& public_key,
                         const std::optional<Bytes>& user_data, const std::optional<Bytes>& nonce);

    /// Fills `out`, at most 4096 bytes, with random bytes of the module. Secret: give it memory of
    /// core/secure, and stir it into the generator before the first key is made.
    Status get_random(MutableByteView out);

    Result<NsmDescription> describe();
    Result<PcrDescription> describe_pcr(attestation::PcrIndex index);
    /// Extends an unlocked register (16 to 31 at start); returns its new content.
    Result<attestation::PcrValue> extend_pcr(attestation::PcrIndex index, ByteView data);
    Status lock_pcr(attestation::PcrIndex index);
    /// Locks registers 0 to count-1.
    Status lock_pcrs(std::uint8_t count);

  private:
    std::unique_ptr<NsmTransport> m_transport;
};

} // namespace keymeld::nsm
