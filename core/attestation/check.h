// The checks that an attestation document must pass, by name, and the verdict on each.
#pragma once

#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace keymeld::attestation {

/// In the order in which they are made. verify() fails with the first one that did not pass.
enum class AttestationCheck {
    Encoding,         ///< strict CBOR, nothing after it, within the size limits
    CoseStructure,    ///< COSE_Sign1, tag 18 or none, empty unprotected header, attached payload
    Algorithm,        ///< protected header exactly {1: -35}, signature of 96 bytes
    PayloadEncoding,  ///< payload is a strict CBOR map of exactly the nine known keys, each of its
                      ///< type
    Digest,           ///< digest is "SHA384"
    ModuleId,         ///< module_id is not empty
    Timestamp,        ///< timestamp is above zero
    PcrTable,         ///< 1 to 32 registers, index 0 to 31, 48 bytes each
    CertificateSizes, ///< leaf and cabundle entries of 1 to 1024 bytes, 1 to 8 of them
    FieldSizes,       ///< public_key, user_data and nonce within their limits
    TrustAnchor,      ///< first cabundle entry is the pinned root
    ChainForm,  ///< each certificate is X.509 v3 DER with P-384 key, no unknown critical extension
    ChainNames, ///< each issuer name is the next subject name
    ChainSignatures,  ///< each is signed by the next, ECDSA with SHA-384
    ChainValidity,    ///< none expired, none not yet valid
    ChainConstraints, ///< CA flag critical and path length on CAs, leaf is no CA
    ChainKeyUsage,    ///< keyCertSign on CAs, digitalSignature on the leaf
    Signature,        ///< ES384 by the leaf key over the bytes as received
    DebugMode,        ///< PCR0 present and not zero
    PcrPolicy,        ///< registers match an entry of the allow-list
    Freshness,        ///< timestamp within the window around now
    Nonce,            ///< nonce is the challenge of this verifier
    PublicKey,        ///< public_key is the expected key
};

enum class Verdict {
    Passed,
    Failed,
    NotRequested, ///< the caller's Expectations do not ask for it
    NotReached,   ///< an earlier failure left nothing to check
};

/// snake_case name, as `attest verify --json` prints and Error.facts["check"] holds. [any-thread]
std::string_view check_name(AttestationCheck check);
/// What the check asks for, one line for humans.
std::string_view check_text(AttestationCheck check);
std::string_view verdict_name(Verdict verdict);
/// Every check, in order.
const std::vector<AttestationCheck>& all_checks();

/// `Errc::AttestationRefused` with the check's name in front of the detail and in facts["check"].
Error refuse(AttestationCheck check, std::string_view detail,
             std::source_location where = std::source_location::current());

/// The check that refuse() was made with; nullopt for every other error.
std::optional<AttestationCheck> failed_check(const Error& error);

} // namespace keymeld::attestation
