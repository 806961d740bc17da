// Answers about single keys (rest-keys.md).
#include "appliance/api/encode.h"
#include "appliance/json/writer.h"

namespace keymeld::api {
namespace {

using json::Writer;

void write_allowed(Writer& w, const bitcoin::AllowedSignatures& allowed) {
    w.key("allowed").begin_array();
    for (const auto type : {bitcoin::SignatureType::Ecdsa, bitcoin::SignatureType::SchnorrBip340})
        if (allowed.has(type))
            w.text(bitcoin::text(type));
    w.end_array();
}

} // namespace

std::string encode(const engine::ReservedKey& key) {
    Writer w;
    w.begin_object().member("key_id", key.id).member("user_id", key.user_id).member("enclave_id", key.enclave_id);
    w.key("enclave_public_key").hex(key.enclave_public_key);
    w.member("enclave_key_epoch", key.enclave_key_epoch).member("expires_at", key.expires_at).end_object();
    return w.take();
}

std::string encode_made(const engine::KeyView& key) {
    Writer w;
    w.begin_object().member("key_id", key.id).member("user_id", key.user_id).member("enclave_id", key.enclave_id);
    w.key("public_key").hex(key.public_key);
    if (key.tag)
        w.key("key_tag").hex(*key.tag);
    w.end_object();
    return w.take();
}

std::string encode_kept(const engine::KeyView& key, const KeygenId& keygen) {
    Writer w;
    w.begin_object().member("key_id", key.id).member("user_id", key.user_id).member("keygen_session_id", keygen);
    w.key("public_key").hex(key.public_key).end_object();
    return w.take();
}

std::string encode_keys(const UserId& user, const std::vector<engine::KeyView>& keys) {
    Writer w;
    w.begin_object().member("user_id", user).key("keys").begin_array();
    for (const engine::KeyView& key : keys) {
        w.begin_object().member("user_id", key.user_id).member("key_id", key.id).member("created_at", key.created_at);
        if (key.origin_keygen)
            w.member("origin_keygen_session_id", *key.origin_keygen);
        w.key("public_key").hex(key.public_key);
        if (key.label)
            w.member("label", *key.label);
        write_allowed(w, key.allowed);
        w.member("enclave_id", key.enclave_id);
        w.end_object();
    }
    w.end_array().end_object();
    return w.take();
}

std::string encode_status(const engine::KeyView& key) {
    Writer w;
    w.begin_object().member("key_id", key.id).member("user_id", key.user_id).member("status", "completed");
    w.member("created_at", key.created_at).key("public_key").hex(key.public_key);
    w.member("enclave_id", key.enclave_id).end_object();
    return w.take();
}

std::string encode_deleted(const KeyId& key, const UserId& user) {
    Writer w;
    w.begin_object().member("key_id", key).member("user_id", user).member("deleted", true).end_object();
    return w.take();
}

std::string encode(const engine::SingleSigningView& view) {
    Writer w;
    w.begin_object().member("signing_session_id", view.id).member("user_id", view.user_id).member("key_id", view.key_id);
    w.member("status", "completed").member("encrypted_signature", view.encrypted_signature);
    w.member("signature_type", bitcoin::text(view.type)).end_object();
    return w.take();
}

std::string encode_batch(const std::vector<std::string>& errors_and_answers) {
    Writer w;
    w.begin_object().key("results").begin_array();
    for (const std::string& one : errors_and_answers)
        w.raw(one);
    w.end_array().end_object();
    return w.take();
}

} // namespace keymeld::api
