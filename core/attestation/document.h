// The attestation document of a Nitro security module, as parsed: form checked, nothing trusted
// yet. Source: AWS Nitro Enclaves NSM API, "Attestation process"; field names are the module's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/attestation/check.h"
#include "core/attestation/pcr.h"
#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/cose.h"

namespace keymeld::attestation {

inline constexpr std::size_t kMaxCertificate = 1024; ///< bytes of DER, leaf and each cabundle entry
inline constexpr std::size_t kMaxCabundle = 8;       ///< certificates; genuine documents have four
inline constexpr std::size_t kMaxModuleId = 256;
inline constexpr std::size_t kMaxPublicKey = 1024;
inline constexpr std::size_t kMaxUserData = 512;
inline constexpr std::size_t kMaxNonce = 512;

/// The payload of an attestation document. A value of this type says nothing about who made it:
/// only a VerifiedAttestation does (verifier.h). All fields are public.
struct AttestationDocument {
    std::string module_id;
    std::uint64_t timestamp_ms = 0; ///< ms since the Unix epoch, by the module's clock
    PcrSet pcrs;
    Bytes certificate;           ///< DER of the leaf
    std::vector<Bytes> cabundle; ///< DER, root first
    std::optional<Bytes> public_key;
    std::optional<Bytes> user_data;
    std::optional<Bytes> nonce;

    /// Reads a COSE_Sign1 attestation document without verifying it: for showing what an enclave
    /// claims. Never decide anything by the result. `Errc::AttestationRefused` naming the check of
    /// its form that failed. [any-thread]
    static Result<AttestationDocument> parse_unverified(ByteView cose_sign1);

    /// Reads the payload map alone: the module's nine fields of their types, digest "SHA384", the
    /// sizes above, 1 to 32 registers of 48 bytes. public_key, user_data and nonce may be null or
    /// missing. The map may have indefinite length. Fields that are not known are ignored: the
    /// module signs them and later modules may add some. `Errc::AttestationRefused`. [any-thread]
    static Result<AttestationDocument> parse_payload(ByteView payload);

    /// The payload map as the module writes it (the software NSM signs this).
    Bytes encode_payload() const;
};

/// Splits the document into its COSE parts, as views into it. `Errc::AttestationRefused` with check
/// encoding or cose_structure. [any-thread]
Result<cose::Sign1> parse_envelope(ByteView cose_sign1);

} // namespace keymeld::attestation
