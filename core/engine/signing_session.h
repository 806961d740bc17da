// One unfinished signing session: its state machine, the evidence for the enclaves, and what of it may be shown.
#pragma once

#include "core/engine/api.h"
#include "core/engine/enclave_call.h"
#include "core/engine/keygen_info.h"
#include "core/engine/store.h"
#include "core/engine/waiters.h"
#include "core/session/signing_machine.h"

namespace keymeld::engine {

struct Hub;

/// [loop]
class SigningSession : public std::enable_shared_from_this<SigningSession> {
  public:
    SigningSession(Hub& hub, KeygenPtr keygen, plugin::SigningRecord record, std::vector<plugin::ApprovalRecord> approvals);

    /// Lets the enclaves judge the request; an accepted session is stored together with `extra`. Once.
    OneShot<Status> create(Batch extra, SteadyTime deadline);
    /// Goes on with a session that storage gave back. Once.
    void resume();
    /// No event changes anything any more; whoever waits is answered.
    void stop();

    bool shown() const { return m_shown.any; }
    const KeygenPtr& keygen() const { return m_keygen; }
    /// Evidence, digest and times are fixed at creation.
    const plugin::SigningRecord& record() const { return m_record; }
    session::SigningStatus shown_status() const { return m_shown.status; }
    /// Where approvals and rejections go through the coordinator enclave: the machine may be ahead of what is shown.
    bool collecting() const { return m_state.phase == session::signing::Phase::Collecting; }
    SigningView view() const;

    /// The coordinator enclave accepted an approval that counts: stored with `extra`. False if the session cannot store it any more; then
    /// the caller does.
    struct Submitted {
        bool taken = false;
        OneShot<Status> done;
    };
    Submitted approved(plugin::ApprovalRecord approval, std::uint32_t participant, Batch extra, std::uint64_t sealed_token);
    Submitted rejected(Batch extra, std::uint64_t sealed_token);

    Async<void> changed(SteadyTime until) { return m_waiters.wait(until); }

  private:
    struct Shown {
        bool any = false;
        session::SigningStatus status = session::SigningStatus::CollectingParticipants;
        std::uint64_t event_seq = 0;
        std::uint64_t updated_at = 0;
        std::vector<bool> approved; ///< by signer_index
    };

    void drive(const session::signing::Event& event);
    void perform(const session::signing::effect::SendRound1& effect);
    void perform(const session::signing::effect::SendRound2& effect);
    void perform(const session::signing::effect::SendFinish& effect);
    void perform(const session::signing::effect::Persist& effect);
    void perform(const session::signing::effect::DropApproval& effect);
    void perform(const session::signing::effect::AnswerCreate& effect);
    void perform(const session::signing::effect::RefuseCreate& effect);
    void perform(const session::signing::effect::AnswerTicket& effect);
    void perform(const session::signing::effect::RefuseTicket& effect);
    void perform(const session::signing::effect::Publish& effect);
    void perform(const session::signing::effect::RetryAfter& effect);
    void perform(const session::signing::effect::Close& effect);
    void perform(const session::signing::effect::Release& effect);

    session::signing::event::Round1Answered round1(std::uint32_t enclave, Result<EnclaveAnswer> answer);
    std::optional<Errc> note(Result<EnclaveAnswer>& answer);
    template <class E> Submitted submit(E event, Batch extra, std::uint64_t sealed_token);
    EnclaveCall call_to(std::uint32_t index, bool patient) const;
    void settle(std::uint64_t ticket, Status status);
    void arm_clock();
    void count_work();
    /// For a request in an arena; the contributions are not copied.
    void share_contributions(google::protobuf::RepeatedPtrField<wire::NonceContribution>& out);
    void count_step(std::string_view step);

    Hub& m_hub;
    KeygenPtr m_keygen;
    plugin::SigningRecord m_record;
    std::map<std::uint32_t, plugin::ApprovalRecord> m_approvals; ///< evidence by signer_index
    session::signing::State m_state;
    Shown m_shown, m_writing;
    bool m_inserted = false;
    bool m_stopped = false;
    bool m_working = false; ///< counted in the table as such
    Batch m_extra;
    std::uint64_t m_oldest_token = 0;
    SteadyTime m_create_deadline{};
    SteadyTime m_began{}, m_step_began{};
    std::vector<wire::NonceContribution> m_contributions; ///< by enclave index, of the current attempt
    std::vector<std::string> m_boxes;
    std::optional<OneShot<Status>> m_create_answer;
    std::optional<Error> m_create_error;
    std::map<std::uint64_t, OneShot<Status>> m_tickets;
    std::uint64_t m_last_ticket = 0;
    Waiters m_waiters;
    TimerQueue::Handle m_clock, m_retry;
    std::optional<std::uint64_t> m_clock_at;
};

} // namespace keymeld::engine
