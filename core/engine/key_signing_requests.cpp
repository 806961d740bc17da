#include "core/engine/field_digest.h"
#include "core/engine/hub.h"
#include "core/engine/key_requests.h"
#include "core/engine/wire_build.h"
#include "core/secure/random.h"

namespace keymeld::engine {
namespace {

plugin::Hash32 digest_of(const SignSingle& request) {
    FieldDigest digest("keymeld-sign-single-v1");
    digest.add(request.key_id.view()).add(request.user_id.view()).add(as_bytes(request.encrypted_message));
    digest.add(static_cast<std::uint64_t>(request.type)).add(request.encrypted_session_secret);
    digest.add(request.approval_signature).add(request.approval_timestamp);
    digest.add(static_cast<std::uint64_t>(request.tweak.type)).add(request.tweak.value32);
    return digest.finish();
}

SingleSigningView view_of(const plugin::KeySigningRecord& record, const UserId& user) {
    return {record.id, record.key_id, user, record.type, record.encrypted_signature};
}

void fill(const SignSingle& request, const SigningId& id, wire::SignSingle& out) {
    out.set_key_id(wire_bytes(request.key_id));
    out.set_user_id(wire_bytes(request.user_id));
    out.set_signing_id(wire_bytes(id));
    out.set_user_header(request.user_header);
    out.set_encrypted_message(request.encrypted_message);
    out.set_type(static_cast<wire::SignatureType>(request.type));
    out.set_encrypted_session_secret(wire_bytes(request.encrypted_session_secret));
    out.set_approval_signature(wire_bytes(request.approval_signature));
    out.set_approval_timestamp(request.approval_timestamp);
    if (request.tweak.type != bitcoin::TweakType::None) {
        out.mutable_tweak()->set_type(static_cast<wire::TweakConfig::Type>(request.tweak.type));
        if (request.tweak.has_value())
            out.mutable_tweak()->set_value(wire_bytes(request.tweak.value32));
    }
}

Async<Result<SingleSigningView>> sign(Hub& hub, SignSingle request, SteadyTime deadline) {
    KeyedLock::Held lock;
    if (request.id) {
        auto turn = co_await hub.locks.acquire(*request.id, deadline);
        if (!turn)
            co_return turn.error();
        lock = std::move(*turn);
    }
    const SigningId id = request.id.value_or(SigningId(Uuid::make_v7(unix_millis(), secure::random_array<10>())));
    const NonceGuard::Claim claim(hub.nonces, user_nonce_key(request.key_id, session_header_nonce(request.user_header)));
    const plugin::UseKeyNonce use{claim.key(), request.key_id};
    plugin::ReadBatch questions;
    questions.key = request.key_id;
    questions.key_nonce = claim.key();
    questions.key_signing = request.id;
    const auto stored = co_await hub.store.read(std::move(questions), deadline);
    if (!stored)
        co_return stored.error();
    if (!stored->key || !stored->key->held || stored->key->user_id != request.user_id)
        co_return fail(Errc::NotFound, "no such key");
    const plugin::KeyRecord& key = *stored->key;
    const plugin::Hash32 digest = digest_of(request);
    const bool nonce_used = !claim.fresh() || stored->key_nonce_used;
    if (stored->key_signing) {
        const Status owner =
            co_await authenticate_owner(hub, key, request.key_id, std::move(request.user_header), nonce_used, use, deadline);
        if (!owner)
            co_return owner.error();
        if (stored->key_signing->key_id != request.key_id || stored->key_signing->request_digest != digest)
            co_return fail(Errc::DuplicateId, "the signing session id is in use with another body");
        co_return view_of(*stored->key_signing, request.user_id);
    }
    if (nonce_used)
        co_return replayed(key.auth_pubkey, request.key_id, request.user_id, request.user_header);

    EnclaveCall call = key_call(hub, request.key_id, key.enclave_id, deadline);
    call.build = [&request, id](wire::Request& out) { fill(request, id, *out.mutable_sign_single()); }; // the coroutine outlives the call
    auto answer = co_await hub.fleet.ask(std::move(call));
    if (!answer) {
        const Status remembered = co_await remember_user_nonce(hub, answer.error().code, use);
        if (!remembered)
            co_return remembered.error();
        co_return std::move(answer).error();
    }
    plugin::KeySigningRecord record;
    record.id = id;
    record.key_id = request.key_id;
    record.created_at = unix_seconds();
    record.type = request.type;
    record.request_digest = digest;
    record.encrypted_signature = answer->response.sign_single().encrypted_signature();
    SingleSigningView view = view_of(record, request.user_id);
    Batch batch;
    batch.push_back(use);
    batch.push_back(plugin::InsertKeySigning{std::move(record)});
    const Status done = co_await hub.sealed.write(request.key_id, std::move(batch), answer->sealed_token);
    if (!done)
        co_return done.error();
    co_return view;
}

Async<Result<SingleSigningView>> read(Hub& hub, SigningId id, UserId user, std::string header, SteadyTime deadline) {
    plugin::ReadBatch question;
    question.key_signing = id;
    const auto found = co_await hub.store.read(std::move(question), deadline);
    if (!found)
        co_return found.error();
    if (!found->key_signing || !found->key || found->key->user_id != user)
        co_return fail(Errc::NotFound, "no such signing session");
    const KeyId key = found->key->id;
    const NonceGuard::Claim claim(hub.nonces, user_nonce_key(key, session_header_nonce(header)));
    plugin::ReadBatch nonce;
    nonce.key_nonce = claim.key();
    const auto stored = co_await hub.store.read(std::move(nonce), deadline);
    if (!stored)
        co_return stored.error();
    const bool nonce_used = !claim.fresh() || stored->key_nonce_used;
    const plugin::UseKeyNonce use{claim.key(), key};
    const Status owner = co_await authenticate_owner(hub, *found->key, id, std::move(header), nonce_used, use, deadline);
    if (!owner)
        co_return owner.error();
    co_return view_of(*found->key_signing, user);
}

Async<void> sign_one(Hub& hub, SignSingle request, OneShot<Result<SingleSigningView>> done) {
    auto result = co_await sign_single(hub, std::move(request));
    done.set(std::move(result));
}

} // namespace

Async<Result<SingleSigningView>> sign_single(Hub& hub, SignSingle request) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    auto result = co_await sign(hub, std::move(request), operation->deadline());
    if (!result)
        co_return for_client(std::move(result).error());
    co_return result;
}

Async<std::vector<Result<SingleSigningView>>> sign_batch(Hub& hub, std::vector<SignSingle> requests) {
    const std::shared_ptr<Hub> keep = hub.shared_from_this();
    std::vector<OneShot<Result<SingleSigningView>>> all;
    for (SignSingle& request : requests) {
        all.emplace_back(hub.loop);
        spawn(hub.loop, "sign_batch", sign_one(hub, std::move(request), all.back()));
    }
    std::vector<Result<SingleSigningView>> out;
    for (const auto& one : all) {
        auto result = co_await one.wait();
        out.push_back(std::move(result));
    }
    co_return out;
}

Async<Result<SingleSigningView>> single_signing_status(Hub& hub, SigningId id, UserId user, std::string user_header) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    auto result = co_await read(hub, id, user, std::move(user_header), operation->deadline());
    if (!result)
        co_return for_client(std::move(result).error());
    co_return result;
}

} // namespace keymeld::engine
