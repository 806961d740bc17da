// A self-signed certificate of a secp256k1 key whose private part is elsewhere: the body to be signed, then the whole.
//
// Source: RFC 5280 4.1, RFC 5480 (keys), RFC 5758 3.2 (ecdsa-with-SHA256). Version 3, no extensions: it says which key it is and no more.
#pragma once

#include <string_view>

#include "core/bitcoin/keys.h"

namespace keymeld::client {

/// DER of TBSCertificate with this common name (1..64 bytes UTF-8) as issuer and subject. Times in seconds since the Unix epoch, up to the year
/// 2049. `Errc::InvalidArgument`.
Result<Bytes> certificate_body(const bitcoin::PlainPubKey& key, std::string_view common_name, const ByteArray<16>& serial,
                               std::uint64_t not_before, std::uint64_t not_after);

/// DER of the certificate; `signature` is r || s over the SHA-256 of `body`.
Bytes certificate_of(ByteView body, const ByteArray<64>& signature);

} // namespace keymeld::client
