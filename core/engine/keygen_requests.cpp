#include "core/engine/keygen_requests.h"

#include "core/base/hex.h"
#include "core/crypto/ecies.h"
#include "core/engine/hub.h"
#include "core/engine/record_views.h"
#include "core/engine/wire_build.h"
#include "core/plugin/tweak.h"
#include "core/session/call_outcome.h"
#include "core/session/slot_assignment.h"

namespace keymeld::engine {
namespace {

using Binding = std::optional<std::pair<KeygenId, UserId>>;

bool is_others(const Binding& binding, const KeygenId& keygen, const UserId& user) {
    return binding && *binding != std::pair(keygen, user);
}

Error blob_reused(std::string pointer) {
    return fail(Errc::BlobReused, "the ciphertext was first used for another session or user").with("pointer", std::move(pointer));
}

Error with_enclave(Error error, std::uint32_t enclave, std::uint64_t epoch) {
    if (error.code != Errc::WrongEnclave)
        return error;
    return std::move(error)
        .with("assigned_enclave_id", std::to_string(enclave))
        .with("enclave_key_epoch", std::to_string(epoch));
}

CreateKeygenAnswer creation_answer(const plugin::KeygenRecord& record, std::size_t participants) {
    return {record.id, record.coordinator_enclave_id, static_cast<std::uint32_t>(participants), record.expires_at,
            record.encrypted_session_secret};
}

Result<CreateKeygenAnswer> replay(const KeygenRef& known, const plugin::Hash32& digest) {
    if (known.record().request_digest != digest)
        return fail(Errc::DuplicateId, "the keygen session id is in use with another body");
    return creation_answer(known.record(), known.participants().size());
}

/// The enclave says the last word; a tweak that it must refuse need not reach it.
Status check_tweak(const Hub& hub, const bitcoin::TweakConfig& config) {
    // The rules look at the key only to hash it, so any will do: here the group's generator.
    static constexpr ByteArray<33> kGenerator{0x02, 0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0,
                                              0x62, 0x95, 0xce, 0x87, 0x0b, 0x07, 0x02, 0x9b, 0xfc, 0xdb, 0x2d,
                                              0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98};
    if (!hub.tweak)
        return {};
    if (const auto tweaks = hub.tweak->tweaks(kGenerator, config); !tweaks)
        return fail(Errc::ValidationFailed, "the tweak is not below the group order").with("pointer", "/taproot_tweak_config");
    return {};
}

Result<std::vector<plugin::ParticipantRecord>> reserve_slots(Hub& hub, const CreateKeygen& request) {
    KEYMELD_TRY(const auto slots, session::assign_slots(hub.fleet.healthy(), request.coordinator_enclave_id,
                                                        request.expected_participants.size()));
    std::vector<plugin::ParticipantRecord> participants(slots.size());
    for (std::uint32_t k = 0; k < slots.size(); ++k) {
        const EnclaveProof& proof = *hub.fleet.find(slots[k])->proof();
        participants[k].user_id = request.expected_participants[k];
        participants[k].signer_index = k;
        participants[k].enclave_id = slots[k];
        participants[k].enclave_public_key = proof.hello.public_key;
        participants[k].enclave_key_epoch = proof.hello.key_epoch;
    }
    return participants;
}

Async<Result<CreateKeygenAnswer>> create(Hub& hub, CreateKeygen request, SteadyTime deadline) {
    const config::Limits& limits = hub.config.limits;
    if (hub.fleet.find(request.coordinator_enclave_id) == nullptr)
        co_return fail(Errc::ValidationFailed, "no such enclave").with("pointer", "/coordinator_enclave_id");
    if (const Status tweak = check_tweak(hub, request.tweak); !tweak)
        co_return tweak.error();
    const std::uint32_t max_signings = request.max_signing_sessions.value_or(limits.default_max_signing_sessions);
    const plugin::Hash32 digest = digest_of(request, max_signings);

    const auto lock = co_await hub.locks.acquire(request.id, deadline);
    if (!lock)
        co_return lock.error();
    if (const auto known = hub.keygens.find(request.id))
        co_return replay(*known, digest);
    const auto secret = hex_decode(request.encrypted_session_secret_hex);
    if (!secret)
        co_return fail(Errc::ValidationFailed, "not hex").with("pointer", "/encrypted_session_secret");
    const auto key_binding = crypto::ecies_binding_id(request.coordinator_encrypted_private_key);
    const auto secret_binding = crypto::ecies_binding_id(*secret);
    plugin::ReadBatch questions;
    questions.keygen = request.id;
    questions.used_id = request.id;
    if (key_binding)
        questions.binding = *key_binding;
    const auto stored = co_await hub.store.read(std::move(questions), deadline);
    if (!stored)
        co_return stored.error();
    if (stored->keygen) {
        const auto known = hub.keygens.take(stored->keygen);
        if (!known)
            co_return known.error();
        co_return replay(*known, digest);
    }
    if (stored->used_id)
        co_return fail(Errc::DuplicateId, "the id was used before");
    if (!key_binding || !secret_binding)
        co_return with_enclave(fail(Errc::WrongEnclave, "a ciphertext is too short")
                                   .with("pointer", key_binding ? "/encrypted_session_secret"
                                                                : "/coordinator_encrypted_private_key"),
                               request.coordinator_enclave_id, 0);
    const UserId& coordinator = request.expected_participants.front();
    if (is_others(stored->binding, request.id, coordinator))
        co_return blob_reused("/coordinator_encrypted_private_key");
    plugin::ReadBatch question;
    question.binding = *secret_binding;
    const auto bound = co_await hub.store.read(std::move(question), deadline);
    if (!bound)
        co_return bound.error();
    if (is_others(bound->binding, request.id, coordinator))
        co_return blob_reused("/encrypted_session_secret");

    if (hub.keygens.unfinished() >= limits.pending_keygen_sessions_total)
        co_return fail(Errc::Overloaded, "too many keygen sessions are unfinished");
    const SteadyTime wait_until = hub.fleet.in_request(deadline).wait_until;
    const Status there = co_await hub.fleet.wait_healthy(request.coordinator_enclave_id, wait_until);
    if (!there)
        co_return there.error();
    auto participants = reserve_slots(hub, request);
    if (!participants)
        co_return participants.error();
    std::vector<std::uint32_t> enclaves;
    for (const plugin::ParticipantRecord& participant : *participants)
        if (std::find(enclaves.begin(), enclaves.end(), participant.enclave_id) == enclaves.end())
            enclaves.push_back(participant.enclave_id);
    const Status clean = co_await hub.cleaner.wait_destroyed(request.id, std::move(enclaves), wait_until);
    if (!clean)
        co_return clean.error();

    plugin::KeygenRecord record;
    record.id = request.id;
    record.created_at = record.updated_at = unix_seconds();
    record.expires_at = record.created_at + request.timeout_secs;
    record.request_digest = digest;
    record.coordinator_enclave_id = request.coordinator_enclave_id;
    record.encrypted_session_secret = std::move(request.encrypted_session_secret_hex);
    record.tweak = request.tweak;
    record.key_order = request.key_order;
    record.max_signing_sessions = max_signings;
    record.ecies_aad = request.ecies_aad;
    CreateKeygenAnswer answer = creation_answer(record, participants->size());
    const std::uint64_t epoch = participants->front().enclave_key_epoch;

    Batch extra;
    extra.push_back(plugin::BindBlob{*key_binding, request.id, coordinator});
    extra.push_back(plugin::BindBlob{*secret_binding, request.id, coordinator});
    const auto session = std::make_shared<KeygenSession>(hub, std::move(record), std::move(*participants));
    hub.keygens.add(session);
    const OneShot<Status> created = session->create(
        {request.coordinator_pubkey, std::move(request.coordinator_encrypted_private_key), *secret}, std::move(extra), deadline);
    const Status done =
        co_await created.wait_until(hub.timers, deadline, fail(Errc::DeadlineExceeded, "the session could not be created in time"));
    if (!done)
        co_return with_enclave(done.error(), request.coordinator_enclave_id, epoch);
    co_return answer;
}

RegisterAnswer registration_answer(const plugin::KeygenRecord& record, const plugin::ParticipantRecord& participant,
                                   std::size_t expected) {
    RegisterAnswer out;
    out.keygen_id = record.id;
    out.user_id = participant.user_id;
    out.participants_registered = participant.registered_rank;
    out.expected_participants = static_cast<std::uint32_t>(expected);
    out.signer_index = participant.signer_index;
    out.assigned_enclave_id = participant.enclave_id;
    out.require_signing_approval = participant.policy != session::ApprovalPolicy::None;
    out.enclave_key_epoch = participant.enclave_key_epoch;
    return out;
}

Error wrong_state(const KeygenRef& keygen) {
    return fail(Errc::WrongState, "the keygen session has ended")
        .with("status", std::string(session::text(keygen.status())));
}

Async<Result<RegisterAnswer>> enroll(Hub& hub, RegisterParticipant request, SteadyTime deadline) {
    auto found = co_await hub.keygens.get(request.keygen_id, deadline);
    if (!found)
        co_return found.error();
    KeygenRef keygen = std::move(*found);
    const auto index = keygen.index_of(request.user_id);
    if (!index)
        co_return fail(Errc::NotAParticipant, "the user is not expected in this session");

    // One request per (session, user) at a time: the second finds what the first left.
    Uuid both;
    for (std::size_t i = 0; i < both.bytes.size(); ++i)
        both.bytes[i] = request.keygen_id.bytes[i] ^ request.user_id.bytes[i];
    const auto lock = co_await hub.locks.acquire(both, deadline);
    if (!lock)
        co_return lock.error();

    const session::ApprovalPolicy policy = effective_policy(request);
    const plugin::Hash32 digest = digest_of(request, policy);
    const NonceGuard::Claim claim(hub.nonces,
                                  session_nonce_key(request.keygen_id, session_header_nonce(request.session_header)));
    const plugin::UseNonce use{claim.key(), request.keygen_id, std::nullopt};
    const auto binding_id = crypto::ecies_binding_id(request.encrypted_private_key);
    plugin::ReadBatch questions;
    questions.nonces.push_back(claim.key());
    if (binding_id)
        questions.binding = *binding_id;
    const auto stored = co_await hub.store.read(std::move(questions), deadline);
    if (!stored)
        co_return stored.error();
    const bool nonce_used = !claim.fresh() || stored->nonces_used.at(0);
    const bool reused = is_others(stored->binding, request.keygen_id, request.user_id);

    const auto is_registered = [&] {
        return keygen.active ? keygen.active->shown_registered(*index) : keygen.participants()[*index].registered;
    };
    if (nonce_used || reused || is_registered() || session::is_terminal(keygen.status())) {
        const auto sender = co_await authenticate_and_use(hub, keygen, false, request.session_header, nonce_used, use, *index,
                                                          deadline);
        if (!sender)
            co_return sender.error();
        const plugin::ParticipantRecord& known = keygen.participants()[*index];
        if (is_registered()) {
            if (known.request_digest != digest)
                co_return fail(Errc::AlreadyRegistered, "the user registered before with another body");
            co_return registration_answer(keygen.record(), known, keygen.participants().size());
        }
        if (session::is_terminal(keygen.status()))
            co_return wrong_state(keygen);
        co_return blob_reused("/encrypted_private_key");
    }
    plugin::ParticipantRecord participant = keygen.participants()[*index];

    EnclaveCall call;
    call.enclave = participant.enclave_id;
    call.owner = request.keygen_id;
    const Patience patience = hub.fleet.in_request(deadline);
    call.deadline = patience.deadline;
    call.wait_until = patience.wait_until;
    call.build = [&request, policy](wire::Request& out) { // the coroutine outlives the call
        wire::Register& command = *out.mutable_register_();
        command.set_keygen_id(wire_bytes(request.keygen_id));
        command.set_session_header(request.session_header);
        command.set_user_id(wire_bytes(request.user_id));
        command.set_encrypted_private_key(wire_bytes(request.encrypted_private_key));
        command.set_public_key(wire_bytes(request.public_key));
        command.set_policy(wire_policy(policy));
    };
    auto accepted = co_await hub.fleet.ask(std::move(call));
    if (!accepted) {
        const Status remembered = co_await remember_nonce(hub, accepted.error().code, use);
        if (!remembered)
            co_return remembered.error();
        co_return with_enclave(std::move(accepted).error(), participant.enclave_id, participant.enclave_key_epoch);
    }
    const auto tag = fixed_bytes<32>(accepted->response.register_().registration().tag());
    if (!tag || !binding_id)
        co_return fail(Errc::Internal, "the enclave's answer to a registration has the wrong form");

    participant.registered = true;
    participant.public_key = request.public_key;
    participant.policy = policy;
    participant.registration_tag = *tag;
    participant.registered_rank = keygen.active->next_rank();
    participant.request_digest = digest;
    const RegisterAnswer answer = registration_answer(keygen.record(), participant, keygen.participants().size());
    Batch extra;
    extra.push_back(use);
    extra.push_back(plugin::BindBlob{*binding_id, request.keygen_id, request.user_id});
    const OneShot<Status> stored_now =
        keygen.active->registered(std::move(participant), std::move(extra), accepted->sealed_token);
    const Status done = co_await stored_now.wait_until(
        hub.timers, deadline, fail(Errc::DeadlineExceeded, "the registration could not be completed in time"));
    if (!done)
        co_return done.error();
    co_return answer;
}

Async<Result<KeygenView>> read_status(Hub& hub, KeygenId id, std::string header, SteadyTime deadline) {
    auto keygen = co_await hub.keygens.get(id, deadline);
    if (!keygen)
        co_return keygen.error();
    // Whether the nonce is new, its insertion tells.
    const NonceGuard::Claim claim(hub.nonces, session_nonce_key(id, session_header_nonce(header)));
    const auto sender = co_await authenticate_and_use(hub, *keygen, false, std::move(header), !claim.fresh(),
                                                      plugin::UseNonce{claim.key(), id, std::nullopt}, std::nullopt, deadline);
    if (!sender)
        co_return sender.error();
    // It may have moved on meanwhile.
    if (auto now = hub.keygens.find(id))
        co_return now->view(*sender);
    co_return keygen->view(*sender);
}

} // namespace

Async<Result<std::uint32_t>> authenticate(Hub& hub, KeygenRef keygen, bool signing, std::string header, SteadyTime deadline) {
    EnclaveCall call;
    call.enclave = keygen.coordinator();
    call.owner = keygen.record().id;
    const Patience patience = hub.fleet.in_request(deadline);
    call.deadline = patience.deadline;
    call.wait_until = patience.wait_until;
    call.build = [id = keygen.record().id, signing, header = std::move(header)](wire::Request& request) {
        wire::Authenticate& command = *request.mutable_authenticate();
        command.set_keygen_id(wire_bytes(id));
        if (signing)
            command.set_signing_header(header);
        else
            command.set_session_header(header);
    };
    const auto answer = co_await hub.fleet.ask(std::move(call));
    if (!answer)
        co_return answer.error();
    const std::uint32_t index = answer->response.authenticate().signer_index();
    if (index >= keygen.participants().size())
        co_return fail(Errc::Internal, "the enclave named a participant that the session does not have");
    co_return index;
}

Async<Result<std::uint32_t>> authenticate_and_use(Hub& hub, KeygenRef keygen, bool signing, std::string header, bool nonce_used,
                                                  plugin::UseNonce use, std::optional<std::uint32_t> expected,
                                                  SteadyTime deadline) {
    const auto began = std::chrono::steady_clock::now();
    const auto sender = co_await authenticate(hub, std::move(keygen), signing, std::move(header), deadline);
    if (!sender)
        co_return sender.error();
    if (expected && *sender != *expected)
        co_return fail(Errc::AuthFailed, "the header is not of the user that the request names");
    if (nonce_used)
        co_return fail(Errc::NonceReplayed, "the header's nonce was used before");
    Batch batch;
    batch.push_back(std::move(use));
    const Status stored = co_await hub.store.write(std::move(batch));
    if (!stored && stored.error().code == Errc::StorageConflict)
        co_return fail(Errc::NonceReplayed, "the header's nonce was used before");
    if (!stored)
        co_return stored.error();
    hub.observer.on_duration(signing ? SessionType::Signing : SessionType::Keygen, "authenticate",
                             std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    co_return *sender;
}

Async<Status> remember_nonce(Hub& hub, Errc refusal, plugin::UseNonce use) {
    // What an enclave says only after it found the header right.
    static constexpr std::array kProved{Errc::WrongEnclave,    Errc::KeyMismatch,  Errc::MessageMismatch, Errc::BoundApprovalRequired,
                                        Errc::ApprovalExpired, Errc::NotPermitted, Errc::DuplicateId,     Errc::AlreadyRegistered,
                                        Errc::WrongState,      Errc::QuotaExceeded, Errc::BlobReused};
    if (std::find(kProved.begin(), kProved.end(), refusal) == kProved.end())
        co_return Status{};
    Batch batch;
    batch.push_back(std::move(use));
    co_return co_await hub.store.write(std::move(batch));
}

Async<Result<CreateKeygenAnswer>> create_keygen(Hub& hub, CreateKeygen request) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    auto result = co_await create(hub, std::move(request), operation->deadline());
    if (!result)
        co_return for_client(std::move(result).error());
    hub.observer.on_duration(SessionType::Keygen, "create", operation->seconds());
    co_return result;
}

Async<Result<SlotsAnswer>> keygen_slots(Hub& hub, KeygenId id) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    const auto keygen = co_await hub.keygens.get(id, operation->deadline());
    if (!keygen)
        co_return for_client(keygen.error());
    if (!keygen->active || session::is_terminal(keygen->status()))
        co_return wrong_state(*keygen);
    co_return keygen->active->slots();
}

Async<Result<RegisterAnswer>> register_participant(Hub& hub, RegisterParticipant request) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    auto result = co_await enroll(hub, std::move(request), operation->deadline());
    if (!result)
        co_return for_client(std::move(result).error());
    hub.observer.on_duration(SessionType::Keygen, "register", operation->seconds());
    co_return result;
}

Async<Result<KeygenView>> keygen_status(Hub& hub, KeygenId id, std::string session_header) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    auto result = co_await read_status(hub, id, std::move(session_header), operation->deadline());
    if (!result)
        co_return for_client(std::move(result).error());
    co_return result;
}

Async<Result<KeygenView>> wait_keygen(Hub& hub, KeygenView from, SteadyTime until, bool by_event) {
    const std::shared_ptr<Hub> keep = hub.shared_from_this();
    while (true) {
        const auto keygen = co_await hub.keygens.get(from.id, hub.request_deadline());
        if (!keygen)
            co_return for_client(keygen.error());
        KeygenView view = keygen->view(from.signer_index);
        const bool changed = by_event ? view.event_seq > from.event_seq : view.status != from.status;
        if (changed || !keygen->active || session::is_terminal(view.status) || hub.stopping ||
            std::chrono::steady_clock::now() >= until)
            co_return view;
        co_await keygen->active->changed(until);
    }
}

} // namespace keymeld::engine
