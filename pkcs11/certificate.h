// The three fields of an X.509 certificate that PKCS#11 shows as attributes, cut out of its DER.
#pragma once

#include <optional>

#include "core/base/bytes.h"

namespace keymeld::pkcs11 {

/// DER of each field, tag and length included. Views of the certificate.
struct CertificateFields {
    ByteView serial_number;
    ByteView issuer;
    ByteView subject;
};

/// Nullopt if the bytes are no certificate.
std::optional<CertificateFields> certificate_fields(ByteView der);

} // namespace keymeld::pkcs11
