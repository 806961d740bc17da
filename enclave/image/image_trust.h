// The one root that a signer in an image believes its peers under. Each program links one answer:
// trust_aws.cpp (keymeld-enclave-nitro: what goes into production images) or trust_test_root.cpp
// (keymeld-enclave-nitro-test). No option, file or variable makes the first behave as the second.
#pragma once

#include <string>

#include "core/attestation/trust_anchor.h"

namespace keymeld::enclave {

/// `Errc::Io`, `Errc::ConfigInvalid`: test images only. [startup]
Result<attestation::TrustAnchor> image_trust_anchor();

/// One word for the log: "nitro" or "nitro-test".
std::string image_kind();

} // namespace keymeld::enclave
