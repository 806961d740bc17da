#include "core/bitcoin/schnorr.h"
#include "core/bitcoin/taproot.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/ecies.h"
#include "core/crypto/encrypted_data.h"
#include "core/protocol/enclave.pb.h"
#include "core/secure/secret_hex.h"
#include "enclave/signer/authentication.h"
#include "enclave/signer/commands.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

constexpr const char* kKeyField = "/encrypted_private_key";
constexpr const char* kSecretField = "/encrypted_session_secret";
constexpr const char* kEncryptedMessageField = "/encrypted_message";
constexpr const char* kTweakField = "/taproot_tweak";

Result<KeyId> key_id_of(const std::string& field) {
    const auto uuid = Uuid::from_bytes(as_bytes(field));
    if (!uuid)
        return fail(Errc::InvalidArgument, "key id is not 16 bytes");
    return KeyId(*uuid);
}

Error wrong_enclave_of_key(const char* pointer) {
    return at(fail(Errc::WrongEnclave, "ciphertext does not open with this enclave's key"),
              pointer);
}

/// Exactly 32 bytes in ECIES.
Result<secure::SecretArray<32>> open_32(const SignerCore& core, const std::string& blob,
                                        const std::string& aad, const char* pointer) {
    if (blob.size() != kKeyBlob)
        return wrong_enclave_of_key(pointer);
    const auto plaintext =
        crypto::ecies_open(core.parts.identity.key(), as_bytes(blob), as_bytes(aad));
    if (!plaintext)
        return wrong_enclave_of_key(pointer);
    return secure::SecretArray<32>::from_bytes(plaintext->expose());
}

Result<crypto::UserSignatureHeader> user_header(const std::string& header,
                                                const crypto::PlainPubKey& auth_key,
                                                const Uuid& scope, const UserId& user) {
    if (header.size() > kMaxHeader)
        return fail(Errc::AuthMalformed, "authentication header is too long");
    KEYMELD_TRY(auto parsed, crypto::UserSignatureHeader::parse(header));
    KEYMELD_CHECK(crypto::verify_user_signature(parsed, auth_key, scope, user));
    return parsed;
}

/// The key, for a request of its owner whose header is right and whose nonce is free for `use`.
struct Owned {
    SingleKey* key = nullptr;
    Mark nonce = 0;
};

Result<Owned> owned_key(SignerCore& core, const std::string& key_field,
                        const std::string& user_field, const std::string& header,
                        const std::optional<Uuid>& scope, NonceUse use) {
    KEYMELD_TRY(const KeyId id, key_id_of(key_field));
    KEYMELD_TRY(const UserId user, user_id_of(user_field));
    KEYMELD_TRY(SingleKey* const key, core.keys.find(id));
    KEYMELD_TRY(const auto parsed,
                user_header(header, key->facts().auth_key, scope.value_or(id), key->facts().user));
    if (user != key->facts().user)
        return fail(Errc::AuthFailed, "key is not this user's");
    const Mark nonce = core.marker.user_nonce(id, parsed.nonce);
    for (const auto& known : {key->recent_nonces.find(nonce), key->approvals().find(nonce)})
        if (known && judge_use(*known, use) == NonceVerdict::Replayed)
            return fail(Errc::NonceReplayed, "the header's nonce was used before");
    key->recent_nonces.note(nonce, use);
    return Owned{key, nonce};
}

/// What the three commands that make a key have in common.
struct NewKey {
    KeyId id;
    KeyFacts facts;
    std::string header;
};

/// The key under this id if the very same command made it; null if there is none yet and the header
/// is right.
Result<SingleKey*> existing(SignerCore& core, const NewKey& wanted) {
    KEYMELD_TRY(const auto parsed,
                user_header(wanted.header, wanted.facts.auth_key, wanted.id, wanted.facts.user));
    const NonceUse use = NonceUse::of(UseKind::CreateKey, core.marker.key(wanted.id));
    const Mark nonce = core.marker.user_nonce(wanted.id, parsed.nonce);
    auto found = core.keys.find(wanted.id);
    if (!found) {
        if (found.error().code != Errc::StateUnknown && found.error().code != Errc::NotFound)
            return std::move(found).error();
        KEYMELD_CHECK(core.keys.may_create(wanted.id));
        return nullptr;
    }
    SingleKey& key = **found;
    if (key.facts().origin != wanted.facts.origin)
        return fail(Errc::DuplicateId, "key id is in use with other content");
    if (const auto known = key.recent_nonces.find(nonce);
        known && judge_use(*known, use) == NonceVerdict::Replayed)
        return fail(Errc::NonceReplayed, "the header's nonce was used before");
    key.recent_nonces.note(nonce, use);
    return &key;
}

SingleKey& add(SignerCore& core, const NewKey& wanted, crypto::SecretKey secret) {
    SingleKey& key = core.keys.add(std::make_unique<SingleKey>(
        core.parts.identity, wanted.id, wanted.facts, std::move(secret), core.parts.limits));
    if (const auto parsed = crypto::UserSignatureHeader::parse(wanted.header))
        key.recent_nonces.note(core.marker.user_nonce(wanted.id, parsed->nonce),
                               NonceUse::of(UseKind::CreateKey, core.marker.key(wanted.id)));
    return key;
}

void put_key(const Call& call, SingleKey& key, wire::KeyResult& result) {
    result.set_public_key(wire_bytes(key.key().public_key().bytes()));
    result.set_auth_pubkey(wire_bytes(key.facts().auth_key.bytes()));
    result.set_allowed(key.facts().allowed.bits());
    put_sealed(key.take_update(call.stream), *result.mutable_sealed());
}

Result<crypto::PlainPubKey> auth_key_of(const std::string& field) {
    auto key = point_of(field);
    if (!key)
        return at(std::move(key).error(), "/auth_pubkey");
    return key;
}

Result<bitcoin::TweakConfig> tweak_of(const wire::SignSingle& request) {
    bitcoin::TweakConfig tweak;
    if (!request.has_tweak())
        return tweak;
    const auto refuse = [] {
        return at(fail(Errc::InvalidArgument, "tweak is not one that a single key can have"),
                  kTweakField);
    };
    switch (request.tweak().type()) {
    case wire::TweakConfig::NONE:
        break;
    case wire::TweakConfig::UNSPENDABLE_TAPROOT:
        tweak.type = bitcoin::TweakType::UnspendableTaproot;
        break;
    case wire::TweakConfig::TAPROOT_WITH_MERKLE_ROOT: {
        tweak.type = bitcoin::TweakType::TaprootWithMerkleRoot;
        const auto root = bytes32_of(request.tweak().value());
        if (!root)
            return refuse();
        tweak.value32 = *root;
        break;
    }
    default:
        return refuse();
    }
    if (tweak.type != bitcoin::TweakType::None && request.type() != wire::SCHNORR_BIP340)
        return refuse();
    return tweak;
}

/// The 32-byte digest that the client encrypted.
Result<ByteArray<32>> open_digest(const secure::SecretArray<32>& secret, const std::string& text) {
    const auto refuse = [](Errc code, const char* why) {
        return at(fail(code, why), kEncryptedMessageField);
    };
    if (text.size() > kMaxEncryptedMessage)
        return refuse(Errc::MessageMismatch, "encrypted message is too long");
    const auto plaintext =
        crypto::binary_data_open(secret, crypto::BinaryContext::SessionData, text);
    if (!plaintext)
        return refuse(Errc::MessageMismatch,
                      "encrypted message does not open with the session secret");
    ByteArray<32> digest{};
    if (!secure::secret_hex_decode_into(plaintext->expose(), digest))
        return refuse(Errc::MessageMismatch, "encrypted message is not 64 hex characters");
    return digest;
}

Result<ByteArray<64>> make_signature(const crypto::SecretKey& key, bitcoin::SignatureType type,
                                     const bitcoin::TweakConfig& tweak,
                                     const ByteArray<32>& digest) {
    switch (type) {
    case bitcoin::SignatureType::Ecdsa:
        return crypto::ecdsa_sign(key, digest);
    case bitcoin::SignatureType::SchnorrBip340: {
        if (tweak.type == bitcoin::TweakType::None) {
            KEYMELD_TRY(const auto signature, bitcoin::schnorr_sign(key, digest));
            return signature.bytes;
        }
        std::optional<bitcoin::MerkleRoot> root;
        if (tweak.type == bitcoin::TweakType::TaprootWithMerkleRoot)
            root = tweak.value32;
        const auto output = bitcoin::taproot_output_secret(key, root);
        if (!output)
            return at(fail(Errc::InvalidScalar, "tweak gives no key"), kTweakField);
        KEYMELD_TRY(const auto signature, bitcoin::schnorr_sign(*output, digest));
        return signature.bytes;
    }
    }
    return fail(Errc::InvalidArgument, "unknown signature type");
}

Error approval_used() {
    return fail(Errc::NonceReplayed, "the approval was used before");
}

/// Success if the approval is the owner's and may still be used; `seen` is set if this very request
/// used it already.
Result<Mark> check_approval(const SignerCore& core, const SingleKey& key,
                            const wire::SignSingle& request, const bitcoin::TweakConfig& tweak,
                            NonceUse use, std::uint64_t now, bool& seen) {
    crypto::EcdsaSignature signature{};
    if (request.approval_signature().size() != signature.size())
        return at(fail(Errc::InvalidArgument, "approval signature is not 64 bytes"),
                  "/approval_signature");
    std::memcpy(signature.data(), request.approval_signature().data(), signature.size());
    const std::uint64_t timestamp = request.approval_timestamp();
    const crypto::Hash256 digest =
        bitcoin::approval_digest(request.encrypted_message(), key.id(), timestamp, tweak);
    if (!crypto::ecdsa_verify(signature, digest, key.facts().auth_key))
        return fail(Errc::AuthFailed, "approval signature is wrong");
    const Mark mark = core.marker.key_approval(key.id(), digest);
    if (const auto known = key.approvals().find(mark)) {
        if (judge_use(*known, use) == NonceVerdict::Replayed)
            return approval_used();
        seen = true;
        return mark;
    }
    if (timestamp > now + kClockTolerance)
        return fail(Errc::ApprovalExpired, "approval is from the future by this enclave's clock");
    if (timestamp + kApprovalAge < now)
        return fail(Errc::ApprovalExpired, "approval is older than 300 s");
    if (timestamp <= key.approvals().floor())
        return fail(Errc::ApprovalExpired, "approval is older than what this enclave can judge");
    return mark;
}

} // namespace

Status import_key(SignerCore& core, const Call& call, const wire::ImportKey& request,
                  wire::KeyResult& result) {
    KEYMELD_TRY(const KeyId id, key_id_of(request.key_id()));
    KEYMELD_TRY(const UserId user, user_id_of(request.user_id()));
    KEYMELD_TRY(const auto auth_key, auth_key_of(request.auth_pubkey()));
    if (request.enclave_public_key() != wire_bytes(core.parts.identity.public_key().bytes()))
        return at(fail(Errc::WrongEnclave, "key was encrypted to another enclave key"),
                  "/enclave_public_key");
    const auto binding_id = crypto::ecies_binding_id(as_bytes(request.encrypted_private_key()));
    if (!binding_id)
        return wrong_enclave_of_key(kKeyField);
    const Mark blob = core.marker.blob(*binding_id);
    const std::uint8_t with_aad = request.ecies_aad() ? 1 : 0;
    const crypto::Hash256 origin = crypto::sha256(
        {as_bytes("keymeld-import-key-v1"), id.view(), user.view(), auth_key.bytes(),
         ByteView(&with_aad, 1), crypto::sha256(as_bytes(request.encrypted_private_key()))});
    const NewKey wanted{id, {user, auth_key, {}, origin, blob}, request.user_header()};
    KEYMELD_TRY(SingleKey * key, existing(core, wanted));
    if (key == nullptr) {
        if (auto free = core.bindings.check(blob, core.marker.key_user(id, user)); !free)
            return at(std::move(free).error(), kKeyField);
        const std::string aad = request.ecies_aad() ? bitcoin::import_aad(id, user, auth_key) : "";
        KEYMELD_TRY(const auto bytes,
                    open_32(core, request.encrypted_private_key(), aad, kKeyField));
        auto secret = crypto::SecretKey::parse(bytes.expose());
        if (!secret)
            return at(fail(Errc::KeyMismatch, "not a private key of the group"), kKeyField);
        key = &add(core, wanted, std::move(*secret));
    }
    put_key(call, *key, result);
    return {};
}

Status generate_key(SignerCore& core, const Call& call, const wire::GenerateKey& request,
                    wire::KeyResult& result) {
    KEYMELD_TRY(const KeyId id, key_id_of(request.key_id()));
    KEYMELD_TRY(const UserId user, user_id_of(request.user_id()));
    KEYMELD_TRY(const auto auth_key, auth_key_of(request.auth_pubkey()));
    const auto allowed = bitcoin::AllowedSignatures::from_bits(request.allowed());
    if (!allowed)
        return at(fail(Errc::InvalidArgument, "no signature type is allowed"), "/allowed");
    const std::uint8_t bits = allowed->bits();
    const crypto::Hash256 origin =
        crypto::sha256({as_bytes("keymeld-generate-key-v1"), id.view(), user.view(),
                        auth_key.bytes(), ByteView(&bits, 1)});
    const NewKey wanted{id, {user, auth_key, *allowed, origin, 0}, request.user_header()};
    KEYMELD_TRY(SingleKey * key, existing(core, wanted));
    std::optional<secure::SecretArray<32>> tag_key;
    if (!request.encrypted_tag_key().empty()) {
        KEYMELD_TRY(tag_key, open_32(core, request.encrypted_tag_key(), "", kSecretField));
    }
    if (key == nullptr)
        key = &add(core, wanted, crypto::SecretKey::generate());
    if (tag_key)
        result.set_key_tag(wire_bytes(
            bitcoin::key_tag(*tag_key, id, user, auth_key, key->key().public_key(), *allowed)));
    put_key(call, *key, result);
    return {};
}

Status keep_key(SignerCore& core, const Call& call, const wire::KeepKey& request,
                wire::KeyResult& result) {
    KEYMELD_TRY(const KeygenId keygen_id, keygen_id_of(request.keygen_id()));
    KEYMELD_TRY(const UserId user, user_id_of(request.user_id()));
    KEYMELD_TRY(const KeyId id, key_id_of(request.key_id()));
    KEYMELD_TRY(KeygenState* const keygen, core.store.find(keygen_id));
    const auto signer_index = keygen->params().signer_index(user);
    if (!signer_index || !keygen->is_ours(*signer_index))
        return fail(Errc::NotAParticipant, "user has no slot at this enclave");
    KEYMELD_CHECK(verify_session_header(core, *keygen, request.session_header(), {&user, 1},
                                        NonceUse::read(call.stream)));
    if (keygen->phase() != Phase::Completed)
        return fail(Errc::WrongState, "keygen session is not completed");
    const auto& own = keygen->participants()[*signer_index].private_key;
    if (!own)
        return fail(Errc::WrongState, "keygen session has no key of this user");
    KEYMELD_TRY(const auto auth_secret, bitcoin::derive_auth_key(*own));
    const crypto::PlainPubKey& auth_key = auth_secret.public_key();
    const crypto::Hash256 origin =
        crypto::sha256({as_bytes("keymeld-keep-key-v1"), id.view(), user.view(), keygen_id.view()});
    const NewKey wanted{id, {user, auth_key, {}, origin, 0}, request.user_header()};
    KEYMELD_TRY(SingleKey * key, existing(core, wanted));
    if (key == nullptr)
        key = &add(core, wanted, own->clone());
    put_key(call, *key, result);
    return {};
}

Status restore_key(SignerCore& core, const wire::RestoreKey& request,
                   wire::RestoreKeyResult& result) {
    KEYMELD_TRY(const KeyId id, key_id_of(request.key_id()));
    if (const auto held = core.keys.find(id)) {
        result.set_version((*held)->version());
        return {};
    }
    std::vector<SealedView> updates;
    updates.reserve(static_cast<std::size_t>(request.updates_size()));
    for (const wire::SealedUpdate& update : request.updates())
        updates.push_back({update.version(), update.snapshot(), as_bytes(update.blob())});
    if (updates.empty())
        return fail(Errc::SealBroken, "nothing was given back");
    KEYMELD_CHECK(core.keys.may_restore(id, updates.back().version));
    KEYMELD_TRY(auto key, SingleKey::restore(core.parts.identity, id, updates, core.parts.limits));
    if (!core.bindings.has_room(1))
        return fail(Errc::Overloaded, "this enclave remembers as many ciphertexts as it can");
    result.set_version(core.keys.add(std::move(key)).version());
    return {};
}

Status delete_key(SignerCore& core, const Call& call, const wire::DeleteKey& request) {
    KEYMELD_TRY(const Owned owned,
                owned_key(core, request.key_id(), request.user_id(), request.user_header(),
                          std::nullopt, NonceUse::read(call.stream)));
    core.keys.remove(KeyId(owned.key->id()));
    return {};
}

Status authenticate_key(SignerCore& core, const Call& call, const wire::AuthenticateKey& request) {
    const auto scope = Uuid::from_bytes(as_bytes(request.scope()));
    if (!scope)
        return fail(Errc::InvalidArgument, "scope is not 16 bytes");
    KEYMELD_CHECK(owned_key(core, request.key_id(), request.user_id(), request.user_header(),
                            *scope, NonceUse::read(call.stream)));
    return {};
}

Status sign_single(SignerCore& core, const Call& call, const wire::SignSingle& request,
                   wire::SignSingleResult& result) {
    KEYMELD_TRY(const KeyId id, key_id_of(request.key_id()));
    KEYMELD_TRY(const SigningId signing, signing_id_of(request.signing_id()));
    const NonceUse use = NonceUse::of(UseKind::SignSingle, core.marker.key_signing(id, signing));
    KEYMELD_TRY(const Owned owned, owned_key(core, request.key_id(), request.user_id(),
                                             request.user_header(), std::nullopt, use));
    SingleKey& key = *owned.key;
    KEYMELD_TRY(const auto tweak, tweak_of(request));
    const std::uint64_t now = call.now.unix_seconds();
    bool seen = false;
    KEYMELD_TRY(const Mark approval, check_approval(core, key, request, tweak, use, now, seen));
    if (request.type() != wire::ECDSA && request.type() != wire::SCHNORR_BIP340)
        return fail(Errc::InvalidArgument, "unknown signature type");
    const auto type = static_cast<bitcoin::SignatureType>(request.type());
    if (!key.facts().allowed.has(type))
        return fail(Errc::NotPermitted, "key is not allowed to make signatures of this type");
    KEYMELD_TRY(const auto secret,
                open_32(core, request.encrypted_session_secret(), "", kSecretField));
    KEYMELD_TRY(const auto digest, open_digest(secret, request.encrypted_message()));

    KEYMELD_TRY(const auto signature, make_signature(key.key(), type, tweak, digest));
    if (!seen) {
        key.forget_before(now > kApprovalAge ? now - kApprovalAge : 0);
        key.record(ApprovalUsed{request.approval_timestamp(), approval, owned.nonce}, use);
    }
    result.set_encrypted_signature(
        crypto::binary_data_seal(secret, crypto::BinaryContext::Signature, signature));
    put_sealed(key.take_update(call.stream), *result.mutable_sealed());
    ++core.signatures;
    return {};
}

} // namespace keymeld::enclave
