#include "core/engine/keygen_session.h"

#include "core/base/hex.h"
#include "core/base/log.h"
#include "core/engine/hub.h"
#include "core/engine/record_views.h"
#include "core/engine/wire_build.h"

namespace keymeld::engine {

namespace keygen = session::keygen;
using std::chrono::steady_clock;

KeygenSession::KeygenSession(Hub& hub, plugin::KeygenRecord record, std::vector<plugin::ParticipantRecord> participants)
    : m_hub(hub), m_info(std::move(record), std::move(participants)), m_waiters(hub.loop, hub.timers) {
    m_state = keygen::make_state(static_cast<std::uint32_t>(m_info.enclaves.size()),
                                  static_cast<std::uint32_t>(m_info.participants.size()), m_info.record.expires_at,
                                  hub.config.limits.enclave_retry_max);
    for (std::size_t i = 0; i < m_info.participants.size(); ++i)
        m_state.registered[i] = m_info.participants[i].registered;
    m_shown.registered = m_state.registered;
    m_began = steady_clock::now();
}

OneShot<Status> KeygenSession::create(Opening opening, Batch extra, SteadyTime deadline) {
    m_opening = std::move(opening);
    m_extra = std::move(extra);
    m_create_deadline = deadline;
    m_create_answer.emplace(m_hub.loop);
    m_hub.sealed.hold(m_info.record.id);
    drive(keygen::event::Create{});
    return *m_create_answer;
}

void KeygenSession::resume() {
    m_inserted = true;
    m_state.stored_once = true;
    m_shown.any = true;
    m_shown.status = m_info.record.status;
    m_shown.event_seq = m_info.record.event_seq;
    m_shown.updated_at = m_info.record.updated_at;
    m_hub.observer.on_active(SessionType::Keygen, session::text(m_shown.status), 1);
    drive(keygen::event::Resume{unix_seconds()});
}

void KeygenSession::stop() {
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

// ---- Views ----------------------------------------------------------------------------------------------------------

KeygenView KeygenSession::view(std::uint32_t signer_index) const {
    KeygenView out = view_of(m_info, signer_index);
    // The working copies may be ahead of what is durable.
    out.status = m_shown.status;
    out.event_seq = m_shown.event_seq;
    out.updated_at = m_shown.updated_at;
    out.expires_at = session::is_terminal(m_shown.status) ? 0 : m_info.record.expires_at;
    out.registered_participants = 0;
    for (KeygenView::Participant& participant : out.participants) {
        if (m_shown.registered[participant.signer_index]) {
            ++out.registered_participants;
            continue;
        }
        participant.registered = participant.require_signing_approval = false;
        participant.public_key.reset();
    }
    if (m_shown.status != session::KeygenStatus::Completed) {
        out.aggregate_public_key.reset();
        out.untweaked_public_key.reset();
        out.aggregate_key_tag.reset();
    }
    if (m_shown.status != session::KeygenStatus::Failed)
        out.failure.reset();
    return out;
}

SlotsAnswer KeygenSession::slots() const {
    SlotsAnswer out;
    out.total = static_cast<std::uint32_t>(m_info.participants.size());
    for (const plugin::ParticipantRecord& participant : m_info.participants) {
        if (m_shown.registered[participant.signer_index])
            ++out.claimed;
        else
            out.available.push_back({participant.user_id, participant.enclave_id, participant.signer_index});
    }
    return out;
}

OneShot<Status> KeygenSession::registered(plugin::ParticipantRecord participant, Batch extra, std::uint64_t sealed_token) {
    const OneShot<Status> answer(m_hub.loop);
    const std::uint32_t index = participant.signer_index;
    if (m_state.phase != keygen::Phase::Collecting) {
        answer.set(fail(Errc::WrongState, "the keygen session does not take registrations any more")
                       .with("status", std::string(session::text(m_state.status))));
        return answer;
    }
    m_info.participants[index] = participant;
    for (plugin::Mutation& mutation : extra)
        m_extra.push_back(std::move(mutation));
    m_extra.push_back(plugin::UpdateParticipant{m_info.record.id, std::move(participant)});
    if (sealed_token != 0 && m_oldest_token == 0)
        m_oldest_token = sealed_token;
    m_tickets.emplace(++m_last_ticket, answer);
    drive(keygen::event::Registered{index, m_last_ticket});
    return answer;
}

// ---- The machine ----------------------------------------------------------------------------------------------------

void KeygenSession::drive(const keygen::Event& event) {
    if (m_stopped)
        return;
    const auto self = shared_from_this(); // Release may drop the last other owner
    keygen::Effects effects;
    keygen::step(m_state, event, effects);
    for (const keygen::Effect& effect : effects)
        std::visit([this](const auto& e) { perform(e); }, effect);
    if (!m_stopped)
        arm_clock();
}

void KeygenSession::arm_clock() {
    const auto deadline = keygen::next_deadline(m_state);
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
            self->drive(keygen::event::Clock{unix_seconds()});
        }
    });
}

EnclaveCall KeygenSession::call_to(std::uint32_t index) const {
    EnclaveCall call;
    call.enclave = m_info.enclaves[index];
    call.owner = m_info.record.id;
    const Patience patience =
        m_state.stored_once ? m_hub.fleet.in_background() : m_hub.fleet.in_request(m_create_deadline);
    call.deadline = patience.deadline;
    call.wait_until = patience.wait_until;
    return call;
}

std::optional<Errc> KeygenSession::note(const Result<EnclaveAnswer>& answer) {
    if (!answer) {
        m_error = answer.error();
        return answer.error().code;
    }
    if (answer->sealed_token != 0 && m_oldest_token == 0)
        m_oldest_token = answer->sealed_token;
    return std::nullopt;
}

void KeygenSession::perform(const keygen::effect::SendOpen&) {
    EnclaveCall call = call_to(0);
    call.build = [self = shared_from_this()](wire::Request& request) {
        wire::OpenKeygen& open = *request.mutable_open_keygen();
        open.set_keygen_id(wire_bytes(self->m_info.record.id));
        fill_params(self->m_info.record, self->m_info.participants, *open.mutable_params());
        open.set_coordinator_pubkey(wire_bytes(self->m_opening->coordinator_pubkey));
        open.set_coordinator_encrypted_private_key(wire_bytes(self->m_opening->encrypted_private_key));
        open.set_encrypted_session_secret(wire_bytes(self->m_opening->encrypted_session_secret));
    };
    call.done = [self = shared_from_this()](Result<EnclaveAnswer> answer) {
        self->drive(keygen::event::OpenAnswered{self->opened(std::move(answer))});
    };
    m_hub.fleet.call(std::move(call));
}

std::optional<Errc> KeygenSession::opened(Result<EnclaveAnswer> answer) {
    if (const auto error = note(answer))
        return error;
    for (const auto& handover : answer->response.open_keygen().handovers())
        for (const plugin::ParticipantRecord& participant : m_info.participants)
            if (as_text(participant.enclave_public_key) == handover.peer_public_key()) {
                const auto at = std::find(m_info.enclaves.begin(), m_info.enclaves.end(), participant.enclave_id);
                m_handovers[static_cast<std::uint32_t>(at - m_info.enclaves.begin())] = handover.box();
                break;
            }
    if (m_handovers.size() + 1 != m_info.enclaves.size()) {
        m_error = fail(Errc::Internal, "the coordinator enclave did not give one handover for each other enclave");
        return Errc::Disconnected; // what it holds must be deleted
    }
    return std::nullopt;
}

void KeygenSession::perform(const keygen::effect::SendJoin& effect) {
    EnclaveCall call = call_to(effect.enclave);
    call.build = [self = shared_from_this(), index = effect.enclave](wire::Request& request) {
        wire::JoinKeygen& join = *request.mutable_join_keygen();
        join.set_keygen_id(wire_bytes(self->m_info.record.id));
        fill_params(self->m_info.record, self->m_info.participants, *join.mutable_params());
        join.set_coordinator_enclave(wire_bytes(self->m_info.participants.front().enclave_public_key));
        join.set_box(self->m_handovers[index]);
    };
    call.done = [self = shared_from_this(), index = effect.enclave](Result<EnclaveAnswer> answer) {
        self->drive(keygen::event::JoinAnswered{index, self->note(answer)});
    };
    m_hub.fleet.call(std::move(call));
}

void KeygenSession::perform(const keygen::effect::SendComplete& effect) {
    if (effect.enclave == 0)
        m_step_began = steady_clock::now();
    EnclaveCall call = call_to(effect.enclave);
    call.build = [self = shared_from_this()](wire::Request& request) {
        wire::CompleteKeygen& complete = *request.mutable_complete_keygen();
        complete.set_keygen_id(wire_bytes(self->m_info.record.id));
        for (const plugin::ParticipantRecord& participant : self->m_info.participants)
            fill_registration(participant, *complete.add_registrations());
    };
    call.done = [self = shared_from_this(), index = effect.enclave](Result<EnclaveAnswer> answer) {
        const std::optional<Errc> error = self->completed(std::move(answer));
        self->m_hub.observer.on_musig("key_agg", !error);
        self->drive(keygen::event::CompleteAnswered{index, error});
    };
    m_hub.fleet.call(std::move(call));
}

std::optional<Errc> KeygenSession::completed(Result<EnclaveAnswer> answer) {
    if (const auto error = note(answer))
        return error;
    const wire::CompleteKeygenResult& result = answer->response.complete_keygen();
    const auto aggregate = fixed_bytes<33>(result.aggregate_public_key());
    const auto untweaked = fixed_bytes<33>(result.untweaked_public_key());
    const auto tag = fixed_bytes<32>(result.aggregate_key_tag());
    if (!aggregate || !untweaked || !tag)
        return Errc::RosterMismatch;
    const Key key{*aggregate, *untweaked, *tag};
    if (m_key && *m_key != key)
        return Errc::RosterMismatch;
    m_key = key;
    return std::nullopt;
}

void KeygenSession::perform(const keygen::effect::SendDelete& effect) {
    m_hub.cleaner.destroy(m_info.enclaves[effect.enclave], m_info.record.id);
}

void KeygenSession::perform(const keygen::effect::EraseKeys& effect) {
    m_hub.cleaner.erase_keys(m_info.enclaves[effect.enclave], m_info.record.id);
}

void KeygenSession::perform(const keygen::effect::Persist&) {
    plugin::KeygenRecord& record = m_info.record;
    record.status = m_state.status;
    if (m_state.status == session::KeygenStatus::Completed && m_key) {
        record.aggregate_public_key = m_key->aggregate;
        record.untweaked_public_key = m_key->untweaked;
        record.aggregate_key_tag = m_key->tag;
    }
    if (m_state.failure && !record.failure) {
        std::optional<std::uint32_t> enclave;
        if (m_state.failure_code)
            enclave = m_info.enclaves[m_state.failure_enclave];
        record.failure = {*m_state.failure, failure_message(*m_state.failure, m_state.failure_code, enclave)};
    }
    record.updated_at = unix_seconds();
    ++record.event_seq; // every batch of a keygen session changes something that clients see
    m_writing = {true, record.status, record.event_seq, record.updated_at, m_state.registered};

    Batch batch;
    if (m_inserted)
        batch.push_back(plugin::UpdateKeygen{record});
    else
        batch.push_back(plugin::InsertKeygen{record, m_info.participants});
    m_inserted = true;
    ++record.version;
    for (plugin::Mutation& mutation : std::exchange(m_extra, {}))
        batch.push_back(std::move(mutation));
    const SteadyTime began = steady_clock::now();
    m_hub.sealed.write(record.id, std::move(batch), std::exchange(m_oldest_token, 0),
                       [self = shared_from_this(), began](Status status) {
                           self->m_hub.observer.on_duration(
                               SessionType::Keygen, "store",
                               std::chrono::duration<double>(steady_clock::now() - began).count());
                           if (status)
                               return self->drive(keygen::event::Stored{});
                           log::error("storage", "keygen_not_stored",
                                      {{"keygen", self->m_info.record.id}, {"error", status.error().code},
                                       {"why", status.error().detail}});
                           self->m_error = status.error();
                           self->drive(keygen::event::StoreFailed{});
                       });
}

void KeygenSession::perform(const keygen::effect::AnswerCreate&) {
    m_hub.sealed.release(m_info.record.id);
    m_opening.reset();
    m_handovers.clear();
    m_create_answer->set({});
}

void KeygenSession::perform(const keygen::effect::RefuseCreate& effect) {
    m_hub.sealed.forget(m_info.record.id);
    m_create_answer->set(m_error ? *m_error : fail(effect.code, "the keygen session could not be created"));
}

void KeygenSession::perform(const keygen::effect::AnswerTicket& effect) { settle(effect.ticket, {}); }

void KeygenSession::perform(const keygen::effect::RefuseTicket& effect) {
    settle(effect.ticket, fail(effect.code, "the registration could not be taken")
                              .with("status", std::string(session::text(m_state.status))));
}

void KeygenSession::settle(std::uint64_t number, Status status) {
    auto ticket = m_tickets.extract(number);
    if (!ticket.empty())
        ticket.mapped().set(std::move(status));
}

void KeygenSession::perform(const keygen::effect::Publish&) {
    const Shown before = std::exchange(m_shown, m_writing);
    Observer& observer = m_hub.observer;
    if (!before.any || before.status != m_shown.status) {
        const std::string_view to = session::text(m_shown.status);
        observer.on_transition(SessionType::Keygen, before.any ? session::text(before.status) : "none", to,
                               m_shown.status != session::KeygenStatus::Failed);
        if (before.any)
            observer.on_active(SessionType::Keygen, session::text(before.status), -1);
        if (!session::is_terminal(m_shown.status))
            observer.on_active(SessionType::Keygen, to, 1);
        log::info("keygen", to, {{"keygen", m_info.record.id}, {"participants", m_info.participants.size()}});
        const auto seconds_since = [](SteadyTime began) {
            return std::chrono::duration<double>(steady_clock::now() - began).count();
        };
        if (m_shown.status == session::KeygenStatus::Completed) {
            observer.on_duration(SessionType::Keygen, "complete", seconds_since(m_step_began));
            observer.on_duration(SessionType::Keygen, "total", seconds_since(m_began));
        }
        if (m_info.record.failure && m_shown.status == session::KeygenStatus::Failed)
            observer.on_session_error(SessionType::Keygen, session::text(m_info.record.failure->type));
    }
    m_waiters.wake();
}

void KeygenSession::perform(const keygen::effect::RetryAfter& effect) {
    m_hub.timers.cancel(m_retry);
    m_retry = m_hub.timers.after(std::chrono::milliseconds(effect.ms), [weak = weak_from_this()] {
        if (const auto self = weak.lock())
            self->drive(keygen::event::RetryDue{});
    });
}

void KeygenSession::perform(const keygen::effect::Release& effect) {
    const KeygenId id = m_info.record.id;
    m_hub.timers.cancel(m_clock);
    m_hub.timers.cancel(m_retry);
    if (effect.reload) {
        m_hub.observer.on_active(SessionType::Keygen, session::text(m_shown.status), -1);
        m_hub.keygens.reload(id);
    } else if (m_shown.any) {
        m_hub.keygens.ended(id, std::make_shared<const KeygenInfo>(m_info));
    } else {
        m_hub.keygens.dropped(id);
    }
    stop();
}

} // namespace keymeld::engine
