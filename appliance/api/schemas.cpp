#include "appliance/api/schemas.h"

#include <array>

namespace keymeld::api {
namespace {

constexpr std::array kSchemas{
    // ---- Encodings (2.2) --------------------------------------------------------------------------------------------
    Schema{"Uuid", R"({"type":"string","format":"uuid",
"description":"Any version; requests may also use the simple, braced and urn:uuid: forms, answers are canonical.",
"pattern":"^([uU][rR][nN]:[uU][uU][iI][dD]:)?\\{?[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\\}?$",
"examples":["019a88a3-b765-70f3-8e8d-43075be1328d"]})"},
    Schema{"Hex", R"({"type":"string","pattern":"^([0-9a-fA-F]{2})*$","description":"Answers are lower case."})"},
    Schema{"Hex33", R"({"type":"string","pattern":"^[0-9a-fA-F]{66}$","description":"33 bytes."})"},
    Schema{"Bytes32", R"({"type":"array","items":{"$ref":"#/components/schemas/Byte"},"minItems":32,"maxItems":32})"},
    Schema{"Byte", R"({"type":"integer","minimum":0,"maximum":255})"},
    Schema{"PublicKeyBytes", R"({"type":"array","items":{"$ref":"#/components/schemas/Byte"},"minItems":33,"maxItems":65,
"description":"SEC 1: 33 bytes compressed or 65 bytes uncompressed; no hybrid form."})"},
    Schema{"U32", R"({"type":"integer","minimum":0,"maximum":4294967295})"},
    Schema{"U64", R"({"type":"integer","minimum":0})"},
    Schema{"UnixTime", R"({"type":"integer","minimum":0,"description":"Seconds since the Unix epoch."})"},
    Schema{"EciesBlob", R"({"type":"string","pattern":"^([0-9a-fA-F]{2}){61,1024}$",
"description":"ECIES to the enclave of the slot: 33 bytes ephemeral key, 12 bytes nonce, ciphertext, 16 bytes tag."})"},
    Schema{"EncryptedData", R"({"type":"string","pattern":"^([0-9a-fA-F]{2})+$",
"description":"hex-JSON: {\"ciphertext\":[...],\"nonce\":[12 numbers],\"context\":\"signature\"|\"message\"}, AES-256-GCM under the session secret."})"},
    Schema{"TweakConfig", R"({"oneOf":[
{"type":"object","required":["type"],"properties":{"type":{"enum":["none","unspendable_taproot"]}}},
{"type":"object","required":["type","merkle_root"],"properties":{"type":{"const":"taproot_with_merkle_root"},"merkle_root":{"$ref":"#/components/schemas/Bytes32"}}},
{"type":"object","required":["type","tweak"],"properties":{"type":{"enum":["plain_tweak","x_only_tweak"]},"tweak":{"$ref":"#/components/schemas/Bytes32"}}}]})"},
    Schema{"KeyOrder", R"({"enum":["user_id","bip327_sorted"],"description":"user_id: by the 16 raw bytes of the user id; bip327_sorted: BIP-327 KeySort."})"},
    Schema{"KeygenState", R"({"enum":["collecting_participants","completed","failed"]})"},
    Schema{"SigningState", R"({"enum":["collecting_participants","session_full","generating_nonces","collecting_nonces","aggregating_nonces",
"generating_partial_signatures","collecting_partial_signatures","finalizing_signature","completed","failed"]})"},
    Schema{"Failure", R"({"type":["object","null"],"required":["type","message"],"properties":{
"type":{"enum":["expired","rejected","enclave_unavailable","enclave_state_lost","protocol_error","internal"]},
"message":{"type":"string"}}})"},
    Schema{"Pcrs", R"({"type":"object","additionalProperties":{"$ref":"#/components/schemas/Hex"},"description":"By name: PCR0, PCR1, ... Empty without attestation hardware."})"},
    Schema{"AttestationDocument", R"({"type":"string","contentEncoding":"base64","description":"The raw COSE_Sign1 document; empty without attestation hardware."})"},

    // ---- 4.1 - 4.3 --------------------------------------------------------------------------------------------------
    Schema{"EnclaveList", R"({"type":"object","required":["enclaves","total_enclaves","healthy_enclaves"],"properties":{
"enclaves":{"type":"array","items":{"$ref":"#/components/schemas/Enclave"}},
"total_enclaves":{"$ref":"#/components/schemas/U32"},
"healthy_enclaves":{"$ref":"#/components/schemas/U32"}}})"},
    Schema{"Enclave", R"({"type":"object","required":["enclave_id","healthy","public_key","attestation_document","active_sessions","uptime_seconds","key_epoch","key_generation_time","last_health_check"],"properties":{
"enclave_id":{"$ref":"#/components/schemas/U32"},
"healthy":{"type":"boolean"},
"public_key":{"type":"string","pattern":"^([0-9a-f]{66}|unavailable)$","description":"ECIES key; the word unavailable if the enclave was never reached."},
"attestation_document":{"$ref":"#/components/schemas/AttestationDocument"},
"active_sessions":{"$ref":"#/components/schemas/U32"},
"uptime_seconds":{"$ref":"#/components/schemas/U64"},
"key_epoch":{"$ref":"#/components/schemas/U64"},
"key_generation_time":{"$ref":"#/components/schemas/UnixTime"},
"last_health_check":{"$ref":"#/components/schemas/UnixTime"}}})"},
    Schema{"EnclavePublicKey", R"({"type":"object","required":["enclave_id","public_key","attestation_document","pcr_measurements","timestamp","healthy","key_epoch"],"properties":{
"enclave_id":{"$ref":"#/components/schemas/U32"},
"public_key":{"$ref":"#/components/schemas/Hex33"},
"attestation_document":{"$ref":"#/components/schemas/AttestationDocument"},
"pcr_measurements":{"$ref":"#/components/schemas/Pcrs"},
"timestamp":{"$ref":"#/components/schemas/UnixTime"},
"healthy":{"type":"boolean"},
"key_epoch":{"$ref":"#/components/schemas/U64"}}})"},
    Schema{"Attestation", R"({"type":"object","required":["enclave_id","attestation_document","public_key","key_epoch","pcrs","timestamp"],"properties":{
"enclave_id":{"$ref":"#/components/schemas/U32"},
"attestation_document":{"$ref":"#/components/schemas/AttestationDocument"},
"public_key":{"$ref":"#/components/schemas/Hex33"},
"key_epoch":{"$ref":"#/components/schemas/U64"},
"pcrs":{"$ref":"#/components/schemas/Pcrs"},
"timestamp":{"$ref":"#/components/schemas/UnixTime"}}})"},

    // ---- 4.4 - 4.8 --------------------------------------------------------------------------------------------------
    Schema{"CreateKeygen", R"({"type":"object","required":["keygen_session_id","coordinator_pubkey","coordinator_encrypted_private_key","coordinator_enclave_id","expected_participants","timeout_secs","encrypted_session_secret"],"properties":{
"keygen_session_id":{"$ref":"#/components/schemas/Uuid"},
"coordinator_pubkey":{"$ref":"#/components/schemas/PublicKeyBytes"},
"coordinator_encrypted_private_key":{"$ref":"#/components/schemas/EciesBlob"},
"coordinator_enclave_id":{"$ref":"#/components/schemas/U32"},
"expected_participants":{"type":"array","items":{"$ref":"#/components/schemas/Uuid"},"minItems":2,"maxItems":1000,"uniqueItems":true,"description":"The coordinator first."},
"timeout_secs":{"type":"integer","minimum":1,"maximum":86400},
"encrypted_session_secret":{"$ref":"#/components/schemas/EciesBlob"},
"max_signing_sessions":{"type":["integer","null"],"minimum":0,"maximum":4294967295,"description":"Null: the server's default (100). 0 forbids signing."},
"taproot_tweak_config":{"$ref":"#/components/schemas/TweakConfig"},
"key_order":{"$ref":"#/components/schemas/KeyOrder"},
"ecies_aad":{"type":"boolean","default":false,"description":"Every ECIES blob of the session is bound to its parameters."}}})"},
    Schema{"CreateKeygenAnswer", R"({"type":"object","required":["keygen_session_id","coordinator_enclave_id","status","expected_participants","expires_at","enclave_epochs","session_secret"],"properties":{
"keygen_session_id":{"$ref":"#/components/schemas/Uuid"},
"coordinator_enclave_id":{"$ref":"#/components/schemas/U32"},
"status":{"const":"collecting_participants"},
"expected_participants":{"$ref":"#/components/schemas/U32"},
"expires_at":{"$ref":"#/components/schemas/UnixTime"},
"enclave_epochs":{"type":"object","maxProperties":0},
"session_secret":{"$ref":"#/components/schemas/Hex","description":"Echo of encrypted_session_secret."}}})"},
    Schema{"Slots", R"({"type":"object","required":["session_id","available_slots","total_slots","claimed_slots"],"properties":{
"session_id":{"$ref":"#/components/schemas/Uuid"},
"available_slots":{"type":"array","items":{"type":"object","required":["user_id","enclave_id","signer_index","claimed"],"properties":{
"user_id":{"$ref":"#/components/schemas/Uuid"},
"enclave_id":{"$ref":"#/components/schemas/U32"},
"signer_index":{"$ref":"#/components/schemas/U32"},
"claimed":{"const":false}}}},
"total_slots":{"$ref":"#/components/schemas/U32"},
"claimed_slots":{"$ref":"#/components/schemas/U32"}}})"},
    Schema{"RegisterParticipant", R"({"type":"object","required":["keygen_session_id","user_id","encrypted_private_key","public_key"],"properties":{
"keygen_session_id":{"$ref":"#/components/schemas/Uuid","description":"As in the path."},
"user_id":{"$ref":"#/components/schemas/Uuid"},
"encrypted_private_key":{"$ref":"#/components/schemas/EciesBlob"},
"public_key":{"$ref":"#/components/schemas/PublicKeyBytes"},
"require_signing_approval":{"type":"boolean","default":false},
"approval_policy":{"enum":["none","header","bound",null],"description":"Decides if present."}}})"},
    Schema{"RegisterParticipantAnswer", R"({"type":"object","required":["keygen_session_id","user_id","status","participants_registered","expected_participants","signer_index","assigned_enclave_id","require_signing_approval","enclave_key_epoch"],"properties":{
"keygen_session_id":{"$ref":"#/components/schemas/Uuid"},
"user_id":{"$ref":"#/components/schemas/Uuid"},
"status":{"const":"collecting_participants"},
"participants_registered":{"$ref":"#/components/schemas/U32"},
"expected_participants":{"$ref":"#/components/schemas/U32"},
"signer_index":{"$ref":"#/components/schemas/U32"},
"assigned_enclave_id":{"$ref":"#/components/schemas/U32"},
"require_signing_approval":{"type":"boolean"},
"enclave_key_epoch":{"$ref":"#/components/schemas/U64"}}})"},
    Schema{"KeygenStatus", R"({"type":"object","required":["keygen_session_id","status","expected_participants","registered_participants","aggregate_public_key","expires_at","participants","signer_index","enclave_key_epoch","tweak","key_order","untweaked_public_key","aggregate_key_tag","failure","created_at","updated_at"],"properties":{
"keygen_session_id":{"$ref":"#/components/schemas/Uuid"},
"status":{"$ref":"#/components/schemas/KeygenState"},
"expected_participants":{"$ref":"#/components/schemas/U32"},
"registered_participants":{"$ref":"#/components/schemas/U32"},
"aggregate_public_key":{"type":["array","null"],"items":{"$ref":"#/components/schemas/Byte"},"minItems":33,"maxItems":33,"description":"Tweaked; non-null exactly when completed."},
"expires_at":{"$ref":"#/components/schemas/UnixTime"},
"participants":{"type":"array","items":{"type":"object","required":["user_id","signer_index","public_key","enclave_id","require_signing_approval","registered"],"properties":{
"user_id":{"$ref":"#/components/schemas/Uuid"},
"signer_index":{"$ref":"#/components/schemas/U32"},
"public_key":{"oneOf":[{"$ref":"#/components/schemas/Hex33"},{"type":"null"}]},
"enclave_id":{"$ref":"#/components/schemas/U32"},
"require_signing_approval":{"type":"boolean"},
"registered":{"type":"boolean"}}}},
"signer_index":{"$ref":"#/components/schemas/U32"},
"enclave_key_epoch":{"$ref":"#/components/schemas/U64"},
"tweak":{"$ref":"#/components/schemas/TweakConfig"},
"key_order":{"$ref":"#/components/schemas/KeyOrder"},
"untweaked_public_key":{"oneOf":[{"$ref":"#/components/schemas/Hex33"},{"type":"null"}]},
"aggregate_key_tag":{"type":["string","null"],"pattern":"^[0-9a-f]{64}$"},
"failure":{"$ref":"#/components/schemas/Failure"},
"created_at":{"$ref":"#/components/schemas/UnixTime"},
"updated_at":{"$ref":"#/components/schemas/UnixTime"}}})"},

    // ---- 4.9 - 4.13 -------------------------------------------------------------------------------------------------
    Schema{"CreateSigning", R"({"type":"object","required":["signing_session_id","keygen_session_id","message_hash","timeout_secs"],"properties":{
"signing_session_id":{"$ref":"#/components/schemas/Uuid"},
"keygen_session_id":{"$ref":"#/components/schemas/Uuid"},
"message_hash":{"$ref":"#/components/schemas/Bytes32"},
"encrypted_message":{"type":["string","null"],"minLength":1,"description":"64 hex characters: the message in clear. Otherwise hex-JSON EncryptedData with context message."},
"timeout_secs":{"type":"integer","minimum":1,"maximum":86400}}})"},
    Schema{"CreateSigningAnswer", R"({"type":"object","required":["signing_session_id","keygen_session_id","status","participants_count","expires_at"],"properties":{
"signing_session_id":{"$ref":"#/components/schemas/Uuid"},
"keygen_session_id":{"$ref":"#/components/schemas/Uuid"},
"status":{"const":"collecting_participants"},
"participants_count":{"$ref":"#/components/schemas/U32"},
"expires_at":{"$ref":"#/components/schemas/UnixTime"}}})"},
    Schema{"BoundApproval", R"({"type":"object","required":["message_hash","expires_at","signature"],"properties":{
"message_hash":{"oneOf":[{"$ref":"#/components/schemas/Bytes32"},{"type":"string","pattern":"^[0-9a-fA-F]{64}$"}]},
"expires_at":{"$ref":"#/components/schemas/UnixTime"},
"signature":{"type":"string","pattern":"^[0-9a-fA-F]{128}$","description":"BIP-340 over the approval hash."}}})"},
    Schema{"SigningStatus", R"({"type":"object","required":["signing_session_id","keygen_session_id","status","participants_registered","expected_participants","final_signature","expires_at","participants_requiring_approval","approved_participants","failure","created_at","updated_at"],"properties":{
"signing_session_id":{"$ref":"#/components/schemas/Uuid"},
"keygen_session_id":{"$ref":"#/components/schemas/Uuid"},
"status":{"$ref":"#/components/schemas/SigningState"},
"participants_registered":{"$ref":"#/components/schemas/U32"},
"expected_participants":{"$ref":"#/components/schemas/U32"},
"final_signature":{"oneOf":[{"$ref":"#/components/schemas/EncryptedData"},{"type":"null"}]},
"expires_at":{"$ref":"#/components/schemas/UnixTime"},
"participants_requiring_approval":{"type":"array","items":{"$ref":"#/components/schemas/Uuid"}},
"approved_participants":{"type":"array","items":{"$ref":"#/components/schemas/Uuid"}},
"failure":{"$ref":"#/components/schemas/Failure"},
"created_at":{"$ref":"#/components/schemas/UnixTime"},
"updated_at":{"$ref":"#/components/schemas/UnixTime"}}})"},

    // ---- rest-keys.md -----------------------------------------------------------------------------------------------
    Schema{"CompressedKeyBytes", R"({"type":"array","items":{"$ref":"#/components/schemas/Byte"},"minItems":33,"maxItems":33})"},
    Schema{"SignatureType", R"({"enum":["ecdsa","schnorr_bip340"]})"},
    Schema{"KeyLabel", R"({"type":["string","null"],"minLength":1,"maxLength":64,"description":"No control characters. Public."})"},
    Schema{"ReserveKey", R"({"type":"object","required":["user_id"],"properties":{"user_id":{"$ref":"#/components/schemas/Uuid"}}})"},
    Schema{"ReservedKey", R"({"type":"object","required":["key_id","user_id","enclave_id","enclave_public_key","enclave_key_epoch","expires_at"],"properties":{
"key_id":{"$ref":"#/components/schemas/Uuid"},
"user_id":{"$ref":"#/components/schemas/Uuid"},
"enclave_id":{"$ref":"#/components/schemas/U32"},
"enclave_public_key":{"$ref":"#/components/schemas/Hex33"},
"enclave_key_epoch":{"$ref":"#/components/schemas/U64"},
"expires_at":{"$ref":"#/components/schemas/UnixTime"}}})"},
    Schema{"ImportKey", R"({"type":"object","required":["key_id","user_id","encrypted_private_key","auth_pubkey","enclave_public_key"],"properties":{
"key_id":{"$ref":"#/components/schemas/Uuid","description":"Reserved."},
"user_id":{"$ref":"#/components/schemas/Uuid"},
"encrypted_private_key":{"$ref":"#/components/schemas/EciesBlob"},
"auth_pubkey":{"$ref":"#/components/schemas/CompressedKeyBytes"},
"enclave_public_key":{"$ref":"#/components/schemas/Hex33","description":"To which the key was encrypted."},
"ecies_aad":{"type":"boolean","default":false,"description":"The blob is bound to key_id, user_id and auth_pubkey."},
"label":{"$ref":"#/components/schemas/KeyLabel"}}})"},
    Schema{"GenerateKey", R"({"type":"object","required":["key_id","user_id","auth_pubkey"],"properties":{
"key_id":{"$ref":"#/components/schemas/Uuid","description":"Reserved."},
"user_id":{"$ref":"#/components/schemas/Uuid"},
"auth_pubkey":{"$ref":"#/components/schemas/CompressedKeyBytes"},
"label":{"$ref":"#/components/schemas/KeyLabel"},
"allowed":{"type":"array","items":{"$ref":"#/components/schemas/SignatureType"},"minItems":1,"maxItems":2,"uniqueItems":true,"description":"Absent: both."},
"encrypted_session_secret":{"type":["string","null"],"pattern":"^[0-9a-fA-F]{186}$","description":"ECIES of 32 raw bytes: then the answer has a key_tag under them."}}})"},
    Schema{"KeyMade", R"({"type":"object","required":["key_id","user_id","enclave_id","public_key"],"properties":{
"key_id":{"$ref":"#/components/schemas/Uuid"},
"user_id":{"$ref":"#/components/schemas/Uuid"},
"enclave_id":{"$ref":"#/components/schemas/U32"},
"public_key":{"$ref":"#/components/schemas/Hex33"},
"key_tag":{"type":"string","pattern":"^[0-9a-f]{64}$","description":"HMAC-SHA256 under the secret of the request over keymeld-single-key-v1:<key id>:<user id>:<auth key>:<public key>:<allowed>."}}})"},
    Schema{"SingleKey", R"({"type":"object","required":["user_id","key_id","created_at","public_key","allowed"],"properties":{
"user_id":{"$ref":"#/components/schemas/Uuid"},
"key_id":{"$ref":"#/components/schemas/Uuid"},
"created_at":{"$ref":"#/components/schemas/UnixTime"},
"origin_keygen_session_id":{"$ref":"#/components/schemas/Uuid"},
"public_key":{"$ref":"#/components/schemas/Hex33"},
"label":{"type":"string"},
"allowed":{"type":"array","items":{"$ref":"#/components/schemas/SignatureType"}},
"enclave_id":{"$ref":"#/components/schemas/U32"}}})"},
    Schema{"KeyList", R"({"type":"object","required":["user_id","keys"],"properties":{
"user_id":{"$ref":"#/components/schemas/Uuid"},
"keys":{"type":"array","items":{"$ref":"#/components/schemas/SingleKey"}}}})"},
    Schema{"KeyStatus", R"({"type":"object","required":["key_id","user_id","status","created_at","public_key"],"properties":{
"key_id":{"$ref":"#/components/schemas/Uuid"},
"user_id":{"$ref":"#/components/schemas/Uuid"},
"status":{"enum":["pending","processing","completed","failed"]},
"error_message":{"type":"string"},
"created_at":{"$ref":"#/components/schemas/UnixTime"},
"public_key":{"$ref":"#/components/schemas/Hex33"},
"enclave_id":{"$ref":"#/components/schemas/U32"}}})"},
    Schema{"KeyDeleted", R"({"type":"object","required":["key_id","user_id","deleted"],"properties":{
"key_id":{"$ref":"#/components/schemas/Uuid"},
"user_id":{"$ref":"#/components/schemas/Uuid"},
"deleted":{"const":true}}})"},
    Schema{"KeepKey", R"({"type":"object","required":["key_id"],"properties":{
"key_id":{"$ref":"#/components/schemas/Uuid","description":"Reserved."},
"label":{"$ref":"#/components/schemas/KeyLabel"}}})"},
    Schema{"KeptKey", R"({"type":"object","required":["key_id","user_id","keygen_session_id","public_key"],"properties":{
"key_id":{"$ref":"#/components/schemas/Uuid"},
"user_id":{"$ref":"#/components/schemas/Uuid"},
"keygen_session_id":{"$ref":"#/components/schemas/Uuid"},
"public_key":{"$ref":"#/components/schemas/Hex33"}}})"},
    Schema{"SignSingle", R"({"type":"object","required":["user_id","key_id","encrypted_message","signature_type","encrypted_session_secret","approval_signature","approval_timestamp"],"properties":{
"user_id":{"$ref":"#/components/schemas/Uuid"},
"key_id":{"$ref":"#/components/schemas/Uuid"},
"encrypted_message":{"type":"string","pattern":"^[0-9a-fA-F]{210}$","description":"Binary form with context session_data: hex of context length, context, nonce (12), AES-256-GCM ciphertext, tag (16). Plaintext: 64 hex characters."},
"signature_type":{"$ref":"#/components/schemas/SignatureType"},
"encrypted_session_secret":{"type":"string","pattern":"^[0-9a-fA-F]{186}$","description":"ECIES of 32 raw bytes."},
"approval_signature":{"oneOf":[{"type":"array","items":{"$ref":"#/components/schemas/Byte"},"minItems":64,"maxItems":64},{"type":"string","pattern":"^[0-9a-fA-F]{128}$"}],"description":"Compact low-S ECDSA by the authentication key over the approval digest."},
"approval_timestamp":{"$ref":"#/components/schemas/UnixTime"},
"taproot_tweak":{"oneOf":[{"type":"object","required":["type"],"properties":{"type":{"enum":["none","unspendable_taproot"]}}},{"type":"object","required":["type","merkle_root"],"properties":{"type":{"const":"taproot_with_merkle_root"},"merkle_root":{"$ref":"#/components/schemas/Bytes32"}}}],"description":"BIP-340 only: sign for the output key. The approval digest then ends with the tweak."},
"signing_session_id":{"oneOf":[{"$ref":"#/components/schemas/Uuid"},{"type":"null"}],"description":"Of the client: makes the request idempotent."}}})"},
    Schema{"SignSingleBatch", R"({"type":"object","required":["items"],"properties":{
"items":{"type":"array","minItems":1,"maxItems":100,"items":{"allOf":[{"$ref":"#/components/schemas/SignSingle"},
{"type":"object","required":["user_signature"],"properties":{"user_signature":{"type":"string","description":"As X-User-Signature, over the item's key id."}}}]}}}})"},
    Schema{"SingleSigning", R"({"type":"object","required":["signing_session_id","user_id","key_id","status"],"properties":{
"signing_session_id":{"$ref":"#/components/schemas/Uuid"},
"user_id":{"$ref":"#/components/schemas/Uuid"},
"key_id":{"$ref":"#/components/schemas/Uuid"},
"status":{"enum":["pending","processing","completed","failed"]},
"encrypted_signature":{"type":"string","pattern":"^([0-9a-f]{2})+$","description":"Binary form with context signature; plaintext: 64 bytes."},
"signature_type":{"$ref":"#/components/schemas/SignatureType"},
"error_message":{"type":"string"}}})"},
    Schema{"SingleSigningBatch", R"({"type":"object","required":["results"],"properties":{
"results":{"type":"array","items":{"oneOf":[{"$ref":"#/components/schemas/SingleSigning"},{"$ref":"#/components/schemas/Error"}]}}}})"},

    // ---- 4.14 and 2.5 -----------------------------------------------------------------------------------------------
    Schema{"Health", R"({"type":"object","required":["status","version","active_sessions","healthy_enclaves","total_enclaves","database_stats"],"properties":{
"status":{"enum":["healthy","degraded","unhealthy"]},
"version":{"type":"string"},
"active_sessions":{"$ref":"#/components/schemas/U32"},
"healthy_enclaves":{"$ref":"#/components/schemas/U32"},
"total_enclaves":{"$ref":"#/components/schemas/U32"},
"database_stats":{"type":"object","required":["total_sessions","active_sessions","total_participants","database_size_bytes"],"properties":{
"total_sessions":{"$ref":"#/components/schemas/U64"},
"active_sessions":{"$ref":"#/components/schemas/U64"},
"total_participants":{"$ref":"#/components/schemas/U64"},
"database_size_bytes":{"type":["integer","null"],"minimum":0}}}}})"},
    Schema{"Ready", R"({"type":"object","required":["ready","checked_at"],"properties":{
"ready":{"const":true},"checked_at":{"$ref":"#/components/schemas/UnixTime"}}})"},
    Schema{"Version", R"({"type":"object","required":["service","version","api_version","features"],"properties":{
"service":{"const":"KeyMeld Gateway"},
"version":{"type":"string"},
"api_version":{"const":"v1"},
"features":{"type":"object","additionalProperties":{"type":"boolean"},
"required":["service_participation","user_authentication","enclave_isolation","bound_approvals","ecies_aad","key_order","long_poll","events","attestation"]}}})"},
    Schema{"Error", R"({"type":"object","required":["error","timestamp"],"properties":{
"error":{"type":"object","required":["code","type","message","retryable","details"],"properties":{
"code":{"type":"integer","minimum":400,"maximum":599},
"type":{"enum":["malformed_json","validation_failed","wrong_enclave","key_mismatch","message_mismatch","auth_missing","auth_malformed","auth_failed","nonce_replayed","not_a_participant","bound_approval_required","approval_expired","not_permitted","not_found","route_not_found","method_not_allowed","duplicate_id","already_registered","wrong_state","quota_exceeded","blob_reused","body_too_large","unsupported_media_type","rate_limited","internal_error","attestation_unavailable","enclave_unavailable","overloaded","not_ready"]},
"message":{"type":"string"},
"retryable":{"type":"boolean"},
"details":{"type":"object"}}},
"timestamp":{"type":"string","format":"date-time"}}})"},
};

} // namespace

std::span<const Schema> schemas() { return kSchemas; }

} // namespace keymeld::api
