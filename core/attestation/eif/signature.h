// The signature section of an enclave image: a certificate, which the hypervisor measures into
// PCR8, and a COSE_Sign1 over PCR0 by its key.
//
// CBOR: [{"signing_certificate": [bytes of the PEM as integers], "signature": [bytes of the
// COSE_Sign1 as integers]}], in this order. The COSE payload is {"register_index": 0,
// "register_value": [48 integers]}. ECDSA is randomised: a signed file differs from build to build,
// its registers do not. Library keymeld_eif.
#pragma once

#include <string>

#include "core/attestation/issuer/signing_key.h"
#include "core/attestation/pcr.h"
#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::eif {

/// The section's content for an image with this PCR0. `certificate_pem` must be a P-384 certificate
/// of `key`: `Errc::InvalidArgument`. `Errc::Internal` if OpenSSL fails. [any-thread]
Result<Bytes> sign_image(const attestation::PcrValue& pcr0, std::string_view certificate_pem,
                         const attestation::SigningKey& key);

/// PCR8 that this section gives, after its signature over `pcr0` has been verified.
/// `Errc::InvalidArgument` for a malformed section, `Errc::InvalidSignature` for a signature that
/// is wrong or is over another register. Who the certificate belongs to is not judged here: PCR8 in
/// an allow-list does that. [any-thread]
Result<attestation::PcrValue> verify_signature(ByteView section, const attestation::PcrValue& pcr0);

} // namespace keymeld::eif
