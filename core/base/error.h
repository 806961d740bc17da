// The one error enumeration of KeyMeld and the value that carries it.
//
// Every mapping (HTTP, CK_RV, wire) is an exhaustive switch over Errc without a default, so that a new
// enumerator does not compile until each mapping has decided about it.
#pragma once

#include <cstdint>
#include <map>
#include <source_location>
#include <string>
#include <string_view>

namespace keymeld {

/// What went wrong. The numbers travel in the gateway-enclave protocol: append only, never renumber.
enum class Errc : std::uint32_t {
    // General
    Internal = 1,          ///< a defect of ours
    InvalidArgument = 2,   ///< a value breaks its rule
    Io = 3,                ///< file or socket failed
    DeadlineExceeded = 4,  ///< not done in time
    Cancelled = 5,         ///< given up, usually at shutdown
    Unsupported = 6,       ///< known, but not offered here

    // Cryptography
    DecryptFailed = 20,    ///< AEAD tag wrong, or not a ciphertext of the expected form
    InvalidPoint = 21,     ///< not a valid public key or nonce encoding
    InvalidScalar = 22,    ///< zero or not below the group order
    InvalidSignature = 23, ///< does not verify
    ContributionInvalid = 24, ///< a MuSig2 signer's contribution does not verify; detail names the signer
    AggregateAtInfinity = 25, ///< key aggregation or tweak gives the point at infinity

    // REST v1 (rest-v1.md section 2.5); each has exactly one HTTP status and type
    MalformedJson = 40,
    ValidationFailed = 41,
    WrongEnclave = 42,
    KeyMismatch = 43,
    MessageMismatch = 44,
    AuthMissing = 45,
    AuthMalformed = 46,
    AuthFailed = 47,
    NonceReplayed = 48,
    NotAParticipant = 49,
    BoundApprovalRequired = 50,
    ApprovalExpired = 51,
    NotPermitted = 52,
    NotFound = 53,
    RouteNotFound = 54,
    MethodNotAllowed = 55,
    DuplicateId = 56,
    AlreadyRegistered = 57,
    WrongState = 58,
    QuotaExceeded = 59,
    BlobReused = 60,
    BodyTooLarge = 61,
    UnsupportedMediaType = 62,
    RateLimited = 63,
    AttestationUnavailable = 64,
    EnclaveUnavailable = 65,
    Overloaded = 66,
    NotReady = 67,

    // Gateway-enclave protocol
    MalformedFrame = 80,
    FrameTooLarge = 81,
    ProtocolMismatch = 82, ///< other protocol version
    Disconnected = 83,

    // Enclave state
    StateUnknown = 100,    ///< the enclave does not hold this keygen: present its sealed state (Restore) and repeat
    StateRolledBack = 101, ///< sealed state older than what this enclave or a peer has seen
    SealBroken = 102,      ///< not sealed by this enclave key, damaged, or out of sequence
    PeerUnknown = 103,     ///< peer enclave was not introduced by an attestation document: introduce it and repeat
    AttemptVoid = 104,     ///< the signing attempt is over (restart, newer attempt): start a new attempt
    NonceConsumed = 105,   ///< this attempt has signed already, with other nonces
    RosterMismatch = 106,  ///< a registration, parameter or nonce is not the one a peer enclave vouched for
    AttestationRefused = 107, ///< an attestation document failed a check; detail names it

    // Start-up
    ConfigInvalid = 120,
    PluginMissing = 121,
    PluginIncompatible = 122,
    PluginWrongKind = 123,
    PluginFailed = 124,

    // Storage
    StorageConflict = 140, ///< a version or uniqueness check of a batch failed: nothing of it was applied
    StorageFailed = 141,
    StorageCorrupt = 142,
};

/// Stable snake_case name of a code; for the REST group it is the `type` of rest-v1.md section 2.5. [any-thread]
std::string_view errc_name(Errc code);

/// A failure as a value. `detail` is for humans and is built from constants and public ids only:
/// never a secret, a key, a plaintext, a header value or a path inside the machine that a remote party may see.
struct Error {
    Errc code = Errc::Internal;
    std::string detail;
    /// Machine-readable facts for `error.details` of a REST answer (pointer, parameter, status, ...). Public values only.
    std::map<std::string, std::string> facts = {};
    std::source_location where = std::source_location::current();

    Error(Errc c, std::string d, std::source_location w = std::source_location::current())
        : code(c), detail(std::move(d)), where(w) {}

    /// This error with one more fact.
    Error&& with(std::string key, std::string value) && {
        facts.insert_or_assign(std::move(key), std::move(value));
        return std::move(*this);
    }
};

} // namespace keymeld
