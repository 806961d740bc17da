#include "core/engine/signing_requests.h"

#include <algorithm>

#include "core/bitcoin/bound_approval.h"
#include "core/engine/hub.h"
#include "core/engine/keygen_requests.h"
#include "core/engine/record_views.h"
#include "core/engine/wire_build.h"

namespace keymeld::engine {
namespace {

constexpr std::size_t kMaxUnfinished = 200'000;

Error wrong_state(std::string_view status) {
    return fail(Errc::WrongState, "the session is in a state that does not allow this").with("status", std::string(status));
}

CreateSigningAnswer creation_answer(const plugin::SigningRecord& record, std::size_t participants) {
    return {record.id, record.keygen_id, static_cast<std::uint32_t>(participants), record.expires_at};
}

/// New work is refused before it costs anything while there is more than can be done soon: what was accepted, its approvals and its status
/// requests go on. A quarter of the requests that may be under way, so that those who wait for the work have room too.
bool has_enough_work(const Hub& hub) { return hub.signings.working() >= std::max(hub.config.limits.max_inflight_requests / 4, 1u); }

Async<Result<CreateSigningAnswer>> create(Hub& hub, CreateSigning request, SteadyTime deadline) {
    if (has_enough_work(hub))
        co_return fail(Errc::Overloaded, "too many signing sessions are under way");
    const auto lock = co_await hub.locks.acquire(request.id, deadline);
    if (!lock)
        co_return lock.error();
    const NonceGuard::Claim claim(hub.nonces,
                                  session_nonce_key(request.keygen_id, session_header_nonce(request.session_header)));
    const plugin::UseNonce use{claim.key(), request.keygen_id, std::nullopt};

    auto keygen = hub.keygens.find(request.keygen_id);
    auto known = hub.signings.find(request.id);
    plugin::ReadBatch questions;
    questions.nonces.push_back(claim.key());
    if (!keygen)
        questions.keygen = request.keygen_id;
    if (!known)
        questions.used_id = request.id;
    const auto stored = co_await hub.store.read(std::move(questions), deadline);
    if (!stored)
        co_return stored.error();
    if (!keygen) {
        auto taken = hub.keygens.take(stored->keygen);
        if (!taken)
            co_return taken.error();
        keygen = std::move(*taken);
    }
    const bool nonce_used = !claim.fresh() || stored->nonces_used.at(0);
    const bool id_used = known || stored->used_id;
    if (nonce_used || id_used || keygen->status() != session::KeygenStatus::Completed) {
        const auto sender = co_await authenticate_and_use(hub, *keygen, false, request.session_header, nonce_used, use,
                                                          std::nullopt, deadline);
        if (!sender)
            co_return sender.error();
        if (id_used && !known) {
            auto earlier = co_await hub.signings.get(request.id, deadline);
            if (earlier)
                known = std::move(*earlier);
            else if (earlier.error().code != Errc::NotFound)
                co_return earlier.error();
        }
        if (known && known->record().request_digest == digest_of(request))
            co_return creation_answer(known->record(), keygen->participants().size());
        if (id_used)
            co_return fail(Errc::DuplicateId, "the signing session id was used before");
        co_return wrong_state(session::text(keygen->status()));
    }
    if (hub.signings.unfinished() >= kMaxUnfinished)
        co_return fail(Errc::Overloaded, "too many signing sessions are unfinished");
    // Completed and still active only in the turn in which it ends.
    if (!keygen->ended)
        co_return fail(Errc::Overloaded, "the keygen session is being finished");

    plugin::SigningRecord record;
    record.id = request.id;
    record.keygen_id = request.keygen_id;
    record.created_at = record.updated_at = unix_seconds();
    record.expires_at = record.created_at + request.timeout_secs;
    record.request_digest = digest_of(request);
    record.session_header = std::move(request.session_header);
    record.message_hash = request.message_hash;
    record.encrypted_message = std::move(request.encrypted_message);
    const CreateSigningAnswer answer = creation_answer(record, keygen->participants().size());

    Batch extra;
    extra.push_back(use);
    const auto session =
        std::make_shared<SigningSession>(hub, keygen->ended, std::move(record), std::vector<plugin::ApprovalRecord>());
    hub.signings.add(session);
    const OneShot<Status> created = session->create(std::move(extra), deadline);
    const Status done = co_await created.wait_until(
        hub.timers, deadline, fail(Errc::DeadlineExceeded, "the signing session could not be accepted in time"));
    if (!done) {
        const Status remembered = co_await remember_nonce(hub, done.error().code, use);
        if (!remembered)
            co_return remembered.error();
        co_return done.error();
    }
    co_return answer;
}

/// A request with X-Signing-HMAC, as far as it is known before an enclave has seen it.
struct SignedRequest {
    SigningRef signing;
    std::uint32_t participant = 0;
    std::unique_ptr<NonceGuard::Claim> claim;
    plugin::UseNonce use;
    bool nonce_used = false;
};

/// A request that writes asks storage about its nonce at once; one that only reads need not, for the nonce's own insertion tells.
enum class Nonce { LookedUp, Inserted };

Async<Result<SignedRequest>> look_up(Hub& hub, SigningId id, const std::string& header, Nonce how, SteadyTime deadline) {
    auto signing = co_await hub.signings.get(id, deadline);
    if (!signing)
        co_return signing.error();
    const auto parts = signing_header_parts(header);
    if (!parts)
        co_return parts.error();
    SignedRequest out;
    out.signing = std::move(*signing);
    const KeygenPtr keygen = out.signing.keygen();
    const auto participant = keygen->index_of(parts->user);
    if (!participant)
        co_return fail(Errc::NotAParticipant, "the user is not a participant of this session");
    out.participant = *participant;
    const ByteArray<33>& key = keygen->participants[*participant].public_key;
    out.claim = std::make_unique<NonceGuard::Claim>(hub.nonces, signing_nonce_key(parts->user, key, parts->nonce));
    out.use = plugin::UseNonce{out.claim->key(), keygen->record.id, parts->user};
    out.nonce_used = !out.claim->fresh();
    if (how == Nonce::Inserted)
        co_return out;
    plugin::ReadBatch questions;
    questions.nonces.push_back(out.claim->key());
    const auto stored = co_await hub.store.read(std::move(questions), deadline);
    if (!stored)
        co_return stored.error();
    out.nonce_used = out.nonce_used || stored->nonces_used.at(0);
    if (const auto now = hub.signings.find(id)) // it may have moved on meanwhile
        out.signing = *now;
    co_return out;
}

KeygenRef ended_keygen(const SignedRequest& request) { return {nullptr, request.signing.keygen()}; }

Async<Status> judge_header(Hub& hub, const SignedRequest& request, std::string header, SteadyTime deadline) {
    const auto sender = co_await authenticate_and_use(hub, ended_keygen(request), true, std::move(header), request.nonce_used,
                                                      request.use, request.participant, deadline);
    if (!sender)
        co_return sender.error();
    co_return Status{};
}

/// What an approval must be even where nobody waits for it (4.10).
Status check_approval(const SignedRequest& signed_request, const ApproveSigning& request) {
    const KeygenInfo& keygen = *signed_request.signing.keygen();
    const plugin::ParticipantRecord& participant = keygen.participants[signed_request.participant];
    if (!request.bound)
        return participant.policy == session::ApprovalPolicy::Bound
                   ? Status(fail(Errc::BoundApprovalRequired, "this participant asked for bound approvals"))
                   : Status();
    if (request.bound->message_hash != signed_request.signing.record().message_hash)
        return fail(Errc::MessageMismatch, "message_hash is not the session's").with("pointer", "/message_hash");
    if (request.bound->expires_at <= unix_seconds())
        return fail(Errc::ApprovalExpired, "the approval has expired");
    KEYMELD_TRY(const auto key, crypto::PlainPubKey::parse(participant.public_key));
    const bitcoin::BoundApproval approval{keygen.record.id, request.id, participant.user_id, request.bound->message_hash,
                                          request.bound->expires_at};
    KEYMELD_TRY(const auto signature, bitcoin::SchnorrSignature::parse(request.bound->signature));
    return approval.verify(signature, key);
}

Async<Status> approve(Hub& hub, ApproveSigning request, SteadyTime deadline) {
    auto found = co_await look_up(hub, request.id, request.signing_header, Nonce::LookedUp, deadline);
    if (!found)
        co_return found.error();
    SignedRequest& known = *found;
    const std::shared_ptr<SigningSession> session = known.signing.active;
    if (known.nonce_used || !session || !session->collecting()) {
        const Status judged = co_await judge_header(hub, known, request.signing_header, deadline);
        if (!judged)
            co_return judged;
        if (known.signing.status() == session::SigningStatus::Failed)
            co_return wrong_state(session::text(session::SigningStatus::Failed));
        co_return check_approval(known, request);
    }
    const std::uint64_t latest =
        unix_seconds() + static_cast<std::uint64_t>(hub.config.limits.approval_max_validity.count());
    if (request.bound && request.bound->expires_at > latest)
        co_return fail(Errc::ValidationFailed, "the approval is valid for longer than is allowed").with("pointer", "/expires_at");

    plugin::ApprovalRecord approval;
    approval.signing_id = request.id;
    approval.user_id = session->keygen()->participants[known.participant].user_id;
    approval.signing_header = std::move(request.signing_header);
    if (request.bound)
        approval.bound = {request.bound->message_hash, request.bound->expires_at, request.bound->signature};
    EnclaveCall call;
    call.enclave = session->keygen()->coordinator();
    call.owner = session->record().keygen_id;
    const Patience patience = hub.fleet.in_request(deadline);
    call.deadline = patience.deadline;
    call.wait_until = patience.wait_until;
    call.build = [session, &approval](wire::Request& out) { // the coroutine outlives the call
        wire::Approve& command = *out.mutable_approve();
        command.set_keygen_id(wire_bytes(session->record().keygen_id));
        command.set_signing_id(wire_bytes(session->record().id));
        fill_approval(approval, *command.mutable_approval());
        fill_evidence(session->record(), *command.mutable_evidence());
    };
    auto accepted = co_await hub.fleet.ask(std::move(call));
    if (!accepted) {
        const Status remembered = co_await remember_nonce(hub, accepted.error().code, known.use);
        if (!remembered)
            co_return remembered;
        if (accepted.error().code == Errc::WrongState)
            co_return wrong_state(session::text(session::SigningStatus::Failed));
        co_return accepted.error();
    }
    Batch batch;
    batch.push_back(known.use);
    if (accepted->response.approve().counts()) {
        const SigningSession::Submitted submitted =
            session->approved(std::move(approval), known.participant, std::move(batch), accepted->sealed_token);
        if (submitted.taken)
            co_return co_await submitted.done.wait_until(
                hub.timers, deadline, fail(Errc::DeadlineExceeded, "the approval could not be stored in time"));
        batch.clear();
        batch.push_back(known.use);
    }
    const Status stored = co_await hub.sealed.write(session->record().keygen_id, std::move(batch), accepted->sealed_token);
    if (!stored)
        co_return stored;
    if (session->shown_status() == session::SigningStatus::Failed)
        co_return wrong_state(session::text(session::SigningStatus::Failed));
    co_return Status{};
}

Async<Result<EnclaveAnswer>> ask_rejection(Hub& hub, std::shared_ptr<SigningSession> session, std::string header,
                                           SteadyTime deadline) {
    EnclaveCall call;
    call.enclave = session->keygen()->coordinator();
    call.owner = session->record().keygen_id;
    const Patience patience = hub.fleet.in_request(deadline);
    call.deadline = patience.deadline;
    call.wait_until = patience.wait_until;
    call.build = [session, header = std::move(header)](wire::Request& out) {
        wire::Reject& command = *out.mutable_reject();
        command.set_keygen_id(wire_bytes(session->record().keygen_id));
        command.set_signing_id(wire_bytes(session->record().id));
        command.set_signing_header(header);
    };
    co_return co_await hub.fleet.ask(std::move(call));
}

/// Lets an enclave that does not know the session (any more) accept it again from the evidence. Approvals are not shown, so it makes no
/// nonces unless nobody must approve.
Async<Result<EnclaveAnswer>> ask_acceptance(Hub& hub, std::shared_ptr<SigningSession> session, SteadyTime deadline) {
    EnclaveCall call;
    call.enclave = session->keygen()->coordinator();
    call.owner = session->record().keygen_id;
    const Patience patience = hub.fleet.in_request(deadline);
    call.deadline = patience.deadline;
    call.wait_until = patience.wait_until;
    call.build = [session](wire::Request& out) {
        wire::SignRound1& command = *out.mutable_sign_round1();
        command.set_keygen_id(wire_bytes(session->record().keygen_id));
        command.set_signing_id(wire_bytes(session->record().id));
        command.set_attempt(std::max(session->record().attempt, 1u));
        fill_evidence(session->record(), *command.mutable_evidence());
    };
    co_return co_await hub.fleet.ask(std::move(call));
}

Async<Result<SigningView>> reject(Hub& hub, SigningId id, std::string header, SteadyTime deadline) {
    auto found = co_await look_up(hub, id, header, Nonce::LookedUp, deadline);
    if (!found)
        co_return found.error();
    SignedRequest& known = *found;
    const std::shared_ptr<SigningSession> session = known.signing.active;
    if (known.nonce_used || !session || !session->collecting()) {
        const Status judged = co_await judge_header(hub, known, header, deadline);
        if (!judged)
            co_return judged.error();
        const plugin::ParticipantRecord& participant = known.signing.keygen()->participants[known.participant];
        if (participant.policy == session::ApprovalPolicy::None)
            co_return fail(Errc::NotPermitted, "only a participant that requires approval may reject");
        SigningView view = known.signing.view();
        if (view.failure && view.failure->type == session::FailureType::Rejected)
            co_return view;
        co_return wrong_state(session::text(view.status));
    }
    auto accepted = co_await ask_rejection(hub, session, header, deadline);
    if (!accepted && accepted.error().code == Errc::NotFound) {
        const auto again = co_await ask_acceptance(hub, session, deadline);
        if (!again)
            co_return again.error();
        accepted = co_await ask_rejection(hub, session, header, deadline);
    }
    if (!accepted) {
        const Status remembered = co_await remember_nonce(hub, accepted.error().code, known.use);
        if (!remembered)
            co_return remembered.error();
        if (accepted.error().code == Errc::WrongState)
            co_return wrong_state(session::text(session->shown_status()));
        co_return accepted.error();
    }
    Batch batch;
    batch.push_back(known.use);
    const SigningSession::Submitted submitted = session->rejected(std::move(batch), accepted->sealed_token);
    if (submitted.taken) {
        const Status done = co_await submitted.done.wait_until(
            hub.timers, deadline, fail(Errc::DeadlineExceeded, "the rejection could not be stored in time"));
        if (!done)
            co_return done.error();
    } else {
        Batch own;
        own.push_back(known.use);
        const Status stored =
            co_await hub.sealed.write(session->record().keygen_id, std::move(own), accepted->sealed_token);
        if (!stored)
            co_return stored.error();
    }
    const auto now = co_await hub.signings.get(id, deadline);
    if (!now)
        co_return now.error();
    SigningView view = now->view();
    if (!view.failure || view.failure->type != session::FailureType::Rejected)
        co_return wrong_state(session::text(view.status));
    co_return view;
}

Async<Result<SigningView>> read_status(Hub& hub, SigningId id, std::string header, SteadyTime deadline) {
    auto found = co_await look_up(hub, id, header, Nonce::Inserted, deadline);
    if (!found)
        co_return found.error();
    const Status judged = co_await judge_header(hub, *found, std::move(header), deadline);
    if (!judged)
        co_return judged.error();
    if (const auto now = hub.signings.find(id)) // it may have moved on meanwhile
        co_return now->view();
    co_return found->signing.view();
}

} // namespace

Async<Result<CreateSigningAnswer>> create_signing(Hub& hub, CreateSigning request) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    auto result = co_await create(hub, std::move(request), operation->deadline());
    if (!result)
        co_return for_client(std::move(result).error());
    hub.observer.on_duration(SessionType::Signing, "create", operation->seconds());
    co_return result;
}

Async<Status> approve_signing(Hub& hub, ApproveSigning request) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    Status result = co_await approve(hub, std::move(request), operation->deadline());
    if (!result)
        co_return for_client(std::move(result).error());
    hub.observer.on_duration(SessionType::Signing, "approve", operation->seconds());
    co_return result;
}

Async<Result<SigningView>> reject_signing(Hub& hub, SigningId id, std::string signing_header) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    auto result = co_await reject(hub, id, std::move(signing_header), operation->deadline());
    if (!result)
        co_return for_client(std::move(result).error());
    hub.observer.on_duration(SessionType::Signing, "reject", operation->seconds());
    co_return result;
}

Async<Result<SigningView>> signing_status(Hub& hub, SigningId id, std::string signing_header) {
    const auto operation = Operation::begin(hub);
    if (!operation)
        co_return operation.error();
    auto result = co_await read_status(hub, id, std::move(signing_header), operation->deadline());
    if (!result)
        co_return for_client(std::move(result).error());
    co_return result;
}

Async<Result<SigningView>> wait_signing(Hub& hub, SigningView from, SteadyTime until, bool by_event) {
    const std::shared_ptr<Hub> keep = hub.shared_from_this();
    while (true) {
        const auto signing = co_await hub.signings.get(from.id, hub.request_deadline());
        if (!signing)
            co_return for_client(signing.error());
        SigningView view = signing->view();
        const bool changed = by_event ? view.event_seq > from.event_seq : view.status != from.status;
        if (changed || !signing->active || session::is_terminal(view.status) || hub.stopping ||
            std::chrono::steady_clock::now() >= until)
            co_return view;
        co_await signing->active->changed(until);
    }
}

} // namespace keymeld::engine
