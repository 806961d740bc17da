// REST API v1 as typed calls (rest-v1.md section 4). Every call is one HTTP request; nothing is retried here but what the appliance asks to
// be repeated (429 and 503 with Retry-After), with a fresh authentication header each time.
//
// Errors carry the appliance's code: `error.type` of the answer becomes the Errc of that name, `message` the detail, and the facts hold
// "http_status" and what `details` said. Transport errors are those of http.h.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "appliance/client/http.h"
#include "core/base/uuid.h"
#include "core/bitcoin/ecies_aad.h"
#include "core/bitcoin/keys.h"
#include "core/bitcoin/schnorr.h"
#include "core/bitcoin/single_key.h"
#include "core/secure/secret.h"

namespace keymeld::client {

/// Makes a fresh value of an authentication header (crypto/auth_header.h) at each call.
using HeaderMaker = std::function<Result<std::string>()>;

struct EnclaveEntry {
    std::uint32_t id = 0;
    bool healthy = false;
    std::string public_key_hex; ///< "unavailable" if never reached; believe only what a verified document says
    std::uint64_t key_epoch = 0;
    std::uint32_t active_sessions = 0;
    std::uint64_t uptime_seconds = 0;
};

struct SlotEntry {
    UserId user_id;
    std::uint32_t enclave_id = 0;
    std::uint32_t signer_index = 0;
};

struct CreateKeygenBody {
    KeygenId keygen_id;
    bitcoin::SessionParams params;
    ByteArray<33> coordinator_pubkey{};
    Bytes coordinator_encrypted_private_key;
    std::uint32_t coordinator_enclave_id = 0;
    Bytes encrypted_session_secret;
    std::uint64_t timeout_secs = 1800;
    bool ecies_aad = true;
};

struct RegisterBody {
    KeygenId keygen_id;
    UserId user_id;
    Bytes encrypted_private_key;
    ByteArray<33> public_key{};
    std::string approval_policy; ///< none, header, bound
};

struct FailureEntry {
    std::string type;
    std::string message;
};

struct KeygenStatusEntry {
    std::string status; ///< collecting_participants, completed, failed
    std::uint32_t expected = 0;
    std::uint32_t registered = 0;
    std::uint64_t expires_at = 0;
    std::optional<bitcoin::PlainPubKey> aggregate_public_key;
    std::optional<ByteArray<32>> aggregate_key_tag;
    struct Participant {
        UserId user_id;
        std::uint32_t signer_index = 0;
        std::optional<bitcoin::PlainPubKey> public_key;
        std::uint32_t enclave_id = 0;
        bool require_signing_approval = false;
        bool registered = false;
    };
    std::vector<Participant> participants;
    std::optional<FailureEntry> failure;
};

struct CreateSigningBody {
    SigningId signing_id;
    KeygenId keygen_id;
    ByteArray<32> message_hash{};
    std::optional<std::string> encrypted_message;
    std::uint64_t timeout_secs = 1800;
};

/// The body of POST /signing.
std::string json_of(const CreateSigningBody& body);

struct SigningStatusEntry {
    std::string status;
    KeygenId keygen_id;
    std::uint32_t expected = 0;
    std::optional<std::string> final_signature;
    std::uint64_t expires_at = 0;
    std::vector<UserId> requiring_approval;
    std::vector<UserId> approved;
    std::optional<FailureEntry> failure;
    bool terminal() const { return status == "completed" || status == "failed"; }
};

struct BoundApprovalBody {
    ByteArray<32> message_hash{};
    std::uint64_t expires_at = 0;
    bitcoin::SchnorrSignature signature;
};

struct AttestationEntry {
    Bytes document;
};

struct Health {
    std::string status;
    std::string version;
    std::uint32_t healthy_enclaves = 0;
    std::uint32_t total_enclaves = 0;
};

// Single keys (rest-keys.md); what they mean to a client that trusts no gateway is in single_keys.h.

struct ReservedKeyEntry {
    KeyId id;
    std::uint32_t enclave_id = 0;
};

struct ImportKeyBody {
    KeyId id;
    UserId user_id;
    Bytes encrypted_private_key;
    ByteArray<33> auth_pubkey{};
    ByteArray<33> enclave_public_key{};
    bool ecies_aad = true;
    std::optional<std::string> label;
};

struct GenerateKeyBody {
    KeyId id;
    UserId user_id;
    ByteArray<33> auth_pubkey{};
    bitcoin::AllowedSignatures allowed;
    std::optional<std::string> label;
    Bytes encrypted_session_secret;
};

struct MadeKeyEntry {
    std::uint32_t enclave_id = 0;
    bitcoin::PlainPubKey public_key;
    std::optional<ByteArray<32>> tag;
};

struct KeyEntry {
    KeyId id;
    std::uint32_t enclave_id = 0;
    std::uint64_t created_at = 0;
    bitcoin::PlainPubKey public_key;
    bitcoin::AllowedSignatures allowed;
    std::optional<std::string> label;
    std::optional<KeygenId> origin_keygen;
};

struct KeyStatusEntry {
    std::string status; ///< pending, processing, completed, failed
    std::uint32_t enclave_id = 0;
    std::uint64_t created_at = 0;
    bitcoin::PlainPubKey public_key;
};

struct SignSingleBody {
    KeyId key_id;
    UserId user_id;
    std::string encrypted_message;
    bitcoin::SignatureType type = bitcoin::SignatureType::Ecdsa;
    Bytes encrypted_session_secret;
    ByteArray<64> approval_signature{};
    std::uint64_t approval_timestamp = 0;
    bitcoin::TweakConfig tweak;
    std::optional<SigningId> signing_id; ///< makes a repeat idempotent
};

struct SingleSigningEntry {
    SigningId id;
    std::string status;
    std::optional<std::string> encrypted_signature;
};

class RestClient {
  public:
    struct Options {
        std::chrono::milliseconds request_timeout{std::chrono::seconds(45)}; ///< over the appliance's own deadline of 30 s
        unsigned repeats = 3;           ///< after 429 and 503
        std::string keygen_token;       ///< bearer token of POST /keygen, where the operator asks for one
    };
    RestClient(boost::asio::any_io_executor executor, Endpoint endpoint, Options options);
    RestClient(boost::asio::any_io_executor executor, Endpoint endpoint);
    ~RestClient();

    Async<Result<std::vector<EnclaveEntry>>> enclaves();
    Async<Result<AttestationEntry>> attestation(std::uint32_t enclave_id, ByteArray<32> nonce);
    Async<Status> create_keygen(const CreateKeygenBody& body);
    Async<Result<std::vector<SlotEntry>>> slots(KeygenId id);
    Async<Status> register_participant(const RegisterBody& body, HeaderMaker session_header);
    /// `wait_secs` 0..60: long poll for another status than at arrival.
    Async<Result<KeygenStatusEntry>> keygen_status(KeygenId id, HeaderMaker session_header, unsigned wait_secs = 0);
    Async<Status> create_signing(const CreateSigningBody& body, HeaderMaker session_header);
    Async<Status> approve(SigningId id, HeaderMaker signing_header, std::optional<BoundApprovalBody> bound);
    Async<Result<SigningStatusEntry>> reject(SigningId id, HeaderMaker signing_header);
    Async<Result<SigningStatusEntry>> signing_status(SigningId id, HeaderMaker signing_header, unsigned wait_secs = 0);
    // Single keys; `user_signature` makes X-User-Signature.
    Async<Result<ReservedKeyEntry>> reserve_key(UserId user);
    Async<Result<MadeKeyEntry>> import_key(const ImportKeyBody& body, HeaderMaker user_signature);
    Async<Result<MadeKeyEntry>> generate_key(const GenerateKeyBody& body, HeaderMaker user_signature);
    /// The public key of the key that is kept.
    Async<Result<bitcoin::PlainPubKey>> keep_key(KeygenId keygen, UserId user, KeyId id, std::optional<std::string> label,
                                                 HeaderMaker session_header, HeaderMaker user_signature);
    Async<Result<std::vector<KeyEntry>>> list_keys(UserId user, KeyId id, HeaderMaker user_signature);
    Async<Result<KeyStatusEntry>> key_status(UserId user, KeyId id, HeaderMaker user_signature);
    Async<Status> delete_key(UserId user, KeyId id, HeaderMaker user_signature);
    Async<Result<SingleSigningEntry>> sign_single(const SignSingleBody& body, HeaderMaker user_signature);
    /// Each item with a header of its own; a result or an error for each, in their order.
    Async<Result<std::vector<Result<SingleSigningEntry>>>> sign_single_batch(const std::vector<SignSingleBody>& items,
                                                                             std::vector<std::string> user_signatures);
    /// The header's scope is the signing session.
    Async<Result<SingleSigningEntry>> single_signing_status(SigningId id, UserId user, HeaderMaker user_signature);

    Async<Result<Health>> health();
    /// Success if the appliance is ready; `Errc::NotReady` with its reasons otherwise.
    Async<Status> ready();
    /// Body of any GET, for metrics and the like.
    Async<Result<std::string>> get_text(std::string path);

    HttpPool& pool();

  private:
    class Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace keymeld::client
