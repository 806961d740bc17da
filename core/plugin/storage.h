// Storage plugin: the appliance's durable memory, typed by domain.
//
// Holds ids, public keys, ciphertexts, sealed states, evidence and timing; never a plaintext secret. Writes are batches: all of a batch
// is applied or nothing, and the callback comes when it is durable. Concurrent batches may share one commit but are applied in the order
// of submission. Reads see every batch whose callback has been called. Callbacks run on a thread of the plugin and must not block.
//
// Records carry a version for compare-and-swap, and unfinished sessions are claimed with a lease, so that a server database with several
// appliances on it fits behind the same interface.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/uuid.h"
#include "core/bitcoin/key_order.h"
#include "core/bitcoin/single_key.h"
#include "core/bitcoin/tweak_config.h"
#include "core/plugin/options.h"
#include "core/session/status.h"

namespace keymeld::plugin {

using Hash32 = ByteArray<32>;

/// Why a session failed (rest-v1.md 6.3).
struct FailureRecord {
    session::FailureType type = session::FailureType::Internal;
    std::string message; ///< for humans, public
};

struct KeygenRecord {
    KeygenId id;
    std::uint64_t version = 0;      ///< set by storage: 1 when inserted, one more with each update
    session::KeygenStatus status = session::KeygenStatus::CollectingParticipants;
    std::uint64_t created_at = 0;   ///< Unix seconds, as all times here
    std::uint64_t updated_at = 0;
    std::uint64_t expires_at = 0;   ///< as created; the REST answer shows 0 in terminal states
    std::uint64_t event_seq = 0;    ///< rises with every visible change
    Hash32 request_digest{};        ///< of the decoded create request after defaults, for idempotent replay
    std::uint32_t coordinator_enclave_id = 0;
    std::string encrypted_session_secret; ///< hex as the client sent it; echoed on replay
    bitcoin::TweakConfig tweak;
    bitcoin::KeyOrder key_order = bitcoin::KeyOrder::UserId;
    std::uint32_t max_signing_sessions = 0;
    bool ecies_aad = false;
    std::optional<ByteArray<33>> aggregate_public_key; ///< tweaked; set when completed, as the next two
    std::optional<ByteArray<33>> untweaked_public_key;
    std::optional<Hash32> aggregate_key_tag;
    std::optional<FailureRecord> failure;
};

struct ParticipantRecord {
    UserId user_id;
    std::uint32_t signer_index = 0;
    std::uint32_t enclave_id = 0;
    ByteArray<33> enclave_public_key{}; ///< key of that enclave when the session was created
    std::uint64_t enclave_key_epoch = 0;
    // Set by registration:
    bool registered = false;
    ByteArray<33> public_key{};
    session::ApprovalPolicy policy = session::ApprovalPolicy::None;
    Hash32 registration_tag{};      ///< the enclave's voucher for its peers
    std::uint32_t registered_rank = 0; ///< 1 for the first that registered
    Hash32 request_digest{};
};

struct SigningRecord {
    SigningId id;
    KeygenId keygen_id;
    std::uint64_t version = 0;
    session::SigningStatus status = session::SigningStatus::CollectingParticipants;
    std::uint32_t attempt = 0;      ///< last attempt number used
    std::uint64_t created_at = 0;
    std::uint64_t updated_at = 0;
    std::uint64_t expires_at = 0;
    std::uint64_t event_seq = 0;
    Hash32 request_digest{};
    std::string session_header;     ///< evidence: X-Session-HMAC of the create request
    Hash32 message_hash{};
    std::optional<std::string> encrypted_message;
    std::string final_signature;    ///< hex-JSON, encrypted under the session secret; empty until completed
    std::optional<FailureRecord> failure;
};

struct ApprovalRecord {
    SigningId signing_id;
    UserId user_id;
    std::string signing_header;     ///< evidence: X-Signing-HMAC of the approval
    struct Bound {
        Hash32 message_hash{};
        std::uint64_t expires_at = 0;
        ByteArray<64> signature{};
    };
    std::optional<Bound> bound;
};

/// One sealed state update of one enclave for one keygen (SealedUpdate of the protocol). Opaque.
struct SealedRecord {
    KeygenId keygen_id;
    std::uint32_t enclave_id = 0;
    std::uint64_t version = 0;
    bool snapshot = false;          ///< replaces every earlier record of (keygen_id, enclave_id)
    Bytes blob;
};

/// A single key (rest-keys.md): first a reserved id, then a key that an enclave holds.
struct KeyRecord {
    KeyId id;
    UserId user_id;
    std::uint32_t enclave_id = 0;
    ByteArray<33> enclave_public_key{}; ///< when the id was reserved
    std::uint64_t enclave_key_epoch = 0;
    std::uint64_t created_at = 0;
    std::uint64_t expires_at = 0;   ///< of the reservation
    // Set by HoldKey:
    bool held = false;
    ByteArray<33> public_key{};
    ByteArray<33> auth_pubkey{};
    bitcoin::AllowedSignatures allowed;
    std::optional<std::string> label;
    std::optional<KeygenId> origin_keygen;
    Hash32 request_digest{};        ///< of the request that made it, for idempotent replay
};

/// A signature by a single key. There is no unfinished one.
struct KeySigningRecord {
    SigningId id;
    KeyId key_id;
    std::uint64_t created_at = 0;
    bitcoin::SignatureType type = bitcoin::SignatureType::Ecdsa;
    Hash32 request_digest{};
    std::string encrypted_signature; ///< as the enclave made it
};

/// One sealed state update of a single key. Opaque.
struct KeySealedRecord {
    KeyId key_id;
    std::uint64_t version = 0;
    bool snapshot = false;          ///< replaces every earlier record of the key
    Bytes blob;
};

// ---- Mutations ------------------------------------------------------------------------------------------------------
// A mutation that names a session or a single key that is not there is a StorageConflict, except for the Delete
// mutations: what is gone is gone.

/// Inserts; StorageConflict if the id exists in any keygen, signing or retired id.
struct InsertKeygen { KeygenRecord record; std::vector<ParticipantRecord> participants; };
/// Writes status, updated_at, event_seq, the three key fields and failure; all else is fixed at creation. StorageConflict unless the
/// stored version is `record.version`; afterwards it is one more.
struct UpdateKeygen { KeygenRecord record; };
/// Writes the fields that registration sets. StorageConflict unless signer_index and user_id belong together in that keygen.
struct UpdateParticipant { KeygenId keygen_id; ParticipantRecord record; };
/// As InsertKeygen; StorageConflict also if the keygen is not there.
struct InsertSigning { SigningRecord record; };
/// Writes status, attempt, updated_at, event_seq, final_signature and failure; version as UpdateKeygen.
struct UpdateSigning { SigningRecord record; };
/// Inserts or replaces the approval of (signing_id, user_id).
struct PutApproval { ApprovalRecord record; };
struct DeleteApproval { SigningId signing_id; UserId user_id; };
/// StorageConflict if this version is there already. Updates of one (keygen, enclave) may come out of order: one that is older than the
/// newest snapshot is covered by it and left out.
struct PutSealed { SealedRecord record; };
/// StorageConflict if the key is there already, under whatever keygen. `key` = hash over purpose, scope and nonce. `signer` is set for
/// nonces of X-Signing-HMAC, whose scope is (user id, registered public key) across sessions: such a nonce outlives the keygen as long as
/// another one has the same user registered with the same public key (rest-v1.md 3.1). Any other nonce is dropped with `keygen_id`.
struct UseNonce { Hash32 key{}; KeygenId keygen_id; std::optional<UserId> signer = std::nullopt; };
/// Remembers who used an ECIES blob first, beyond the life of the session. No error if the same is there; StorageConflict if another.
/// A single key stands here under its own id.
struct BindBlob { Hash32 binding_id{}; KeygenId keygen_id; UserId user_id; };
/// Removes the session and all that belongs to it (for a keygen: its signings too) and retires the ids for ever.
struct DeleteKeygen { KeygenId id; };
struct DeleteSigning { SigningId id; };

// Single keys.
/// A reservation. StorageConflict if the id is there.
struct InsertKey { KeyRecord record; };
/// Writes created_at, the three fields of the enclave, and those that the making of the key sets. StorageConflict unless it is reserved and not held.
struct HoldKey { KeyRecord record; };
/// Removes the key, its sealed state, signatures and nonces.
struct DeleteKey { KeyId id; };
/// Removes a reservation; a key that is held meanwhile stays.
struct DropReservation { KeyId id; };
/// As PutSealed.
struct PutKeySealed { KeySealedRecord record; };
/// StorageConflict if the nonce is there already. It is dropped with the key.
struct UseKeyNonce { Hash32 key{}; KeyId key_id; };
/// StorageConflict if the id is there, or if the key is not.
struct InsertKeySigning { KeySigningRecord record; };
struct DeleteKeySigning { SigningId id; };

using Mutation = std::variant<InsertKeygen, UpdateKeygen, UpdateParticipant, InsertSigning, UpdateSigning, PutApproval, DeleteApproval, PutSealed, UseNonce,
                              BindBlob, DeleteKeygen, DeleteSigning, InsertKey, HoldKey, DeleteKey, DropReservation, PutKeySealed, UseKeyNonce, InsertKeySigning,
                              DeleteKeySigning>;

// ---- Reads ----------------------------------------------------------------------------------------------------------

/// Several questions in one trip; each is answered by the field of the same name in ReadAnswer.
struct ReadBatch {
    std::optional<KeygenId> keygen = {};
    std::optional<SigningId> signing = {};      ///< also answers the keygen of the session it finds, unless `keygen` asks for one
    std::vector<Hash32> nonces = {};
    std::optional<Hash32> binding = {};
    std::optional<Uuid> used_id = {};           ///< known as a keygen, a signing or a retired id?
    std::optional<std::pair<KeygenId, std::uint32_t>> sealed = {}; ///< (keygen, enclave id)
    // Single keys.
    std::optional<KeyId> key = {};
    std::optional<SigningId> key_signing = {};  ///< also answers the key of the signature it finds, unless `key` asks for one
    std::optional<Hash32> key_nonce = {};
    std::optional<KeyId> key_sealed = {};
    /// Held keys of the same user with the same authentication key as this one, oldest first, at most so many.
    std::optional<std::pair<KeyId, std::uint32_t>> sibling_keys = {};
};
struct KeygenBundle { KeygenRecord record; std::vector<ParticipantRecord> participants; }; ///< by signer_index
struct SigningBundle { SigningRecord record; std::vector<ApprovalRecord> approvals; };
struct ReadAnswer {
    std::optional<KeygenBundle> keygen;
    std::optional<SigningBundle> signing;
    std::vector<bool> nonces_used;              ///< one per question
    std::optional<std::pair<KeygenId, UserId>> binding;
    bool used_id = false;
    std::vector<SealedRecord> sealed;           ///< newest snapshot, then its deltas, by version
    std::optional<KeyRecord> key;
    std::optional<KeySigningRecord> key_signing;
    bool key_nonce_used = false;
    std::vector<KeySealedRecord> key_sealed;    ///< as `sealed`
    std::vector<KeyRecord> sibling_keys;
};

struct Unfinished {
    std::vector<KeygenBundle> keygens;
    std::vector<SigningBundle> signings;
};

/// What retention may delete: ids of sessions that ended before a time. FinishedSignings: completed and failed ones.
/// KeySignings: signatures by single keys. LapsedReservations: ids of keys that were reserved until then and not used.
enum class EndedKind { CompletedKeygens, FailedKeygens, FinishedSignings, KeySignings, LapsedReservations };

struct StorageStats {
    std::uint64_t total_sessions = 0;           ///< keygens and signings on record
    std::uint64_t active_sessions = 0;          ///< of them, unfinished
    std::uint64_t total_participants = 0;
    std::optional<std::uint64_t> database_size_bytes;
};

// ---- The interface --------------------------------------------------------------------------------------------------

class Storage {
  public:
    template <class T> using Callback = std::function<void(Result<T>)>;

    /// Finishes everything that was submitted, callbacks included. Must not run inside a callback.
    virtual ~Storage() = default;

    /// Applies all of `batch` or nothing; `done` is called when it is durable. StorageConflict: a check failed, `detail` names the record.
    /// InvalidArgument: a time or counter above 2^63-1. StorageFailed: disk full, I/O error, locked by another program; it is not
    /// visible, but if the machine stops now it may be found applied, as after any lost commit. [any-thread]
    virtual void write(std::vector<Mutation> batch, Callback<void> done) = 0;
    /// Answers all questions from one state of the database. [any-thread]
    virtual void read(ReadBatch questions, Callback<ReadAnswer> done) = 0;
    /// Claims for `owner` every unfinished session that nobody else holds a lease on (or whose lease has ended) and returns them, also
    /// those it held already. Sessions inserted afterwards through this object belong to `owner` too. [any-thread]
    virtual void claim_unfinished(Uuid owner, std::uint64_t lease_until_unix, Callback<Unfinished> done) = 0;
    /// Up to `limit` ids, oldest first, of `kind` that ended (updated_at) before `before_unix`. [any-thread]
    virtual void ended_before(EndedKind kind, std::uint64_t before_unix, std::uint32_t limit, Callback<std::vector<Uuid>> done) = 0;
    /// Cheap enough to ask every few seconds. [any-thread]
    virtual void stats(Callback<StorageStats> done) = 0;
};

class StoragePlugin {
  public:
    virtual ~StoragePlugin() = default;
    /// Opens, and creates or migrates the schema. ConfigInvalid, StorageFailed, StorageCorrupt. May block. [startup]
    virtual Result<std::unique_ptr<Storage>> open(Options options) = 0;
};

} // namespace keymeld::plugin
