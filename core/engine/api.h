// What the REST layer asks the engine and what it answers: rest-v1.md section 4 as types, without JSON or HTTP.
//
// Everything here is public or ciphertext. `pointer` facts in errors are RFC 6901 pointers of the request body's fields.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/uuid.h"
#include "core/bitcoin/key_order.h"
#include "core/bitcoin/single_key.h"
#include "core/bitcoin/tweak_config.h"
#include "core/session/status.h"

namespace keymeld::engine {

// ---- Requests -------------------------------------------------------------------------------------------------------

struct CreateKeygen {
    KeygenId id;
    ByteArray<33> coordinator_pubkey{};    ///< compressed by the REST layer from 33 or 65 bytes
    Bytes coordinator_encrypted_private_key;
    std::uint32_t coordinator_enclave_id = 0;
    std::vector<UserId> expected_participants; ///< 2..max_participants, no duplicates (checked by the REST layer)
    std::uint64_t timeout_secs = 0;
    std::string encrypted_session_secret_hex; ///< as sent, for the echo; valid hex
    std::optional<std::uint32_t> max_signing_sessions;
    bitcoin::TweakConfig tweak;
    bitcoin::KeyOrder key_order = bitcoin::KeyOrder::UserId;
    bool ecies_aad = false;
};

struct RegisterParticipant {
    KeygenId keygen_id;
    UserId user_id;
    std::string session_header;            ///< raw value, syntax already checked
    Bytes encrypted_private_key;
    ByteArray<33> public_key{};
    bool require_signing_approval = false;
    std::optional<session::ApprovalPolicy> approval_policy;
};

struct CreateSigning {
    SigningId id;
    KeygenId keygen_id;
    std::string session_header;
    ByteArray<32> message_hash{};
    std::optional<std::string> encrypted_message;
    std::uint64_t timeout_secs = 0;
};

struct ApproveSigning {
    SigningId id;
    std::string signing_header;
    struct Bound {
        ByteArray<32> message_hash{};
        std::uint64_t expires_at = 0;
        ByteArray<64> signature{};
    };
    std::optional<Bound> bound;
};

// Single keys (rest-keys.md)

struct ImportKey {
    KeyId id;
    UserId user_id;
    std::string user_header;               ///< raw value, syntax already checked
    ByteArray<33> auth_pubkey{};
    Bytes encrypted_private_key;
    ByteArray<33> enclave_public_key{};
    bool ecies_aad = false;
    std::optional<std::string> label;
};

struct GenerateKey {
    KeyId id;
    UserId user_id;
    std::string user_header;
    ByteArray<33> auth_pubkey{};
    bitcoin::AllowedSignatures allowed;
    std::optional<std::string> label;
    Bytes encrypted_session_secret;        ///< empty: no tag is asked for
};

struct KeepKey {
    KeygenId keygen_id;
    UserId user_id;
    KeyId id;
    std::string session_header;
    std::string user_header;
    std::optional<std::string> label;
};

/// The key that a request is about, and the header of its owner.
struct KeyRequest {
    KeyId id;
    UserId user_id;
    std::string user_header;
};

struct SignSingle {
    KeyId key_id;
    UserId user_id;
    std::optional<SigningId> id;           ///< of the client, to make the request idempotent
    std::string user_header;
    std::string encrypted_message;         ///< as sent: the approval covers the text
    bitcoin::SignatureType type = bitcoin::SignatureType::Ecdsa;
    Bytes encrypted_session_secret;
    ByteArray<64> approval_signature{};
    std::uint64_t approval_timestamp = 0;
    bitcoin::TweakConfig tweak;
};

// ---- Answers --------------------------------------------------------------------------------------------------------

struct Failure {
    session::FailureType type = session::FailureType::Internal;
    std::string message;
};

struct CreateKeygenAnswer {
    KeygenId id;
    std::uint32_t coordinator_enclave_id = 0;
    std::uint32_t expected_participants = 0;
    std::uint64_t expires_at = 0;
    std::string session_secret_echo;
};

struct SlotsAnswer {
    struct Slot {
        UserId user_id;
        std::uint32_t enclave_id = 0;
        std::uint32_t signer_index = 0;
    };
    std::vector<Slot> available;
    std::uint32_t total = 0;
    std::uint32_t claimed = 0;
};

struct RegisterAnswer {
    KeygenId keygen_id;
    UserId user_id;
    std::uint32_t participants_registered = 0; ///< including this one
    std::uint32_t expected_participants = 0;
    std::uint32_t signer_index = 0;
    std::uint32_t assigned_enclave_id = 0;
    bool require_signing_approval = false;
    std::uint64_t enclave_key_epoch = 0;
};

struct KeygenView {
    KeygenId id;
    session::KeygenStatus status = session::KeygenStatus::CollectingParticipants;
    std::uint64_t event_seq = 0;
    std::uint32_t expected_participants = 0;
    std::uint32_t registered_participants = 0;
    std::optional<ByteArray<33>> aggregate_public_key;
    std::uint64_t expires_at = 0;          ///< 0 in terminal states
    struct Participant {
        UserId user_id;
        std::uint32_t signer_index = 0;
        std::optional<ByteArray<33>> public_key;
        std::uint32_t enclave_id = 0;
        bool require_signing_approval = false;
        bool registered = false;
    };
    std::vector<Participant> participants;
    std::uint32_t signer_index = 0;        ///< of the user whose header was verified
    std::uint64_t enclave_key_epoch = 0;
    bitcoin::TweakConfig tweak;
    bitcoin::KeyOrder key_order = bitcoin::KeyOrder::UserId;
    std::optional<ByteArray<33>> untweaked_public_key;
    std::optional<ByteArray<32>> aggregate_key_tag;
    std::optional<Failure> failure;
    std::uint64_t created_at = 0;
    std::uint64_t updated_at = 0;
};

struct CreateSigningAnswer {
    SigningId id;
    KeygenId keygen_id;
    std::uint32_t participants_count = 0;
    std::uint64_t expires_at = 0;
};

struct SigningView {
    SigningId id;
    KeygenId keygen_id;
    session::SigningStatus status = session::SigningStatus::CollectingParticipants;
    std::uint64_t event_seq = 0;
    std::uint32_t participants_registered = 0;
    std::uint32_t expected_participants = 0;
    std::optional<std::string> final_signature;
    std::uint64_t expires_at = 0;          ///< 0 when failed
    std::vector<UserId> participants_requiring_approval;
    std::vector<UserId> approved_participants;
    std::optional<Failure> failure;
    std::uint64_t created_at = 0;
    std::uint64_t updated_at = 0;
};

struct ReservedKey {
    KeyId id;
    UserId user_id;
    std::uint32_t enclave_id = 0;
    ByteArray<33> enclave_public_key{};
    std::uint64_t enclave_key_epoch = 0;
    std::uint64_t expires_at = 0;
};

struct KeyView {
    KeyId id;
    UserId user_id;
    std::uint32_t enclave_id = 0;
    std::uint64_t created_at = 0;
    ByteArray<33> public_key{};
    bitcoin::AllowedSignatures allowed;
    std::optional<std::string> label;
    std::optional<KeygenId> origin_keygen;
    std::optional<ByteArray<32>> tag;      ///< of a key just generated, where the client asked for one
};

struct SingleSigningView {
    SigningId id;
    KeyId key_id;
    UserId user_id;
    bitcoin::SignatureType type = bitcoin::SignatureType::Ecdsa;
    std::string encrypted_signature;
};

struct EnclaveView {
    std::uint32_t enclave_id = 0;
    bool healthy = false;
    bool reached = false;                  ///< ever; false: the fields below are empty
    ByteArray<33> public_key{};
    Bytes attestation_document;            ///< raw COSE_Sign1
    std::map<std::string, std::string> pcrs; ///< "PCR0" -> hex
    std::uint32_t active_sessions = 0;
    std::uint64_t uptime_seconds = 0;
    std::uint64_t key_epoch = 0;
    std::uint64_t key_generation_time = 0;
    std::uint64_t last_health_check = 0;
    std::uint64_t cpu_micros = 0;          ///< CPU time of the signer process at the last ping
    std::uint64_t command_micros = 0;      ///< of it, spent inside commands
    std::chrono::nanoseconds link_time{0}; ///< spent in this process on coding and writing for the enclave
};

struct AttestationAnswer {
    std::uint32_t enclave_id = 0;
    Bytes attestation_document;
    ByteArray<33> public_key{};
    std::uint64_t key_epoch = 0;
    std::map<std::string, std::string> pcrs;
    std::uint64_t timestamp = 0;
};

struct HealthView {
    std::uint32_t active_sessions = 0;
    std::uint32_t healthy_enclaves = 0;
    std::uint32_t total_enclaves = 0;
    std::uint64_t total_sessions = 0;
    std::uint64_t stored_active_sessions = 0;
    std::uint64_t total_participants = 0;
    std::optional<std::uint64_t> database_size_bytes;
};

struct ReadyView {
    bool ready = false;
    std::uint64_t checked_at = 0;
    struct Reason {
        std::uint32_t enclave_id = 0;
        std::string type;
        std::string message;
    };
    std::vector<Reason> reasons;
};

} // namespace keymeld::engine
