#include "enclave/image/image_trust.h"

namespace keymeld::enclave {

Result<attestation::TrustAnchor> image_trust_anchor() {
    return attestation::TrustAnchor::aws();
}

std::string image_kind() {
    return "nitro";
}

} // namespace keymeld::enclave
