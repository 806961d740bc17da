// Test images only: the root of a test PKI, which lies beside the signer in the second ramdisk and
// so is measured into PCR0 and PCR2. The AWS root cannot stand there (TrustAnchor::from_pem_file).
#include "enclave/image/image_trust.h"

namespace keymeld::enclave {

Result<attestation::TrustAnchor> image_trust_anchor() {
    return attestation::TrustAnchor::from_pem_file("/app/test-root.pem");
}

std::string image_kind() {
    return "nitro-test";
}

} // namespace keymeld::enclave
