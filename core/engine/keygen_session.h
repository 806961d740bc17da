// One unfinished keygen session: its state machine, what it is working on, and what of it may be shown.
#pragma once

#include "core/engine/api.h"
#include "core/engine/enclave_call.h"
#include "core/engine/keygen_info.h"
#include "core/engine/store.h"
#include "core/engine/waiters.h"
#include "core/session/keygen_machine.h"

namespace keymeld::engine {

struct Hub;

/// [loop]
class KeygenSession : public std::enable_shared_from_this<KeygenSession> {
  public:
    /// What the coordinator client sent, for the coordinator enclave only.
    struct Opening {
        ByteArray<33> coordinator_pubkey{};
        Bytes encrypted_private_key;
        Bytes encrypted_session_secret;
    };

    KeygenSession(Hub& hub, plugin::KeygenRecord record, std::vector<plugin::ParticipantRecord> participants);

    /// Opens the session at its enclaves and stores it together with `extra`. Once.
    OneShot<Status> create(Opening opening, Batch extra, SteadyTime deadline);
    /// Goes on with a session that storage gave back. Once.
    void resume();
    /// No event changes anything any more; whoever waits is answered.
    void stop();

    /// False until it is stored: then it exists for clients.
    bool shown() const { return m_shown.any; }
    /// Fields that are fixed at creation, and the working copies of the others.
    const plugin::KeygenRecord& record() const { return m_info.record; }
    const std::vector<plugin::ParticipantRecord>& participants() const { return m_info.participants; }
    std::optional<std::uint32_t> index_of(const UserId& user) const { return m_info.index_of(user); }
    const std::vector<std::uint32_t>& enclaves() const { return m_info.enclaves; }
    bool shown_registered(std::uint32_t signer_index) const { return m_shown.registered[signer_index]; }
    session::KeygenStatus shown_status() const { return m_shown.status; }
    std::uint64_t shown_seq() const { return m_shown.event_seq; }

    KeygenView view(std::uint32_t signer_index) const;
    SlotsAnswer slots() const;
    std::uint32_t next_rank() const { return session::keygen::registered_count(m_state) + 1; }

    /// The enclave of the slot accepted `registered`; it is stored together with `extra`. `sealed_token` is of its answer.
    OneShot<Status> registered(plugin::ParticipantRecord registered, Batch extra, std::uint64_t sealed_token);

    /// Until something visible changes, or `until`.
    Async<void> changed(SteadyTime until) { return m_waiters.wait(until); }

  private:
    struct Shown {
        bool any = false;
        session::KeygenStatus status = session::KeygenStatus::CollectingParticipants;
        std::uint64_t event_seq = 0;
        std::uint64_t updated_at = 0;
        std::vector<bool> registered;
    };

    void drive(const session::keygen::Event& event);
    void perform(const session::keygen::effect::SendOpen& effect);
    void perform(const session::keygen::effect::SendJoin& effect);
    void perform(const session::keygen::effect::SendComplete& effect);
    void perform(const session::keygen::effect::SendDelete& effect);
    void perform(const session::keygen::effect::EraseKeys& effect);
    void perform(const session::keygen::effect::Persist& effect);
    void perform(const session::keygen::effect::AnswerCreate& effect);
    void perform(const session::keygen::effect::RefuseCreate& effect);
    void perform(const session::keygen::effect::AnswerTicket& effect);
    void perform(const session::keygen::effect::RefuseTicket& effect);
    void perform(const session::keygen::effect::Publish& effect);
    void perform(const session::keygen::effect::RetryAfter& effect);
    void perform(const session::keygen::effect::Release& effect);
    std::optional<Errc> opened(Result<EnclaveAnswer> answer);
    std::optional<Errc> joined(Result<EnclaveAnswer> answer);
    std::optional<Errc> completed(Result<EnclaveAnswer> answer);
    std::optional<Errc> note(const Result<EnclaveAnswer>& answer);
    EnclaveCall call_to(std::uint32_t index) const;
    void arm_clock();
    void settle(std::uint64_t ticket, Status status);

    Hub& m_hub;
    KeygenInfo m_info;
    session::keygen::State m_state;
    Shown m_shown, m_writing;
    bool m_inserted = false;
    bool m_stopped = false;
    Batch m_extra;                     ///< goes with the next batch
    std::uint64_t m_oldest_token = 0;  ///< of the sealed updates that the next batch relies on
    std::optional<Opening> m_opening;
    SteadyTime m_create_deadline{};
    SteadyTime m_began{}, m_step_began{};
    std::map<std::uint32_t, std::string> m_handovers; ///< box by enclave index
    std::optional<OneShot<Status>> m_create_answer;
    std::optional<Error> m_error;      ///< last error of creation, with its facts
    std::map<std::uint64_t, OneShot<Status>> m_tickets;
    std::uint64_t m_last_ticket = 0;
    struct Key {
        ByteArray<33> aggregate{}, untweaked{};
        plugin::Hash32 tag{};
        bool operator==(const Key&) const = default;
    };
    std::optional<Key> m_key;
    Waiters m_waiters;
    TimerQueue::Handle m_clock, m_retry;
    std::optional<std::uint64_t> m_clock_at;
};

} // namespace keymeld::engine
