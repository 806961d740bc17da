#include "core/engine/key_requests.h"

#include "core/base/log.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/ecies.h"
#include "core/engine/field_digest.h"
#include "core/engine/hub.h"
#include "core/engine/keygen_requests.h"
#include "core/engine/wire_build.h"
#include "core/secure/random.h"

namespace keymeld::engine {
namespace {

constexpr std::uint64_t kReservation = 600;     // seconds
constexpr std::uint32_t kMaxListed = 10'000;

Error no_such_key() { return fail(Errc::NotFound, "no such key"); }
Error wrong_header() { return fail(Errc::AuthFailed, "the user signature is wrong"); }

bool header_is_right(const ByteArray<33>& auth_pubkey, const Uuid& scope, const UserId& user, std::string_view header) {
    const auto parsed = crypto::UserSignatureHeader::parse(header);
    const auto key = crypto::PlainPubKey::parse(auth_pubkey);
    return parsed && key && crypto::verify_user_signature(*parsed, *key, scope, user);
}

KeyView view_of(const plugin::KeyRecord& key) {
    KeyView out;
    out.id = key.id;
    out.user_id = key.user_id;
    out.enclave_id = key.enclave_id;
    out.created_at = key.created_at;
    out.public_key = key.public_key;
    out.allowed = key.allowed;
    out.label = key.label;
    out.origin_keygen = key.origin_keygen;
    return out;
}

/// An enclave for a new key; one that is away is waited for only if all are.
Async<Result<std::uint32_t>> choose_enclave(Hub& hub, SteadyTime deadline) {
    std::vector<std::uint32_t> ids = hub.fleet.healthy();
    if (ids.empty()) {
        if (hub.fleet.nodes().empty())
            co_return fail(Errc::EnclaveUnavailable, "no enclave is enabled");
        const std::uint32_t first = hub.fleet.nodes().begin()->first;
        const SteadyTime wait_until = hub.fleet.in_request(deadline).wait_until;
        const Status there = co_await hub.fleet.wait_healthy(first, wait_until);
        if (!there)
            co_return there.error();
        ids.push_back(first);
    }
    co_return ids[hub.next_key_enclave++ % ids.size()];
}

bool room_to_reserve(Hub& hub) {
    const std::size_t most = hub.config.limits.pending_keygen_sessions_total;
    if (hub.reserved_keys.size() >= most)
        std::erase_if(hub.reserved_keys, [now = unix_seconds()](const auto& entry) { return entry.second < now; });
    return hub.reserved_keys.size() < most;
}

Async<Result<ReservedKey>> reserve(Hub& hub, UserId user, SteadyTime deadline) {
    if (!room_to_reserve(hub))
        co_return fail(Errc::Overloaded, "too many key ids are reserved and not used yet");
    const auto enclave = co_await choose_enclave(hub, deadline);
    if (!enclave)
        co_return enclave.error();
    const EnclaveProof& proof = *hub.fleet.find(*enclave)->proof();
    plugin::KeyRecord record;
    record.id = KeyId(Uuid::make_v7(unix_millis(), secure::random_array<10>()));
    record.user_id = user;
    record.enclave_id = *enclave;
    record.enclave_public_key = proof.hello.public_key;
    record.enclave_key_epoch = proof.hello.key_epoch;
    record.created_at = unix_seconds();
    record.expires_at = record.created_at + kReservation;
    hub.reserved_keys.emplace(record.id, record.expires_at);
    const ReservedKey answer{record.id, user, *enclave, record.enclave_public_key, record.enclave_key_epoch, record.expires_at};
    Batch batch;
    batch.push_back(plugin::InsertKey{record});
    const Status stored = co_await hub.store.write(std::move(batch));
    if (!stored) {
        hub.reserved_keys.erase(record.id);
        co_return stored.error();
    }
    co_return answer;
}

/// What import, generate and keep have in common.
struct Making {
    KeyId id;
    UserId user_id;
    std::string header;
    plugin::Hash32 digest{};                     ///< of the request
    std::optional<ByteArray<33>> auth_pubkey;    ///< as the request names it
    std::optional<std::string> label;
    std::optional<plugin::ParticipantRecord> slot; ///< of keep: the key stays where it is
    std::optional<KeygenId> origin;
    Bytes blob;                                  ///< of import
    std::function<void(wire::Request&)> build;
    Batch extra;                                 ///< stored with the key
};

const wire::KeyResult* key_result(const wire::Response& response) {
    switch (response.result_case()) {
    case wire::Response::kImportKey: return &response.import_key();
    case wire::Response::kGenerateKey: return &response.generate_key();
    case wire::Response::kKeepKey: return &response.keep_key();
    default: return nullptr;
    }
}

/// Takes over what the enclave says of the key it made.
Status take_result(const wire::Response& response, plugin::KeyRecord& record, std::optional<ByteArray<32>>& tag) {
    const wire::KeyResult* const made = key_result(response);
    const auto wrong = [] { return fail(Errc::Internal, "the enclave's answer about a key has the wrong form"); };
    if (made == nullptr)
        return wrong();
    const auto public_key = fixed_bytes<33>(made->public_key());
    const auto auth_pubkey = fixed_bytes<33>(made->auth_pubkey());
    const auto allowed = bitcoin::AllowedSignatures::from_bits(made->allowed());
    if (!public_key || !auth_pubkey || !allowed)
        return wrong();
    record.public_key = *public_key;
    record.auth_pubkey = *auth_pubkey;
    record.allowed = *allowed;
    tag = fixed_bytes<32>(made->key_tag());
    return {};
}

Async<Result<KeyView>> make_key(Hub& hub, Making making, SteadyTime deadline) {
    const auto lock = co_await hub.locks.acquire(making.id, deadline);
    if (!lock)
        co_return lock.error();
    const NonceGuard::Claim claim(hub.nonces, user_nonce_key(making.id, session_header_nonce(making.header)));
    const plugin::UseKeyNonce use{claim.key(), making.id};
    std::optional<crypto::Hash256> binding;
    plugin::ReadBatch questions;
    questions.key = making.id;
    questions.key_nonce = claim.key();
    if (!making.blob.empty()) {
        const auto id = crypto::ecies_binding_id(making.blob);
        if (!id)
            co_return fail(Errc::WrongEnclave, "the ciphertext is too short").with("pointer", "/encrypted_private_key");
        binding = *id;
        questions.binding = *id;
    }
    auto stored = co_await hub.store.read(std::move(questions), deadline);
    if (!stored)
        co_return stored.error();
    if (!stored->key || stored->key->user_id != making.user_id)
        co_return no_such_key();
    plugin::KeyRecord record = std::move(*stored->key);
    const bool held = record.held;
    if (!held && record.expires_at < unix_seconds())
        co_return fail(Errc::NotFound, "the reservation has lapsed");
    const bool nonce_used = !claim.fresh() || stored->key_nonce_used;
    if (held && record.request_digest != making.digest) {
        const Status owner = co_await authenticate_owner(hub, record, making.id, making.header, nonce_used, use, deadline);
        if (!owner)
            co_return owner.error();
        co_return fail(Errc::DuplicateId, "the key id is in use with another body");
    }
    if (nonce_used)
        co_return replayed(held ? record.auth_pubkey : making.auth_pubkey.value_or(ByteArray<33>{}), making.id, making.user_id,
                           making.header);
    if (stored->binding && *stored->binding != std::pair(KeygenId(making.id), making.user_id)) {
        // Who has no right to ask is not told what other people's keys came in.
        if (!header_is_right(making.auth_pubkey.value_or(ByteArray<33>{}), making.id, making.user_id, making.header))
            co_return wrong_header();
        const Status remembered = co_await remember_user_nonce(hub, Errc::BlobReused, use);
        if (!remembered)
            co_return remembered.error();
        co_return fail(Errc::BlobReused, "the ciphertext was first used for another key or user")
            .with("pointer", "/encrypted_private_key");
    }
    if (!held && making.slot) {
        record.enclave_id = making.slot->enclave_id;
        record.enclave_public_key = making.slot->enclave_public_key;
        record.enclave_key_epoch = making.slot->enclave_key_epoch;
    }

    EnclaveCall call = key_call(hub, making.id, record.enclave_id, deadline);
    call.source = making.origin;
    call.build = making.build;
    auto made = co_await hub.fleet.ask(std::move(call));
    if (!made) {
        const Status remembered = co_await remember_user_nonce(hub, made.error().code, use);
        if (!remembered)
            co_return remembered.error();
        co_return std::move(made).error();
    }
    std::optional<ByteArray<32>> tag;
    if (const Status taken = take_result(made->response, record, tag); !taken)
        co_return taken.error();
    Batch batch = std::move(making.extra);
    batch.push_back(use);
    if (!held) {
        record.held = true;
        record.created_at = unix_seconds();
        record.label = std::move(making.label);
        record.origin_keygen = making.origin;
        record.request_digest = making.digest;
        if (binding)
            batch.push_back(plugin::BindBlob{*binding, KeygenId(making.id), making.user_id});
        batch.push_back(plugin::HoldKey{record});
    }
    const Status done = co_await hub.sealed.write(making.id, std::move(batch), made->sealed_token);
    if (!done)
        co_return done.error();
    hub.reserved_keys.erase(making.id);
    if (!held)
        log::info("key", "made", {{"key", making.id}, {"enclave", record.enclave_id}});
    KeyView view = view_of(record);
    view.tag = tag;
    co_return view;
}

Async<Result<KeyView>> import(Hub& hub, ImportKey request, SteadyTime deadline) {
    Making making;
    making.id = request.id;
    making.user_id = request.user_id;
    making.header = request.user_header;
    making.auth_pubkey = request.auth_pubkey;
    making.label = request.label;
    making.blob = request.encrypted_private_key;
    FieldDigest digest("keymeld-import-key-v1");
    digest.add(request.id.view()).add(request.user_id.view()).add(request.auth_pubkey).add(request.encrypted_private_key);
    digest.add(request.enclave_public_key).add(request.ecies_aad ? 1u : 0u).add(as_bytes(request.label.value_or("")));
    making.digest = digest.finish();
    making.build = [request = std::move(request)](wire::Request& out) {
        wire::ImportKey& command = *out.mutable_import_key();
        command.set_key_id(wire_bytes(request.id));
        command.set_user_id(wire_bytes(request.user_id));
        command.set_user_header(request.user_header);
        command.set_auth_pubkey(wire_bytes(request.auth_pubkey));
        command.set_encrypted_private_key(wire_bytes(request.encrypted_private_key));
        command.set_enclave_public_key(wire_bytes(request.enclave_public_key));
        command.set_ecies_aad(request.ecies_aad);
    };
    return make_key(hub, std::move(making), deadline);
}

Async<Result<KeyView>> generate(Hub& hub, GenerateKey request, SteadyTime deadline) {
    Making making;
    making.id = request.id;
    making.user_id = request.user_id;
    making.header = request.user_header;
    making.auth_pubkey = request.auth_pubkey;
    making.label = request.label;
    FieldDigest digest("keymeld-generate-key-v1");
    digest.add(request.id.view()).add(request.user_id.view()).add(request.auth_pubkey).add(std::uint64_t{request.allowed.bits()});
    digest.add(as_bytes(request.label.value_or(""))).add(request.encrypted_session_secret);
    making.digest = digest.finish();
    making.build = [request = std::move(request)](wire::Request& out) {
        wire::GenerateKey& command = *out.mutable_generate_key();
        command.set_key_id(wire_bytes(request.id));
        command.set_user_id(wire_bytes(request.user_id));
        command.set_user_header(request.user_header);
        command.set_auth_pubkey(wire_bytes(request.auth_pubkey));
        command.set_allowed(request.allowed.bits());
        command.set_encrypted_tag_key(wire_bytes(request.encrypted_session_secret));
    };
    return make_key(hub, std::move(making), deadline);
}

Async<Result<KeyView>> keep(Hub& hub, KeepKey request, SteadyTime deadline) {
    const auto keygen = co_await hub.keygens.get(request.keygen_id, deadline);
    if (!keygen)
        co_return keygen.error();
    const auto index = keygen->index_of(request.user_id);
    if (!index)
        co_return fail(Errc::NotAParticipant, "the user is not expected in this session");
    const NonceGuard::Claim claim(hub.nonces,
                                  session_nonce_key(request.keygen_id, session_header_nonce(request.session_header)));
    plugin::ReadBatch question;
    question.nonces.push_back(claim.key());
    const auto stored = co_await hub.store.read(std::move(question), deadline);
    if (!stored)
        co_return stored.error();
    plugin::UseNonce use{claim.key(), request.keygen_id, std::nullopt};
    if (!claim.fresh() || stored->nonces_used.at(0)) {
        // Which nonces were used is told to nobody without the session's secret.
        const auto sender = co_await authenticate_and_use(hub, *keygen, false, request.session_header, true, use, *index, deadline);
        co_return sender ? fail(Errc::Internal, "a used nonce was accepted") : sender.error();
    }
    Making making;
    making.id = request.id;
    making.user_id = request.user_id;
    making.header = request.user_header;
    making.label = request.label;
    making.slot = keygen->participants()[*index];
    making.origin = request.keygen_id;
    making.extra.push_back(std::move(use));
    FieldDigest digest("keymeld-keep-key-v1");
    digest.add(request.id.view()).add(request.user_id.view()).add(request.keygen_id.view());
    digest.add(as_bytes(request.label.value_or("")));
    making.digest = digest.finish();
    making.build = [&request](wire::Request& out) { // the coroutine outlives the call
        wire::KeepKey& command = *out.mutable_keep_key();
        command.set_keygen_id(wire_bytes(request.keygen_id));
        command.set_user_id(wire_bytes(request.user_id));
        command.set_key_id(wire_bytes(request.id));
        command.set_session_header(request.session_header);
        command.set_user_header(request.user_header);
    };
    auto made = co_await make_key(hub, std::move(making), deadline);
    if (!made && made.error().code == Errc::WrongState)
        co_return std::move(made).error().with("status", std::string(session::text(keygen->status())));
    co_return made;
}

/// A request about a key that the enclave is only asked to authenticate.
Async<Result<plugin::KeyRecord>> owners_key(Hub& hub, KeyRequest request, SteadyTime deadline) {
    const NonceGuard::Claim claim(hub.nonces, user_nonce_key(request.id, session_header_nonce(request.user_header)));
    plugin::ReadBatch questions;
    questions.key = request.id;
    questions.key_nonce = claim.key();
    auto stored = co_await hub.store.read(std::move(questions), deadline);
    if (!stored)
        co_return stored.error();
    if (!stored->key || !stored->key->held || stored->key->user_id != request.user_id)
        co_return no_such_key();
    const bool nonce_used = !claim.fresh() || stored->key_nonce_used;
    const plugin::UseKeyNonce use{claim.key(), request.id};
    const Status owner =
        co_await authenticate_owner(hub, *stored->key, request.id, std::move(request.user_header), nonce_used, use, deadline);
    if (!owner)
        co_return owner.error();
    co_return std::move(*stored->key);
}

Async<Result<std::vector<KeyView>>> list(Hub& hub, KeyRequest request, SteadyTime deadline) {
    const KeyId id = request.id;
    const auto known = co_await owners_key(hub, std::move(request), deadline);
    if (!known)
        co_return known.error();
    plugin::ReadBatch question;
    question.sibling_keys = std::pair(id, kMaxListed);
    const auto stored = co_await hub.store.read(std::move(question), deadline);
    if (!stored)
        co_return stored.error();
    std::vector<KeyView> out;
    out.reserve(stored->sibling_keys.size());
    for (const plugin::KeyRecord& key : stored->sibling_keys)
        out.push_back(view_of(key));
    co_return out;
}

Async<Status> remove(Hub& hub, KeyRequest request, SteadyTime deadline) {
    const auto lock = co_await hub.locks.acquire(request.id, deadline);
    if (!lock)
        co_return lock.error();
    const NonceGuard::Claim claim(hub.nonces, user_nonce_key(request.id, session_header_nonce(request.user_header)));
    plugin::ReadBatch questions;
    questions.key = request.id;
    questions.key_nonce = claim.key();
    const auto stored = co_await hub.store.read(std::move(questions), deadline);
    if (!stored)
        co_return stored.error();
    if (!stored->key || !stored->key->held || stored->key->user_id != request.user_id)
        co_return no_such_key();
    const plugin::KeyRecord& key = *stored->key;
    const Error used = replayed(key.auth_pubkey, request.id, request.user_id, request.user_header);
    if (!claim.fresh() || stored->key_nonce_used)
        co_return used;
    EnclaveCall call = key_call(hub, request.id, key.enclave_id, deadline);
    call.build = [&request](wire::Request& out) { // the coroutine outlives the call
        wire::DeleteKey& command = *out.mutable_delete_key();
        command.set_key_id(wire_bytes(request.id));
        command.set_user_id(wire_bytes(request.user_id));
        command.set_user_header(request.user_header);
    };
    const auto gone = co_await hub.fleet.ask(std::move(call));
    // NotFound: the enclave did it when it was asked before, and that answer was lost.
    const bool earlier = !gone && gone.error().code == Errc::NotFound && used.code == Errc::NonceReplayed;
    if (!gone && !earlier)
        co_return gone.error();
    hub.sealed.forget(request.id);
    Batch batch;
    batch.push_back(plugin::DeleteKey{request.id});
    const Status deleted = co_await hub.store.write(std::move(batch));
    if (deleted)
        log::info("key", "deleted", {{"key", request.id}, {"enclave", key.enclave_id}});
    co_return deleted;
}

/// Runs a request as an operation, with errors as clients see them.
template <class T, class Request>
Async<Result<T>> as_operation(Hub& hub, Async<Result<T>> (*run)(Hub&, Request, SteadyTime), Request request) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    auto result = co_await run(hub, std::move(request), operation->deadline());
    if (!result)
        co_return for_client(std::move(result).error());
    co_return result;
}

Async<Result<KeyView>> status(Hub& hub, KeyRequest request, SteadyTime deadline) {
    const auto known = co_await owners_key(hub, std::move(request), deadline);
    if (!known)
        co_return known.error();
    co_return view_of(*known);
}

} // namespace

// ---- What signing shares --------------------------------------------------------------------------------------------

EnclaveCall key_call(Hub& hub, const KeyId& key, std::uint32_t enclave, SteadyTime deadline) {
    EnclaveCall call;
    call.enclave = enclave;
    call.owner = key;
    const Patience patience = hub.fleet.in_request(deadline);
    call.deadline = patience.deadline;
    call.wait_until = patience.wait_until;
    return call;
}

Error replayed(const ByteArray<33>& auth_pubkey, const Uuid& scope, const UserId& user, std::string_view header) {
    if (!header_is_right(auth_pubkey, scope, user, header))
        return wrong_header();
    return fail(Errc::NonceReplayed, "the header's nonce was used before");
}

Async<Status> authenticate_owner(Hub& hub, const plugin::KeyRecord& key, Uuid scope, std::string header, bool nonce_used,
                                 plugin::UseKeyNonce use, SteadyTime deadline) {
    if (nonce_used)
        co_return replayed(key.auth_pubkey, scope, key.user_id, header);
    EnclaveCall call = key_call(hub, key.id, key.enclave_id, deadline);
    call.build = [id = key.id, user = key.user_id, scope, header = std::move(header)](wire::Request& out) {
        wire::AuthenticateKey& command = *out.mutable_authenticate_key();
        command.set_key_id(wire_bytes(id));
        command.set_user_id(wire_bytes(user));
        command.set_scope(wire_bytes(scope));
        command.set_user_header(header);
    };
    const auto answer = co_await hub.fleet.ask(std::move(call));
    if (!answer)
        co_return answer.error();
    Batch batch;
    batch.push_back(std::move(use));
    const Status stored = co_await hub.store.write(std::move(batch));
    // The key may have been deleted meanwhile.
    if (!stored && stored.error().code == Errc::StorageConflict)
        co_return no_such_key();
    co_return stored;
}

Async<Status> remember_user_nonce(Hub& hub, Errc refusal, plugin::UseKeyNonce use) {
    // What an enclave says only after it found the header right.
    static constexpr std::array kProved{Errc::WrongEnclave, Errc::KeyMismatch,  Errc::MessageMismatch, Errc::ApprovalExpired,
                                        Errc::NotPermitted, Errc::DuplicateId,  Errc::WrongState,      Errc::BlobReused};
    if (std::find(kProved.begin(), kProved.end(), refusal) == kProved.end())
        co_return Status{};
    Batch batch;
    batch.push_back(std::move(use));
    const Status stored = co_await hub.store.write(std::move(batch));
    if (!stored && stored.error().code == Errc::StorageConflict)
        co_return Status{};
    co_return stored;
}

// ---- Entry points ---------------------------------------------------------------------------------------------------

Async<Result<ReservedKey>> reserve_key(Hub& hub, UserId user) { return as_operation(hub, reserve, user); }
Async<Result<KeyView>> import_key(Hub& hub, ImportKey request) { return as_operation(hub, import, std::move(request)); }
Async<Result<KeyView>> generate_key(Hub& hub, GenerateKey request) {
    return as_operation(hub, generate, std::move(request));
}
Async<Result<KeyView>> keep_key(Hub& hub, KeepKey request) { return as_operation(hub, keep, std::move(request)); }
Async<Result<std::vector<KeyView>>> list_keys(Hub& hub, KeyRequest request) {
    return as_operation(hub, list, std::move(request));
}
Async<Result<KeyView>> key_status(Hub& hub, KeyRequest request) { return as_operation(hub, status, std::move(request)); }
Async<Status> delete_key(Hub& hub, KeyRequest request) { return as_operation(hub, remove, std::move(request)); }

} // namespace keymeld::engine
