#include "pkcs11/single_signing.h"

#include <algorithm>
#include <cstring>

#include "pkcs11/log.h"

namespace keymeld::pkcs11 {

using client::Async;

namespace {

constexpr unsigned kTransportRepeats = 2;

SignOutcome from_error(const client::StoredKey& key, const Error& error) {
    SignOutcome out;
    out.code = code_of(error.code, During::Sign);
    out.explanation = "key \"" + key.label + "\" (" + key.id.text() + "): " + error.detail;
    if (is_transport(error.code))
        out.explanation += "; is the appliance running and reachable?";
    else if (error.code == Errc::RateLimited)
        out.explanation += "; ask the operator for a higher limit, or sign more slowly";
    else if (error.code == Errc::NotFound)
        out.explanation += "; the key was deleted: take it out of the store by keymeld credentials remove";
    return out;
}

/// What a template of a new key may say. Nothing that the key will not be.
CK_RV check_new_key(std::span<const CK_ATTRIBUTE> given, CK_OBJECT_CLASS object_class, std::string& label, bool& has_curve) {
    for (const CK_ATTRIBUTE& one : given) {
        const ByteView value(static_cast<const std::uint8_t*>(one.pValue), one.ulValueLen);
        const bool boolean = value.size() == 1;
        const bool is_true = boolean && value[0] != CK_FALSE;
        CK_ULONG number = 0;
        if (value.size() == sizeof number)
            std::memcpy(&number, value.data(), sizeof number);
        switch (one.type) {
        case CKA_LABEL:
            label = as_text(value);
            if (!client::is_label(label, client::kMaxKeyLabel))
                return CKR_ATTRIBUTE_VALUE_INVALID;
            break;
        case CKA_EC_PARAMS:
            if (!is_secp256k1(value))
                return CKR_CURVE_NOT_SUPPORTED;
            has_curve = true;
            break;
        case CKA_CLASS:
            if (value.size() != sizeof number || number != object_class)
                return CKR_TEMPLATE_INCONSISTENT;
            break;
        case CKA_KEY_TYPE:
            if (value.size() != sizeof number || number != CKK_EC)
                return CKR_TEMPLATE_INCONSISTENT;
            break;
        case CKA_TOKEN: // keys of an enclave outlive the session
        case CKA_SENSITIVE:
            if (!is_true)
                return CKR_TEMPLATE_INCONSISTENT;
            break;
        case CKA_EXTRACTABLE:
        case CKA_DERIVE:
        case CKA_DECRYPT:
        case CKA_ENCRYPT:
        case CKA_WRAP:
        case CKA_UNWRAP:
        case CKA_SIGN_RECOVER:
        case CKA_VERIFY_RECOVER:
        case CKA_ALWAYS_AUTHENTICATE:
            // Tools ask for ECDH in the same breath as for signing; a key that says afterwards what it is does no harm.
            if (!boolean || (is_true && (one.type == CKA_EXTRACTABLE || one.type == CKA_ALWAYS_AUTHENTICATE)))
                return CKR_TEMPLATE_INCONSISTENT;
            break;
        case CKA_SIGN:
        case CKA_VERIFY:
        case CKA_PRIVATE:
        case CKA_MODIFIABLE:
        case CKA_COPYABLE:
        case CKA_DESTROYABLE:
        case CKA_ID: // always the hash of the key
        case CKA_SUBJECT: break;
        default: return CKR_ATTRIBUTE_TYPE_INVALID;
        }
    }
    return CKR_OK;
}

/// Behind a pointer, since what comes out of a channel has to have an empty state.
using MadeKey = std::shared_ptr<const client::OwnedKey>;

Async<Result<MadeKey>> make_key(client::SingleKeys& keys, UserId user, bitcoin::SecretKey auth_key, std::string label) {
    auto made = co_await keys.generate(user, std::move(auth_key), {}, std::move(label));
    if (!made)
        co_return std::move(made).error();
    co_return std::make_shared<const client::OwnedKey>(std::move(*made));
}

} // namespace

Result<client::OwnedKey> owned_key(const client::StoredKey& key, const client::KeySecrets& secrets) {
    auto auth_key = bitcoin::SecretKey::parse(secrets.authentication.expose());
    if (!auth_key)
        return fail(Errc::ConfigInvalid, "key \"" + key.label + "\": its credentials are damaged");
    return client::OwnedKey{KeyId(key.id), key.user_id, key.enclave_id, key.public_key, std::move(*auth_key)};
}

Async<Result<SignOutcome>> single_sign(client::SingleKeys& keys, const client::StoredKey& key, const client::KeySecrets& secrets,
                                       const SignOperation& operation, const ByteArray<32>& hash) {
    const auto owned = owned_key(key, secrets);
    if (!owned)
        co_return owned.error();
    const bool schnorr = operation.mechanism == CKM_KEYMELD_SCHNORR_BIP340;
    const auto type = schnorr ? bitcoin::SignatureType::SchnorrBip340 : bitcoin::SignatureType::Ecdsa;
    client::SignOptions options;
    if (operation.taproot && operation.taproot->merkle_root)
        options.tweak = {bitcoin::TweakType::TaprootWithMerkleRoot, *operation.taproot->merkle_root};
    else if (operation.taproot)
        options.tweak = {bitcoin::TweakType::UnspendableTaproot, {}};
    // One request, repeated as it is: what was signed already is answered again.
    options.repeats = kTransportRepeats;
    auto made = co_await keys.sign(*owned, hash, type, options);
    if (!made)
        co_return from_error(key, made.error());
    SignOutcome out;
    out.code = CKR_OK;
    out.signature = made->bytes;
    co_return out;
}

CK_RV generate_key_pair(Session& session, const CK_MECHANISM* mechanism, std::span<const CK_ATTRIBUTE> public_template,
                        std::span<const CK_ATTRIBUTE> private_template, CK_OBJECT_HANDLE& public_key, CK_OBJECT_HANDLE& private_key) {
    Token& token = session.token();
    if (mechanism == nullptr)
        return CKR_ARGUMENTS_BAD;
    if (mechanism->mechanism != CKM_EC_KEY_PAIR_GEN)
        return CKR_MECHANISM_INVALID;
    if (mechanism->ulParameterLen != 0)
        return CKR_MECHANISM_PARAM_INVALID;
    if (!token.config().generate_keys)
        return CKR_TOKEN_WRITE_PROTECTED;
    if (session.read_only())
        return CKR_SESSION_READ_ONLY;
    const TokenView view = token.view();
    if (!view.login)
        return CKR_USER_NOT_LOGGED_IN;
    std::string label;
    bool has_curve = false;
    if (const CK_RV code = check_new_key(private_template, CKO_PRIVATE_KEY, label, has_curve); code != CKR_OK)
        return code;
    has_curve = false;
    if (const CK_RV code = check_new_key(public_template, CKO_PUBLIC_KEY, label, has_curve); code != CKR_OK)
        return code;
    if (!has_curve)
        return CKR_TEMPLATE_INCOMPLETE;
    const std::string name = "token " + log::quoted(view.store->header().label) + ": key pair: ";
    const auto& keys = view.store->header().keys;
    if (label.empty())
        label = "key-" + std::to_string(keys.size() + 1);
    if (std::any_of(keys.begin(), keys.end(), [&label](const client::StoredKey& key) { return key.label == label; })) {
        log::error(name + "there is a key with the label " + log::quoted(label) + " already; choose another");
        return CKR_TEMPLATE_INCONSISTENT;
    }
    // One user per store: one request then lists all its keys.
    const auto sibling = std::find_if(keys.begin(), keys.end(), [](const client::StoredKey& key) { return key.kind == client::KeyKind::Single; });
    const UserId user = sibling == keys.end() ? client::new_user_id() : sibling->user_id;
    const auto lease = token.channel(*view.store);
    const Result<MadeKey> outcome =
        lease->run<MadeKey>(make_key(lease->single_keys(view.trust), user, bitcoin::SecretKey::generate(), label));
    if (!outcome) {
        lease->drop();
        log::error(name + outcome.error().detail);
        return code_of(outcome.error().code, During::Sign);
    }
    const client::OwnedKey* const made = outcome->get();
    client::StoredKey stored{.public_key = made->public_key};
    stored.kind = client::KeyKind::Single;
    stored.label = label;
    stored.user_id = made->user_id;
    stored.id = made->id;
    stored.enclave_id = made->enclave_id;
    stored.generated = stored.ecdsa = stored.schnorr = true;
    const Status saved = client::CredentialStore::update(
        token.config().credentials, view.login->store_key, [&](client::CredentialStore::Content& content) -> Status {
            content.header.keys.push_back(stored);
            content.secrets.push_back({client::SessionSecret(), client::secret_copy(made->auth_key)});
            return {};
        });
    if (!saved) {
        // Without its credentials nobody could use the key, or delete it.
        const Status gone = lease->run<void>(lease->single_keys(view.trust).remove(*made));
        log::error(name + saved.error().detail + (gone ? "; the key is deleted again" : "; key " + made->id.text() + " stays where it is, and nobody can use it"));
        return CKR_FUNCTION_FAILED;
    }
    token.refresh(true);
    const TokenView after = token.view();
    for (const Key& key : after.ring->keys()) {
        if (key.stored.public_key == made->public_key) {
            public_key = key.public_handle;
            private_key = key.private_handle;
            return CKR_OK;
        }
    }
    return CKR_FUNCTION_FAILED;
}

} // namespace keymeld::pkcs11
