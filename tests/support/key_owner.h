// The owner of a single key, and the requests that an honest gateway makes of what it sends.
#pragma once

#include "core/base/hex.h"
#include "core/bitcoin/single_key.h"
#include "core/bitcoin/taproot.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/ecies.h"
#include "core/crypto/encrypted_data.h"
#include "core/secure/random.h"
#include "tests/support/enclave_harness.h"

namespace keymeld::test {

inline KeyId random_key_id() {
    return KeyId(random_user());
}

/// Everything about one signature that its owner decides.
struct KeySigning {
    SigningId id = random_signing();
    ByteArray<32> digest = random_message();
    bitcoin::SignatureType type = bitcoin::SignatureType::Ecdsa;
    bitcoin::TweakConfig tweak = {};
    std::uint64_t timestamp = 0;
    secure::SecretArray<32> secret = secure::random_secret<32>();
};

class KeyOwner {
  public:
    explicit KeyOwner(TestEnclave& the_enclave) : enclave(the_enclave) {}

    TestEnclave& enclave;
    KeyId id = random_key_id();
    UserId user = random_user();
    crypto::SecretKey auth = crypto::SecretKey::generate();
    std::vector<wire::SealedUpdate> stored;
    std::optional<crypto::PlainPubKey> public_key;

    std::string header() const { return header(id); }
    std::string header(const Uuid& scope) const {
        return crypto::make_user_signature(auth, scope, user, crypto::make_header_nonce()).value();
    }
    std::string encrypt(ByteView plaintext, const std::string& aad = "") const {
        return raw(crypto::ecies_encrypt(enclave.public_key(), plaintext, as_bytes(aad)).value());
    }

    wire::Request generate(std::uint32_t allowed = 3) const {
        wire::Request request;
        wire::GenerateKey& command = *request.mutable_generate_key();
        command.set_key_id(raw(id.bytes));
        command.set_user_id(raw(user.bytes));
        command.set_user_header(header());
        command.set_auth_pubkey(raw(auth.public_key().bytes()));
        command.set_allowed(allowed);
        return request;
    }
    wire::Request import(const crypto::SecretKey& key, bool aad = true) const {
        wire::Request request;
        wire::ImportKey& command = *request.mutable_import_key();
        command.set_key_id(raw(id.bytes));
        command.set_user_id(raw(user.bytes));
        command.set_user_header(header());
        command.set_auth_pubkey(raw(auth.public_key().bytes()));
        command.set_enclave_public_key(raw(enclave.public_key().bytes()));
        command.set_ecies_aad(aad);
        command.set_encrypted_private_key(
            encrypt(key.expose(), aad ? bitcoin::import_aad(id, user, auth.public_key()) : ""));
        return request;
    }
    wire::Request authenticate(const Uuid& scope) const {
        wire::Request request;
        wire::AuthenticateKey& command = *request.mutable_authenticate_key();
        command.set_key_id(raw(id.bytes));
        command.set_user_id(raw(user.bytes));
        command.set_scope(raw(scope.bytes));
        command.set_user_header(header(scope));
        return request;
    }
    wire::Request remove() const {
        wire::Request request;
        wire::DeleteKey& command = *request.mutable_delete_key();
        command.set_key_id(raw(id.bytes));
        command.set_user_id(raw(user.bytes));
        command.set_user_header(header());
        return request;
    }
    wire::Request restore() const {
        wire::Request request;
        wire::RestoreKey& command = *request.mutable_restore_key();
        command.set_key_id(raw(id.bytes));
        for (const wire::SealedUpdate& update : stored)
            *command.add_updates() = update;
        return request;
    }
    wire::Request sign(KeySigning& signing) const {
        if (signing.timestamp == 0)
            signing.timestamp = enclave.unix_seconds();
        wire::Request request;
        wire::SignSingle& command = *request.mutable_sign_single();
        command.set_key_id(raw(id.bytes));
        command.set_user_id(raw(user.bytes));
        command.set_signing_id(raw(signing.id.bytes));
        command.set_user_header(header());
        const std::string hex = hex_encode(signing.digest);
        command.set_encrypted_message(crypto::binary_data_seal(
            signing.secret, crypto::BinaryContext::SessionData, as_bytes(hex)));
        command.set_type(static_cast<wire::SignatureType>(signing.type));
        command.set_encrypted_session_secret(encrypt(signing.secret.expose()));
        command.set_approval_timestamp(signing.timestamp);
        if (signing.tweak.type != bitcoin::TweakType::None) {
            command.mutable_tweak()->set_type(
                static_cast<wire::TweakConfig::Type>(signing.tweak.type));
            if (signing.tweak.has_value())
                command.mutable_tweak()->set_value(raw(signing.tweak.value32));
        }
        approve(command, signing.tweak);
        return request;
    }
    /// Signs the approval of the command as it stands.
    void approve(wire::SignSingle& command, const bitcoin::TweakConfig& tweak = {}) const {
        const auto digest = bitcoin::approval_digest(command.encrypted_message(), id,
                                                     command.approval_timestamp(), tweak);
        command.set_approval_signature(raw(crypto::ecdsa_sign(auth, digest).value()));
    }

    /// Sends, and keeps what the gateway would store.
    wire::Response send(const wire::Request& request) {
        wire::Response response = enclave.call(request);
        const wire::SealedUpdate* update = nullptr;
        if (response.has_generate_key())
            update = &response.generate_key().sealed();
        else if (response.has_import_key())
            update = &response.import_key().sealed();
        else if (response.has_sign_single())
            update = &response.sign_single().sealed();
        if (update != nullptr) {
            if (update->snapshot())
                stored.clear();
            stored.push_back(*update);
        }
        return response;
    }
    /// The key, generated; throws if refused.
    KeyOwner& ready(std::uint32_t allowed = 3) {
        const wire::Response response = send(generate(allowed));
        public_key =
            crypto::PlainPubKey::parse(as_bytes(response.generate_key().public_key())).value();
        return *this;
    }
    /// True if the answer holds a signature of `signing` under this key.
    bool verifies(const wire::Response& response, const KeySigning& signing) const {
        const auto plain =
            crypto::binary_data_open(signing.secret, crypto::BinaryContext::Signature,
                                     response.sign_single().encrypted_signature());
        if (!plain || plain->size() != 64)
            return false;
        ByteArray<64> signature{};
        std::copy(plain->expose().begin(), plain->expose().end(), signature.begin());
        if (signing.type == bitcoin::SignatureType::Ecdsa)
            return crypto::ecdsa_verify(signature, signing.digest, *public_key).has_value();
        auto key = bitcoin::XOnlyPubKey::from(*public_key);
        if (signing.tweak.type != bitcoin::TweakType::None) {
            std::optional<bitcoin::MerkleRoot> root;
            if (signing.tweak.has_value())
                root = signing.tweak.value32;
            key = bitcoin::taproot_output(key, root).value().key;
        }
        return bitcoin::schnorr_verify(bitcoin::SchnorrSignature{signature}, signing.digest, key)
            .has_value();
    }
};

} // namespace keymeld::test
