#include "core/session/signing_machine.h"

#include <algorithm>

#include "core/session/call_outcome.h"

namespace keymeld::session::signing {
namespace {

// What waits for the next Stored.
constexpr std::uint8_t kAnswerCreate = 1;
constexpr std::uint8_t kStartRound1 = 2;
constexpr std::uint8_t kStartRound2 = 4;
constexpr std::uint8_t kRetry = 8;
constexpr std::uint8_t kEnd = 16;

bool is_fatal(CallOutcome outcome) {
    switch (outcome) {
    case CallOutcome::NoAnswer:
    case CallOutcome::Void: return false;
    case CallOutcome::StateLost:
    case CallOutcome::Misbehaved:
    case CallOutcome::Refused: return true;
    }
    return true;
}

// The worse of two troubles decides: an end before a pause before an immediate new attempt.
int rank(Errc code) {
    const CallOutcome outcome = classify(code);
    return is_fatal(outcome) ? 3 : outcome == CallOutcome::NoAnswer ? 2 : 1;
}

// One step: the state it works on and the effects it gives.
class Run {
  public:
    Run(State& state, Effects& effects) : m_s(state), m_out(effects) {}

    void operator()(const event::Create&) {
        if (m_s.phase != Phase::New || m_s.enclaves.empty())
            return;
        m_s.phase = Phase::Accepting;
        m_s.attempt = 1;
        const bool all = fully_approved(m_s);
        for (std::uint32_t e = 0; e < m_s.enclaves.size() && (e == 0 || all); ++e)
            send_round1(e, e == 0);
    }

    void operator()(const event::Resume& event) {
        if (m_s.phase != Phase::New || m_s.enclaves.empty() || is_terminal(m_s.status))
            return;
        m_s.stored_once = true;
        for (Enclave& enclave : m_s.enclaves)
            enclave.touched = true;
        if (event.now >= m_s.expires_at)
            return end(SigningStatus::Failed, FailureType::Expired);
        if (m_s.status != SigningStatus::CollectingParticipants)
            return start_attempt();
        m_s.phase = Phase::Collecting;
        ++m_s.attempt;
        collect(event.now);
    }

    void operator()(const event::Round1Answered& event) {
        if ((m_s.phase != Phase::Accepting && m_s.phase != Phase::Round1) || !take_answer(event.enclave, event.error))
            return;
        if (!event.error) {
            m_s.awaiting = m_s.awaiting || event.awaiting;
            m_s.final_signature = m_s.final_signature || event.final_signature;
        }
        if (m_s.phase == Phase::Accepting) {
            if (event.enclave == 0 && event.error)
                return refuse_create(*event.error, event.enclave);
        } else if (end_if_fatal()) {
            return;
        }
        if (m_s.calls == 0)
            round1_over();
    }

    void operator()(const event::Round2Answered& event) {
        if (m_s.phase != Phase::Round2 || !take_answer(event.enclave, retriable(event.error)))
            return;
        if (end_if_fatal() || m_s.calls > 0 || try_again(Step::Round2))
            return;
        m_s.phase = Phase::Finish;
        reset_progress();
        m_s.enclaves[0].progress = Progress::Asked;
        m_s.calls = 1;
        m_out.push_back(effect::SendFinish{m_s.attempt});
    }

    void operator()(const event::FinishAnswered& event) {
        if (m_s.phase != Phase::Finish || !take_answer(0, retriable(event.error)))
            return;
        if (end_if_fatal() || try_again(Step::Finish))
            return;
        end(SigningStatus::Completed, std::nullopt);
    }

    void operator()(const event::ApprovalGiven& event) {
        const bool known = event.participant < m_s.participants.size();
        if (!known || m_s.phase == Phase::New || m_s.phase == Phase::Accepting || m_s.phase == Phase::Suspended ||
            m_s.status == SigningStatus::Failed) {
            m_out.push_back(effect::RefuseTicket{event.ticket, Errc::WrongState});
            return;
        }
        if (m_s.phase == Phase::Ended) {
            m_out.push_back(effect::AnswerTicket{event.ticket});
            return;
        }
        // Even an approval that nobody needed any more has a nonce to be stored before it is answered.
        m_s.tickets_next.push_back(event.ticket);
        m_s.dirty = true;
        if (m_s.phase == Phase::Collecting) {
            Participant& participant = m_s.participants[event.participant];
            participant.approved = true;
            participant.bound_expires_at = event.bound_expires_at;
            return collect(event.now);
        }
        persist();
    }

    void operator()(const event::Rejected& event) {
        if (m_s.phase == Phase::New || m_s.phase == Phase::Accepting || m_s.phase == Phase::Suspended ||
            is_terminal(m_s.status)) {
            m_out.push_back(effect::RefuseTicket{event.ticket, Errc::WrongState});
            return;
        }
        m_s.tickets_next.push_back(event.ticket);
        end(SigningStatus::Failed, FailureType::Rejected);
    }

    void operator()(const event::Stored& event) {
        if (!m_s.storing)
            return;
        m_s.storing = false;
        m_s.stored_once = true;
        const std::uint8_t gates = std::exchange(m_s.gates_storing, std::uint8_t{0});
        m_out.push_back(effect::Publish{});
        if (gates & kAnswerCreate)
            m_out.push_back(effect::AnswerCreate{});
        for (const Ticket ticket : std::exchange(m_s.tickets_storing, {}))
            m_out.push_back(effect::AnswerTicket{ticket});
        // The session may have ended while this was being stored: then the next step does not happen.
        if ((gates & kStartRound1) && m_s.phase == Phase::Round1)
            for (std::uint32_t e = 0; e < m_s.enclaves.size(); ++e)
                send_round1(e, true);
        if ((gates & kStartRound2) && m_s.phase == Phase::Round2)
            send_round2();
        if ((gates & kRetry) && m_s.phase == Phase::Backoff)
            pause(Step::Round1);
        if (gates & kEnd) {
            if (!m_s.dirty)
                return release();
            // Tickets that came while the end was being stored: their part is stored first.
            m_s.gates_next |= kEnd;
        }
        if (m_s.phase == Phase::Collecting)
            return collect(event.now);
        persist();
    }

    void operator()(const event::StoreFailed&) {
        if (!m_s.storing)
            return;
        m_s.storing = m_s.dirty = false;
        for (auto* tickets : {&m_s.tickets_storing, &m_s.tickets_next})
            for (const Ticket ticket : std::exchange(*tickets, {}))
                m_out.push_back(effect::RefuseTicket{ticket, Errc::StorageFailed});
        if (m_s.gates_storing & kAnswerCreate)
            return refuse_create(Errc::StorageFailed, 0);
        m_s.gates_storing = m_s.gates_next = 0;
        m_s.phase = Phase::Suspended;
        m_out.push_back(effect::Release{true});
    }

    void operator()(const event::Clock& event) {
        switch (m_s.phase) {
        case Phase::New:
        case Phase::Accepting:
        case Phase::Ending:
        case Phase::Ended:
        case Phase::Suspended: return;
        case Phase::Collecting:
        case Phase::Round1:
        case Phase::Round2:
        case Phase::Finish:
        case Phase::Backoff: break;
        }
        if (event.now >= m_s.expires_at)
            return end(SigningStatus::Failed, FailureType::Expired);
        if (m_s.phase == Phase::Collecting)
            collect(event.now);
    }

    void operator()(const event::RetryDue&) {
        if (m_s.phase == Phase::Backoff && m_s.stored_once)
            start_attempt();
    }

  private:
    void send_round1(std::uint32_t e, bool patient) {
        m_s.enclaves[e] = {Progress::Asked, true};
        ++m_s.calls;
        m_out.push_back(effect::SendRound1{e, m_s.attempt, patient});
    }

    void send_round2() {
        reset_progress();
        for (std::uint32_t e = 1; e < m_s.enclaves.size(); ++e) {
            m_s.enclaves[e].progress = Progress::Asked;
            ++m_s.calls;
            m_out.push_back(effect::SendRound2{e, m_s.attempt});
        }
    }

    void reset_progress() {
        for (Enclave& enclave : m_s.enclaves)
            enclave.progress = Progress::Idle;
        m_s.calls = 0;
        m_s.trouble.reset();
    }

    void start_attempt() {
        ++m_s.attempt;
        m_s.phase = Phase::Round1;
        m_s.awaiting = m_s.final_signature = false;
        reset_progress();
        for (std::uint32_t e = 0; e < m_s.enclaves.size(); ++e)
            send_round1(e, true);
    }

    // False for an answer that nobody waits for.
    bool take_answer(std::uint32_t e, const std::optional<Errc>& error) {
        if (e >= m_s.enclaves.size() || m_s.enclaves[e].progress != Progress::Asked)
            return false;
        m_s.enclaves[e].progress = error ? Progress::Idle : Progress::Done;
        --m_s.calls;
        if (error && (!m_s.trouble || rank(*error) > rank(*m_s.trouble))) {
            m_s.trouble = error;
            m_s.trouble_enclave = e;
        }
        return true;
    }

    // A peer that has seen a newer ledger may have seen it in a session that ran beside this one: a fresh attempt carries the newest.
    // If it does not help, the state is indeed lost, which the last try's own code says.
    std::optional<Errc> retriable(const std::optional<Errc>& error) const {
        if (error == Errc::StateRolledBack && m_s.failures[m_s.phase == Phase::Round2 ? 1 : 2] < m_s.retry_max)
            return Errc::AttemptVoid;
        return error;
    }

    bool end_if_fatal() {
        if (!m_s.trouble || !is_fatal(classify(*m_s.trouble)))
            return false;
        end_by_trouble();
        return true;
    }

    void end_by_trouble() {
        m_s.failure_code = m_s.trouble;
        m_s.failure_enclave = m_s.trouble_enclave;
        end(SigningStatus::Failed, failure_type_of(*m_s.trouble));
    }

    // Counts a failed step and arranges the next try. False if nothing failed.
    bool try_again(Step step) {
        if (!m_s.trouble)
            return false;
        if (++m_s.failures[static_cast<std::size_t>(step)] > m_s.retry_max) {
            end_by_trouble();
            return true;
        }
        if (classify(*m_s.trouble) == CallOutcome::Void && m_s.stored_once) {
            start_attempt();
            return true;
        }
        m_s.phase = Phase::Backoff;
        if (m_s.stored_once)
            pause(step);
        else
            m_s.gates_next |= kRetry;
        return true;
    }

    void pause(Step step) {
        m_out.push_back(effect::RetryAfter{retry_delay_ms(m_s.failures[static_cast<std::size_t>(step)])});
    }

    // Every enclave that was asked in round 1 has answered.
    void round1_over() {
        const bool accepting = m_s.phase == Phase::Accepting;
        if (accepting) {
            m_s.gates_next |= kAnswerCreate;
            m_s.dirty = true;
        }
        if (m_s.final_signature)
            return end(SigningStatus::Completed, std::nullopt);
        if (accepting && !fully_approved(m_s)) {
            m_s.phase = Phase::Collecting;
            return persist();
        }
        if (!accepting || m_s.trouble) {
            advance(SigningStatus::GeneratingNonces);
            if (end_if_fatal())
                return;
            if (try_again(Step::Round1)) {
                // Its first failure can be stored together with the session itself.
                persist();
                return;
            }
        }
        // An enclave that asks for approvals which the others do not know of, or that holds everybody and does not sign, is broken.
        if (m_s.awaiting || m_s.enclaves.size() == 1)
            return end(SigningStatus::Failed, m_s.awaiting ? FailureType::Expired : FailureType::ProtocolError);
        m_s.phase = Phase::Round2;
        m_s.gates_next |= kStartRound2;
        m_s.dirty = true;
        advance(SigningStatus::CollectingPartialSignatures);
        persist();
    }

    // Drops what has lapsed and starts round 1 when all approvals are there.
    void collect(std::uint64_t now) {
        for (std::uint32_t p = 0; p < m_s.participants.size(); ++p) {
            Participant& participant = m_s.participants[p];
            if (participant.approved && participant.bound_expires_at != 0 && participant.bound_expires_at <= now) {
                participant.approved = false;
                participant.bound_expires_at = 0;
                m_s.dirty = true;
                m_out.push_back(effect::DropApproval{p});
            }
        }
        // While the session itself is still being stored, nothing more can start; Stored looks again.
        if (fully_approved(m_s) && m_s.stored_once) {
            advance(SigningStatus::SessionFull);
            m_s.phase = Phase::Round1;
            m_s.awaiting = false;
            m_s.gates_next |= kStartRound1;
            m_s.dirty = true;
        }
        persist();
    }

    void advance(SigningStatus status) {
        if (status > m_s.status)
            m_s.status = status;
    }

    void end(SigningStatus status, std::optional<FailureType> failure) {
        m_s.status = status;
        m_s.failure = failure;
        m_s.phase = Phase::Ending;
        m_s.gates_next |= kEnd;
        m_s.dirty = true;
        persist();
    }

    void persist() {
        if (!m_s.dirty || m_s.storing)
            return;
        m_s.storing = true;
        m_s.dirty = false;
        m_s.gates_storing = std::exchange(m_s.gates_next, std::uint8_t{0});
        m_s.tickets_storing = std::exchange(m_s.tickets_next, {});
        m_out.push_back(effect::Persist{});
    }

    // Without Close: the client may send the same request again, and an enclave refuses an id that was closed.
    void refuse_create(Errc code, std::uint32_t enclave) {
        m_s.phase = Phase::Ended;
        m_s.gates_next = m_s.gates_storing = 0;
        m_out.push_back(effect::RefuseCreate{code, enclave});
        m_out.push_back(effect::Release{false});
    }

    void release() {
        m_s.phase = Phase::Ended;
        for (std::uint32_t e = 0; e < m_s.enclaves.size(); ++e)
            if (m_s.enclaves[e].touched)
                m_out.push_back(effect::Close{e});
        m_out.push_back(effect::Release{false});
    }

    State& m_s;
    Effects& m_out;
};

} // namespace

State make_state(std::uint32_t enclaves, std::vector<Participant> participants, std::uint64_t expires_at, std::uint32_t retry_max) {
    State state;
    state.enclaves.resize(enclaves);
    state.participants = std::move(participants);
    state.expires_at = expires_at;
    state.retry_max = retry_max;
    return state;
}

void step(State& state, const Event& event, Effects& effects) { std::visit(Run(state, effects), event); }

std::optional<std::uint64_t> next_deadline(const State& state) {
    switch (state.phase) {
    case Phase::New:
    case Phase::Accepting:
    case Phase::Ending:
    case Phase::Ended:
    case Phase::Suspended: return std::nullopt;
    case Phase::Collecting:
    case Phase::Round1:
    case Phase::Round2:
    case Phase::Finish:
    case Phase::Backoff: break;
    }
    std::uint64_t deadline = state.expires_at;
    if (state.phase == Phase::Collecting)
        for (const Participant& participant : state.participants)
            if (participant.approved && participant.bound_expires_at != 0)
                deadline = std::min(deadline, participant.bound_expires_at);
    return deadline;
}

bool fully_approved(const State& state) {
    return std::none_of(state.participants.begin(), state.participants.end(),
                        [](const Participant& p) { return p.required && !p.approved; });
}

} // namespace keymeld::session::signing
