#include "core/session/keygen_machine.h"

#include <algorithm>

#include "core/session/call_outcome.h"

namespace keymeld::session::keygen {
namespace {

// What waits for the next Stored.
constexpr std::uint8_t kAnswerCreate = 1;
constexpr std::uint8_t kComplete = 2;
constexpr std::uint8_t kEnd = 4;

class Run {
  public:
    Run(State& state, Effects& effects) : m_s(state), m_out(effects) {}

    void operator()(const event::Create&) {
        if (m_s.phase != Phase::New || m_s.enclaves.empty() || m_s.registered.empty())
            return;
        m_s.phase = Phase::Opening;
        ask(0);
        m_out.push_back(effect::SendOpen{});
    }

    void operator()(const event::Resume& event) {
        if (m_s.phase != Phase::New || m_s.enclaves.empty() || is_terminal(m_s.status))
            return;
        m_s.stored_once = true;
        for (Enclave& enclave : m_s.enclaves)
            enclave.touched = true;
        m_s.phase = Phase::Collecting;
        if (event.now >= m_s.expires_at)
            return end(KeygenStatus::Failed, FailureType::Expired);
        if (all_registered())
            complete();
    }

    void operator()(const event::OpenAnswered& event) {
        if (m_s.phase != Phase::Opening || !take_answer(0, event.error))
            return;
        if (event.error) {
            holds_nothing_if_refused(0, *event.error);
            return abandon(*event.error, 0);
        }
        m_s.phase = Phase::Joining;
        for (std::uint32_t e = 1; e < m_s.enclaves.size(); ++e) {
            ask(e);
            m_out.push_back(effect::SendJoin{e});
        }
        create_if_joined();
    }

    void operator()(const event::JoinAnswered& event) {
        if (m_s.phase != Phase::Joining || !take_answer(event.enclave, event.error))
            return;
        if (event.error)
            holds_nothing_if_refused(event.enclave, *event.error);
        create_if_joined();
    }

    void operator()(const event::CompleteAnswered& event) {
        if (m_s.phase != Phase::Completing || !take_answer(event.enclave, event.error))
            return;
        if (event.error && classify(*event.error) != CallOutcome::NoAnswer && classify(*event.error) != CallOutcome::Void)
            return end_by_trouble();
        if (m_s.calls > 0)
            return;
        if (!m_s.trouble)
            return end(KeygenStatus::Completed, std::nullopt);
        if (++m_s.failures > m_s.retry_max)
            return end_by_trouble();
        // The registration itself is durable; its client need not wait for an enclave that is away.
        answer_completion_tickets();
        m_s.phase = Phase::Backoff;
        m_out.push_back(effect::RetryAfter{retry_delay_ms(m_s.failures)});
    }

    void operator()(const event::Registered& event) {
        if (m_s.phase != Phase::Collecting || !m_s.stored_once || event.participant >= m_s.registered.size()) {
            m_out.push_back(effect::RefuseTicket{event.ticket, Errc::WrongState});
            return;
        }
        m_s.registered[event.participant] = true;
        m_s.tickets_next.push_back(event.ticket);
        m_s.dirty = true;
        if (all_registered()) {
            m_s.phase = Phase::Completing;
            m_s.gates_next |= kComplete;
        }
        persist();
    }

    void operator()(const event::Stored&) {
        if (!m_s.storing)
            return;
        m_s.storing = false;
        m_s.stored_once = true;
        const std::uint8_t gates = std::exchange(m_s.gates_storing, std::uint8_t{0});
        std::vector<Ticket> tickets = std::exchange(m_s.tickets_storing, {});
        m_out.push_back(effect::Publish{});
        if (gates & kAnswerCreate) {
            if (m_s.phase == Phase::Creating)
                m_s.phase = Phase::Collecting;
            m_out.push_back(effect::AnswerCreate{});
        }
        if ((gates & kComplete) && m_s.phase == Phase::Completing) {
            m_s.tickets_completion = std::move(tickets);
            tickets.clear();
            complete();
        }
        for (const Ticket ticket : tickets)
            m_out.push_back(effect::AnswerTicket{ticket});
        if (gates & kEnd) {
            m_s.phase = Phase::Ended;
            answer_completion_tickets();
            if (m_s.status == KeygenStatus::Failed)
                for (std::uint32_t e = 0; e < m_s.enclaves.size(); ++e)
                    m_out.push_back(effect::EraseKeys{e});
            m_out.push_back(effect::Release{false});
            return;
        }
        persist();
    }

    void operator()(const event::StoreFailed&) {
        if (!m_s.storing)
            return;
        m_s.storing = m_s.dirty = false;
        // What waits for completion is durable already.
        answer_completion_tickets();
        for (auto* tickets : {&m_s.tickets_storing, &m_s.tickets_next})
            for (const Ticket ticket : std::exchange(*tickets, {}))
                m_out.push_back(effect::RefuseTicket{ticket, Errc::StorageFailed});
        if (m_s.gates_storing & kAnswerCreate)
            return abandon(Errc::StorageFailed, 0);
        m_s.gates_storing = m_s.gates_next = 0;
        m_s.phase = Phase::Suspended;
        m_out.push_back(effect::Release{true});
    }

    void operator()(const event::Clock& event) {
        switch (m_s.phase) {
        case Phase::New:
        case Phase::Opening:
        case Phase::Joining:
        case Phase::Creating:
        case Phase::Ending:
        case Phase::Ended:
        case Phase::Suspended: return;
        case Phase::Collecting:
        case Phase::Completing:
        case Phase::Backoff: break;
        }
        if (event.now >= m_s.expires_at)
            end(KeygenStatus::Failed, FailureType::Expired);
    }

    void operator()(const event::RetryDue&) {
        if (m_s.phase == Phase::Backoff)
            complete();
    }

  private:
    void ask(std::uint32_t e) {
        m_s.enclaves[e] = {Progress::Asked, true};
        ++m_s.calls;
    }

    bool take_answer(std::uint32_t e, const std::optional<Errc>& error) {
        if (e >= m_s.enclaves.size() || m_s.enclaves[e].progress != Progress::Asked)
            return false;
        m_s.enclaves[e].progress = error ? Progress::Idle : Progress::Done;
        --m_s.calls;
        if (error) {
            m_s.trouble = error;
            m_s.trouble_enclave = e;
        }
        return true;
    }

    // A refusal is the enclave's word that it took nothing; a Delete there could only hit what is not ours.
    void holds_nothing_if_refused(std::uint32_t e, Errc code) {
        if (classify(code) != CallOutcome::NoAnswer && classify(code) != CallOutcome::Void)
            m_s.enclaves[e].touched = false;
    }

    bool all_registered() const {
        return std::all_of(m_s.registered.begin(), m_s.registered.end(), [](bool done) { return done; });
    }

    void create_if_joined() {
        // Also after an error all answers are awaited: a Delete must not overtake a Join.
        if (m_s.calls > 0)
            return;
        if (m_s.trouble)
            return abandon(*m_s.trouble, m_s.trouble_enclave);
        m_s.phase = Phase::Creating;
        m_s.gates_next |= kAnswerCreate;
        m_s.dirty = true;
        persist();
    }

    // CompleteKeygen is idempotent; every enclave is asked again, so that the keys compared are of one try.
    void complete() {
        m_s.phase = Phase::Completing;
        m_s.calls = 0;
        m_s.trouble.reset();
        for (std::uint32_t e = 0; e < m_s.enclaves.size(); ++e) {
            ask(e);
            m_out.push_back(effect::SendComplete{e});
        }
    }

    void end_by_trouble() {
        m_s.failure_code = m_s.trouble;
        m_s.failure_enclave = m_s.trouble_enclave;
        // A refusal of CompleteKeygen means a roster that the enclaves do not agree on.
        const FailureType type = failure_type_of(*m_s.trouble);
        end(KeygenStatus::Failed, type == FailureType::Rejected ? FailureType::Internal : type);
    }

    void end(KeygenStatus status, std::optional<FailureType> failure) {
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

    void answer_completion_tickets() {
        for (const Ticket ticket : std::exchange(m_s.tickets_completion, {}))
            m_out.push_back(effect::AnswerTicket{ticket});
    }

    void abandon(Errc code, std::uint32_t enclave) {
        m_s.phase = Phase::Ended;
        m_s.gates_next = m_s.gates_storing = 0;
        m_out.push_back(effect::RefuseCreate{code, enclave});
        for (std::uint32_t e = 0; e < m_s.enclaves.size(); ++e)
            if (m_s.enclaves[e].touched)
                m_out.push_back(effect::SendDelete{e});
        m_out.push_back(effect::Release{false});
    }

    State& m_s;
    Effects& m_out;
};

} // namespace

State make_state(std::uint32_t enclaves, std::uint32_t participants, std::uint64_t expires_at, std::uint32_t retry_max) {
    State state;
    state.enclaves.resize(enclaves);
    state.registered.resize(participants);
    state.expires_at = expires_at;
    state.retry_max = retry_max;
    return state;
}

void step(State& state, const Event& event, Effects& effects) { std::visit(Run(state, effects), event); }

std::optional<std::uint64_t> next_deadline(const State& state) {
    switch (state.phase) {
    case Phase::New:
    case Phase::Opening:
    case Phase::Joining:
    case Phase::Creating:
    case Phase::Ending:
    case Phase::Ended:
    case Phase::Suspended: return std::nullopt;
    case Phase::Collecting:
    case Phase::Completing:
    case Phase::Backoff: return state.expires_at;
    }
    return std::nullopt;
}

std::uint32_t registered_count(const State& state) {
    return static_cast<std::uint32_t>(std::count(state.registered.begin(), state.registered.end(), true));
}

} // namespace keymeld::session::keygen
