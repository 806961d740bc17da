#include "core/engine/signing_session.h"

#include "core/base/log.h"
#include "core/engine/hub.h"
#include "core/engine/record_views.h"
#include "core/engine/wire_build.h"

namespace keymeld::engine {

namespace signing = session::signing;
using std::chrono::steady_clock;

namespace {

double seconds_since(SteadyTime began) { return std::chrono::duration<double>(steady_clock::now() - began).count(); }

} // namespace

SigningSession::SigningSession(Hub& hub, KeygenPtr keygen, plugin::SigningRecord record,
                               std::vector<plugin::ApprovalRecord> approvals)
    : m_hub(hub), m_keygen(std::move(keygen)), m_record(std::move(record)), m_waiters(hub.loop, hub.timers) {
    std::vector<signing::Participant> participants;
    participants.reserve(m_keygen->participants.size());
    for (const plugin::ParticipantRecord& participant : m_keygen->participants)
        participants.push_back({participant.policy != session::ApprovalPolicy::None, false, 0});
    for (plugin::ApprovalRecord& approval : approvals)
        if (const auto index = m_keygen->index_of(approval.user_id)) {
            participants[*index].approved = true;
            participants[*index].bound_expires_at = approval.bound ? approval.bound->expires_at : 0;
            m_approvals.emplace(*index, std::move(approval));
        }
    m_state = signing::make_state(static_cast<std::uint32_t>(m_keygen->enclaves.size()), std::move(participants),
                                  m_record.expires_at, hub.config.limits.enclave_retry_max);
    m_contributions.resize(m_keygen->enclaves.size());
    m_boxes.resize(m_keygen->enclaves.size());
    m_began = steady_clock::now();
}

OneShot<Status> SigningSession::create(Batch extra, SteadyTime deadline) {
    m_extra = std::move(extra);
    m_create_deadline = deadline;
    m_create_answer.emplace(m_hub.loop);
    drive(signing::event::Create{unix_seconds()});
    return *m_create_answer;
}

void SigningSession::resume() {
    m_inserted = true;
    m_state.status = m_record.status;
    m_state.attempt = m_record.attempt;
    m_state.stored_once = true;
    m_shown = {true, m_record.status, m_record.event_seq, m_record.updated_at, {}};
    for (const signing::Participant& participant : m_state.participants)
        m_shown.approved.push_back(participant.approved);
    m_hub.observer.on_active(SessionType::Signing, session::text(m_shown.status), 1);
    drive(signing::event::Resume{unix_seconds()});
}

void SigningSession::stop() {
    m_stopped = true;
    m_hub.timers.cancel(m_clock);
    m_hub.timers.cancel(m_retry);
    const Error error = fail(Errc::Cancelled, "the appliance is stopping");
    if (m_create_answer)
        m_create_answer->set(error);
    for (auto& [number, ticket] : std::exchange(m_tickets, {}))
        ticket.set(error);
    m_waiters.wake();
}

SigningView SigningSession::view() const {
    SigningView out = view_of(m_record, *m_keygen);
    // The working record may be ahead of what is durable.
    out.status = m_shown.status;
    out.event_seq = m_shown.event_seq;
    out.updated_at = m_shown.updated_at;
    out.expires_at = m_shown.status == session::SigningStatus::Failed ? 0 : m_record.expires_at;
    out.final_signature.reset();
    if (m_shown.status == session::SigningStatus::Completed)
        out.final_signature = m_record.final_signature;
    if (m_shown.status != session::SigningStatus::Failed)
        out.failure.reset();
    if (m_shown.status == session::SigningStatus::CollectingParticipants)
        for (const plugin::ParticipantRecord& participant : m_keygen->participants) {
            if (participant.policy == session::ApprovalPolicy::None)
                continue;
            out.participants_requiring_approval.push_back(participant.user_id);
            if (m_shown.approved[participant.signer_index])
                out.approved_participants.push_back(participant.user_id);
        }
    return out;
}

// ---- Decisions of participants --------------------------------------------------------------------------------------

template <class E> SigningSession::Submitted SigningSession::submit(E event, Batch extra, std::uint64_t sealed_token) {
    const Submitted submitted{true, OneShot<Status>(m_hub.loop)};
    if (m_stopped || m_state.phase == signing::Phase::Ended)
        return {false, submitted.done};
    const std::size_t before = m_extra.size();
    for (plugin::Mutation& mutation : extra)
        m_extra.push_back(std::move(mutation));
    if (sealed_token != 0 && m_oldest_token == 0)
        m_oldest_token = sealed_token;
    event.ticket = ++m_last_ticket;
    m_tickets.emplace(event.ticket, submitted.done);
    drive(event);
    if (submitted.done.is_set() && m_extra.size() > before) {
        // Refused at once: nothing of it was given to storage.
        m_extra.resize(before);
        return {false, submitted.done};
    }
    return submitted;
}

SigningSession::Submitted SigningSession::approved(plugin::ApprovalRecord approval, std::uint32_t participant, Batch extra,
                                                   std::uint64_t sealed_token) {
    const std::uint64_t bound_until = approval.bound ? approval.bound->expires_at : 0;
    if (collecting()) {
        m_approvals.insert_or_assign(participant, approval);
        extra.push_back(plugin::PutApproval{std::move(approval)});
    }
    return submit(signing::event::ApprovalGiven{unix_seconds(), participant, bound_until, 0}, std::move(extra), sealed_token);
}

SigningSession::Submitted SigningSession::rejected(Batch extra, std::uint64_t sealed_token) {
    return submit(signing::event::Rejected{0}, std::move(extra), sealed_token);
}

void SigningSession::settle(std::uint64_t number, Status status) {
    auto ticket = m_tickets.extract(number);
    if (!ticket.empty())
        ticket.mapped().set(std::move(status));
}

// ---- The machine ----------------------------------------------------------------------------------------------------

void SigningSession::drive(const signing::Event& event) {
    if (m_stopped)
        return;
    const auto self = shared_from_this(); // Release may drop the last other owner
    signing::Effects effects;
    effects.reserve(8);
    signing::step(m_state, event, effects);
    for (const signing::Effect& effect : effects)
        std::visit([this](const auto& e) { perform(e); }, effect);
    count_work();
    if (!m_stopped)
        arm_clock();
}

void SigningSession::count_work() {
    const auto working = [](signing::Phase phase) {
        switch (phase) {
        case signing::Phase::New:
        case signing::Phase::Collecting:
        case signing::Phase::Ended:
        case signing::Phase::Suspended: return false;
        case signing::Phase::Accepting:
        case signing::Phase::Round1:
        case signing::Phase::Round2:
        case signing::Phase::Finish:
        case signing::Phase::Backoff:
        case signing::Phase::Ending: return true;
        }
        return false;
    };
    if (working(m_state.phase) != m_working) {
        m_working = !m_working;
        m_hub.signings.count_working(m_working);
    }
}

void SigningSession::arm_clock() {
    const auto deadline = signing::next_deadline(m_state);
    if (deadline == m_clock_at)
        return;
    m_clock_at = deadline;
    m_hub.timers.cancel(m_clock);
    if (!deadline)
        return;
    const std::uint64_t now = unix_millis();
    const std::uint64_t due = *deadline * 1000;
    m_clock = m_hub.timers.after(std::chrono::milliseconds(due > now ? due - now : 0), [weak = weak_from_this()] {
        if (const auto self = weak.lock()) {
            self->m_clock_at.reset();
            self->drive(signing::event::Clock{unix_seconds()});
        }
    });
}

EnclaveCall SigningSession::call_to(std::uint32_t index, bool patient) const {
    EnclaveCall call;
    call.enclave = m_keygen->enclaves[index];
    call.owner = m_record.keygen_id;
    const Patience patience = !patient                                            ? m_hub.fleet.at_once()
                              : m_state.phase == signing::Phase::Accepting ? m_hub.fleet.in_request(m_create_deadline)
                                                                           : m_hub.fleet.in_background();
    call.deadline = patience.deadline;
    call.wait_until = patience.wait_until;
    return call;
}

std::optional<Errc> SigningSession::note(Result<EnclaveAnswer>& answer) {
    if (!answer)
        return answer.error().code;
    if (answer->sealed_token != 0 && m_oldest_token == 0)
        m_oldest_token = answer->sealed_token;
    return std::nullopt;
}

void SigningSession::perform(const signing::effect::SendRound1& effect) {
    if (effect.enclave == 0)
        m_step_began = steady_clock::now();
    m_boxes[effect.enclave].clear();
    EnclaveCall call = call_to(effect.enclave, effect.patient);
    call.build = [self = shared_from_this(), attempt = effect.attempt](wire::Request& request) {
        wire::SignRound1& round = *request.mutable_sign_round1();
        round.set_keygen_id(wire_bytes(self->m_record.keygen_id));
        round.set_signing_id(wire_bytes(self->m_record.id));
        round.set_attempt(attempt);
        fill_evidence(self->m_record, *round.mutable_evidence());
        for (const auto& [index, approval] : self->m_approvals)
            fill_approval(approval, *round.add_approvals());
    };
    call.done = [self = shared_from_this(), index = effect.enclave](Result<EnclaveAnswer> answer) {
        self->drive(self->round1(index, std::move(answer)));
    };
    m_hub.fleet.call(std::move(call));
}

signing::event::Round1Answered SigningSession::round1(std::uint32_t enclave, Result<EnclaveAnswer> answer) {
    signing::event::Round1Answered event{unix_seconds(), enclave, note(answer), false, false};
    if (!answer) {
        m_hub.observer.on_musig("nonce_gen", false);
        if (enclave == 0)
            m_create_error = std::move(answer).error();
        return event;
    }
    wire::SignRound1Result& result = *answer->response.mutable_sign_round1();
    event.awaiting = result.awaiting_size() > 0;
    event.final_signature = !result.final_signature().empty();
    if (event.final_signature) {
        m_record.final_signature = std::move(*result.mutable_final_signature());
        for (const std::string_view operation : {"nonce_gen", "partial_sign", "sig_agg"})
            m_hub.observer.on_musig(operation, true);
    } else if (!event.awaiting) {
        m_contributions[enclave] = std::move(*result.mutable_contribution());
        m_hub.observer.on_musig("nonce_gen", true);
    }
    return event;
}

void SigningSession::perform(const signing::effect::SendRound2& effect) {
    if (effect.enclave == 1)
        count_step("round1");
    EnclaveCall call = call_to(effect.enclave, true);
    call.build = [self = shared_from_this(), attempt = effect.attempt](wire::Request& request) {
        wire::SignRound2& round = *request.mutable_sign_round2();
        round.set_keygen_id(wire_bytes(self->m_record.keygen_id));
        round.set_signing_id(wire_bytes(self->m_record.id));
        round.set_attempt(attempt);
        self->share_contributions(*round.mutable_contributions());
    };
    call.done = [self = shared_from_this(), index = effect.enclave](Result<EnclaveAnswer> answer) {
        const std::optional<Errc> error = self->note(answer);
        self->m_hub.observer.on_musig("partial_sign", !error);
        if (!error)
            self->m_boxes[index] = std::move(*answer->response.mutable_sign_round2()->mutable_box());
        self->drive(signing::event::Round2Answered{index, error});
    };
    m_hub.fleet.call(std::move(call));
}

void SigningSession::share_contributions(google::protobuf::RepeatedPtrField<wire::NonceContribution>& out) {
    for (wire::NonceContribution& contribution : m_contributions)
        out.UnsafeArenaAddAllocated(&contribution); // the request is in an arena and leaves them to us
}

void SigningSession::perform(const signing::effect::SendFinish& effect) {
    count_step("round2");
    EnclaveCall call = call_to(0, true);
    call.build = [self = shared_from_this(), attempt = effect.attempt](wire::Request& request) {
        wire::SignFinish& finish = *request.mutable_sign_finish();
        finish.set_keygen_id(wire_bytes(self->m_record.keygen_id));
        finish.set_signing_id(wire_bytes(self->m_record.id));
        finish.set_attempt(attempt);
        self->share_contributions(*finish.mutable_contributions());
        for (std::size_t e = 1; e < self->m_boxes.size(); ++e) {
            wire::SignFinish::Partial& partial = *finish.add_partials();
            partial.set_enclave(self->m_contributions[e].enclave());
            partial.set_box(self->m_boxes[e]);
        }
    };
    call.done = [self = shared_from_this()](Result<EnclaveAnswer> answer) {
        const std::optional<Errc> error = self->note(answer);
        self->m_hub.observer.on_musig("sig_agg", !error);
        if (!error)
            self->m_record.final_signature = std::move(*answer->response.mutable_sign_finish()->mutable_final_signature());
        self->drive(signing::event::FinishAnswered{error});
    };
    m_hub.fleet.call(std::move(call));
}

void SigningSession::count_step(std::string_view step) {
    m_hub.observer.on_duration(SessionType::Signing, step, seconds_since(m_step_began));
    m_step_began = steady_clock::now();
}

void SigningSession::perform(const signing::effect::DropApproval& effect) {
    m_approvals.erase(effect.participant);
    m_extra.push_back(plugin::DeleteApproval{m_record.id, m_keygen->participants[effect.participant].user_id});
}

void SigningSession::perform(const signing::effect::Persist&) {
    const bool first = !std::exchange(m_inserted, true);
    m_record.attempt = m_state.attempt;
    m_record.updated_at = unix_seconds();
    if (m_state.failure && !m_record.failure) {
        std::optional<std::uint32_t> enclave;
        if (m_state.failure_code)
            enclave = m_keygen->enclaves[m_state.failure_enclave];
        m_record.failure = {*m_state.failure, failure_message(*m_state.failure, m_state.failure_code, enclave)};
    }
    std::vector<bool> approved;
    approved.reserve(m_state.participants.size());
    for (const signing::Participant& participant : m_state.participants)
        approved.push_back(participant.approved);
    if (first || m_record.status != m_state.status || approved != m_writing.approved)
        ++m_record.event_seq;
    m_record.status = m_state.status;
    m_writing = {true, m_record.status, m_record.event_seq, m_record.updated_at, std::move(approved)};

    Batch batch;
    batch.reserve(m_extra.size() + 1 + m_keygen->enclaves.size());
    if (first) {
        batch.push_back(plugin::InsertSigning{m_record});
    } else {
        // Only what an update writes.
        plugin::SigningRecord update;
        update.id = m_record.id;
        update.keygen_id = m_record.keygen_id;
        update.version = m_record.version;
        update.status = m_record.status;
        update.attempt = m_record.attempt;
        update.updated_at = m_record.updated_at;
        update.event_seq = m_record.event_seq;
        if (m_record.status == session::SigningStatus::Completed)
            update.final_signature = m_record.final_signature;
        update.failure = m_record.failure;
        batch.push_back(plugin::UpdateSigning{std::move(update)});
    }
    ++m_record.version;
    for (plugin::Mutation& mutation : m_extra)
        batch.push_back(std::move(mutation));
    m_extra.clear();
    m_hub.sealed.write(m_record.keygen_id, std::move(batch), std::exchange(m_oldest_token, 0),
                       [self = shared_from_this(), began = steady_clock::now()](Status status) {
                           self->m_hub.observer.on_duration(SessionType::Signing, "store", seconds_since(began));
                           if (status)
                               return self->drive(signing::event::Stored{unix_seconds()});
                           log::error("storage", "signing_not_stored",
                                      {{"signing", self->m_record.id}, {"error", status.error().code},
                                       {"why", status.error().detail}});
                           self->m_create_error = status.error();
                           self->drive(signing::event::StoreFailed{});
                       });
}

void SigningSession::perform(const signing::effect::AnswerCreate&) { m_create_answer->set({}); }

void SigningSession::perform(const signing::effect::RefuseCreate& effect) {
    if (effect.code == Errc::QuotaExceeded)
        m_hub.observer.on_quota_violation();
    m_create_answer->set(m_create_error ? *m_create_error : fail(effect.code, "the signing session could not be created"));
}

void SigningSession::perform(const signing::effect::AnswerTicket& effect) { settle(effect.ticket, {}); }

void SigningSession::perform(const signing::effect::RefuseTicket& effect) {
    settle(effect.ticket, fail(effect.code, "the signing session has ended")
                              .with("status", std::string(session::text(m_state.status))));
}

void SigningSession::perform(const signing::effect::Publish&) {
    const Shown before = std::exchange(m_shown, m_writing);
    if (before.any && before.event_seq == m_shown.event_seq)
        return;
    Observer& observer = m_hub.observer;
    if (!before.any || before.status != m_shown.status) {
        const std::string_view to = session::text(m_shown.status);
        const bool failed = m_shown.status == session::SigningStatus::Failed;
        observer.on_transition(SessionType::Signing, before.any ? session::text(before.status) : "none", to, !failed);
        if (before.any)
            observer.on_active(SessionType::Signing, session::text(before.status), -1);
        if (!session::is_terminal(m_shown.status))
            observer.on_active(SessionType::Signing, to, 1);
        if (m_shown.status == session::SigningStatus::Completed) {
            if (m_keygen->enclaves.size() > 1)
                observer.on_duration(SessionType::Signing, "finish", seconds_since(m_step_began));
            observer.on_duration(SessionType::Signing, "total", seconds_since(m_began));
        }
        if (failed && m_record.failure) {
            observer.on_session_error(SessionType::Signing, session::text(m_record.failure->type));
            log::info("signing", to,
                      {{"signing", m_record.id}, {"keygen", m_record.keygen_id},
                       {"type", session::text(m_record.failure->type)}, {"why", m_record.failure->message}});
        } else if (log::enabled(log::Level::Debug)) {
            log::debug("signing", to, {{"signing", m_record.id}, {"keygen", m_record.keygen_id}});
        }
    }
    m_waiters.wake();
}

void SigningSession::perform(const signing::effect::RetryAfter& effect) {
    log::warn("signing", "retry", {{"signing", m_record.id}, {"attempt", m_state.attempt}, {"in_ms", effect.ms}});
    m_hub.timers.cancel(m_retry);
    m_retry = m_hub.timers.after(std::chrono::milliseconds(effect.ms), [weak = weak_from_this()] {
        if (const auto self = weak.lock())
            self->drive(signing::event::RetryDue{});
    });
}

void SigningSession::perform(const signing::effect::Close& effect) {
    if (EnclaveNode* const node = m_hub.fleet.find(m_keygen->enclaves[effect.enclave]))
        node->close_later(m_record.keygen_id, m_record.id);
}

void SigningSession::perform(const signing::effect::Release& effect) {
    m_hub.timers.cancel(m_clock);
    m_hub.timers.cancel(m_retry);
    if (effect.reload) {
        m_hub.observer.on_active(SessionType::Signing, session::text(m_shown.status), -1);
        m_hub.signings.reload(m_record.id);
    } else if (m_shown.any) {
        m_hub.signings.ended(m_record, m_keygen);
    } else {
        m_hub.signings.dropped(m_record.id);
    }
    stop();
}

} // namespace keymeld::engine
