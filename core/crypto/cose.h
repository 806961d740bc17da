// COSE_Sign1 (RFC 9052 section 4.2) with ES384 (RFC 9053 section 2.1): ECDSA on P-384 with SHA-384.
//
// Verification works on the bytes as received: nothing is encoded again before the signature is
// checked.
#pragma once

#include <cstddef>
#include <functional>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/cbor.h"

namespace keymeld::cose {

/// r || s, each 48 bytes big-endian.
using Es384Signature = ByteArray<96>;
/// Uncompressed P-384 point (SEC 1 section 2.3.3): 04 || x || y.
using Es384PublicKey = ByteArray<97>;

/// The only protected header that is accepted or written: the map {1: -35} (alg: ES384).
inline constexpr ByteArray<4> kProtectedEs384 = {0xa1, 0x01, 0x38, 0x22};
/// Largest COSE_Sign1 that is read, bytes.
inline constexpr std::size_t kMaxSign1 = 16 * 1024;
/// What its CBOR may hold: the payload is a byte string, so its content does not count here.
inline constexpr cbor::Limits kSign1Limits = {
    .max_size = kMaxSign1, .max_depth = 3, .max_items = 16};

/// The parts of a COSE_Sign1, as views into the parsed bytes. Parsed is not verified.
struct Sign1 {
    ByteView protected_header;
    ByteView payload;
    ByteView signature;
    bool tagged = false;

    /// Reads array(4) [bstr protected, {} , bstr payload, bstr signature], with tag 18 or without.
    /// The unprotected map must be empty and the payload attached; the algorithm is not judged
    /// here. `Errc::InvalidArgument`. [any-thread]
    static Result<Sign1> parse(ByteView document);

    /// Protected header byte-equal to {1: -35} and a signature of 96 bytes, else
    /// `Errc::InvalidSignature`.
    Status require_es384() const;

    /// Verifies the signature, after require_es384(). `Errc::InvalidSignature` if it does not
    /// verify, `Errc::InvalidPoint` if the key is not on the curve. [any-thread]
    Status verify(const Es384PublicKey& key) const;
};

/// The bytes that are signed: ["Signature1", protected, h'', payload].
Bytes sig_structure(ByteView protected_header, ByteView payload);

/// Signs the given bytes (hashing them with SHA-384) with a P-384 key held by the callee.
using Es384Sign = std::function<Result<Es384Signature>(ByteView message)>;

/// An untagged COSE_Sign1 over `payload`. Fails only as `sign` fails. [any-thread]
Result<Bytes> sign1(ByteView payload, const Es384Sign& sign);

} // namespace keymeld::cose
