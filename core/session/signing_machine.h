// The signing session as a pure state machine (rest-v1.md 4.9 - 4.13, 6.2): step(state, event) changes the state and says what to do.
//
// No I/O, no clock, no threads: time comes in with the events, in seconds since the Unix epoch. Whoever drives it
//  * performs the effects in the order given,
//  * gives exactly one answer event for every Send effect (a lost call is an answer with an error), in any order,
//  * gives exactly one Stored or StoreFailed for every Persist, which writes the state as it is at that moment,
//  * gives Clock not later than next_deadline(), and RetryDue after RetryAfter.
// Enclaves are numbered within the session; 0 is the coordinator enclave. Participants are numbered by signer_index.
//
// What the machine guarantees, and tests explore exhaustively: the status never moves backwards; round 2 starts only after everything of
// round 1 is durable; the attempt number only rises, and a call names the current one; nothing is answered before it is durable; after
// the end only Close goes out; every session ends, because each wait has an end and retries are bounded.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/session/status.h"

namespace keymeld::session::signing {

enum class Phase {
    New,
    Accepting,  ///< the coordinator enclave has not judged the request yet; nothing is stored
    Collecting, ///< approvals are awaited
    Round1,
    Round2,
    Finish,
    Backoff,    ///< a try failed; the next one waits
    Ending,     ///< completed or failed, not durable yet
    Ended,
    Suspended,  ///< storage refused: to be dropped and loaded again
};

/// The steps whose failures are counted apart.
enum class Step : std::uint8_t { Round1, Round2, Finish };

enum class Progress : std::uint8_t { Idle, Asked, Done };

struct Enclave {
    Progress progress = Progress::Idle; ///< in the current step
    bool touched = false;               ///< may hold round state
    bool operator==(const Enclave&) const = default;
};

struct Participant {
    bool required = false;              ///< its policy is not `none`
    bool approved = false;
    std::uint64_t bound_expires_at = 0; ///< 0: header approval, never lapses
    bool operator==(const Participant&) const = default;
};

/// A request of a client that waits for something to be durable; the driver's own number.
using Ticket = std::uint64_t;

struct State {
    Phase phase = Phase::New;
    SigningStatus status = SigningStatus::CollectingParticipants;
    std::optional<FailureType> failure;
    std::optional<Errc> failure_code;   ///< what an enclave said, for the message
    std::uint32_t failure_enclave = 0;
    std::uint32_t attempt = 0;
    std::uint32_t retry_max = 5;        ///< failures allowed per step
    std::uint64_t expires_at = 0;
    std::vector<Enclave> enclaves;
    std::vector<Participant> participants;
    bool stored_once = false;

    // Bookkeeping of the machine.
    std::array<std::uint32_t, 3> failures{};
    std::optional<Errc> trouble;        ///< of the current step: decides what follows when every call has answered
    std::uint32_t trouble_enclave = 0;
    std::uint32_t calls = 0;            ///< sent and not answered
    bool awaiting = false;              ///< the coordinator enclave accepted and waits for approvals
    bool final_signature = false;
    bool storing = false;
    bool dirty = false;
    std::uint8_t gates_next = 0, gates_storing = 0;
    std::vector<Ticket> tickets_next, tickets_storing;

    bool operator==(const State&) const = default;
};

/// A new session, or one as storage gave it back (then attempt, status, approvals and stored_once are set from the records).
State make_state(std::uint32_t enclaves, std::vector<Participant> participants, std::uint64_t expires_at, std::uint32_t retry_max);

namespace event {
/// The request is to be judged. Phase New only.
struct Create { std::uint64_t now = 0; };
/// After loading: voids the last attempt and goes on. Phase New only, with stored_once.
struct Resume { std::uint64_t now = 0; };
struct Round1Answered {
    std::uint64_t now = 0;
    std::uint32_t enclave = 0;
    std::optional<Errc> error;
    bool awaiting = false;        ///< approvals are missing: no contribution
    bool final_signature = false; ///< the enclave holds every participant and signed
};
struct Round2Answered { std::uint32_t enclave = 0; std::optional<Errc> error; };
struct FinishAnswered { std::optional<Errc> error; };
/// The coordinator enclave accepted an approval. Answered or refused by `ticket`; when refused, or in phase Ended, the driver itself
/// stores what must not be forgotten (the nonce).
struct ApprovalGiven { std::uint64_t now = 0; std::uint32_t participant = 0; std::uint64_t bound_expires_at = 0; Ticket ticket = 0; };
/// The coordinator enclave accepted a rejection. Answered or refused by `ticket`.
struct Rejected { Ticket ticket = 0; };
struct Stored { std::uint64_t now = 0; };
struct StoreFailed {};
struct Clock { std::uint64_t now = 0; };
struct RetryDue {};
} // namespace event

using Event = std::variant<event::Create, event::Resume, event::Round1Answered, event::Round2Answered, event::FinishAnswered,
                           event::ApprovalGiven, event::Rejected, event::Stored, event::StoreFailed, event::Clock, event::RetryDue>;

namespace effect {
/// `patient`: wait for an enclave that is away as the configuration allows; otherwise fail at once.
struct SendRound1 { std::uint32_t enclave = 0; std::uint32_t attempt = 0; bool patient = true; };
struct SendRound2 { std::uint32_t enclave = 0; std::uint32_t attempt = 0; };
struct SendFinish { std::uint32_t attempt = 0; };
/// Insert (first time) or update the record from the state; with it everything the driver has gathered for this session.
struct Persist {};
/// The next Persist removes this approval.
struct DropApproval { std::uint32_t participant = 0; };
struct AnswerCreate {};
/// Nothing was stored and nothing will be.
struct RefuseCreate { Errc code = Errc::Internal; std::uint32_t enclave = 0; };
struct AnswerTicket { Ticket ticket = 0; };
struct RefuseTicket { Ticket ticket = 0; Errc code = Errc::Internal; };
/// What the last Persist wrote may be shown.
struct Publish {};
struct RetryAfter { std::uint32_t ms = 0; };
/// Fire and forget: erase the round state there.
struct Close { std::uint32_t enclave = 0; };
/// The session is over for this driver: Ended, or Suspended (load it again from storage later).
struct Release { bool reload = false; };
} // namespace effect

using Effect = std::variant<effect::SendRound1, effect::SendRound2, effect::SendFinish, effect::Persist, effect::DropApproval,
                            effect::AnswerCreate, effect::RefuseCreate, effect::AnswerTicket, effect::RefuseTicket,
                            effect::Publish, effect::RetryAfter, effect::Close, effect::Release>;
using Effects = std::vector<Effect>;

/// Appends what is to be done to `effects`. An event that does not fit the phase (a late answer) changes nothing. [any-thread]
void step(State& state, const Event& event, Effects& effects);

/// When Clock is due at the latest, in Unix seconds: expiry of the session or of a bound approval; nullopt once nothing can expire.
std::optional<std::uint64_t> next_deadline(const State& state);

/// True if every required approval is there (expired ones are gone after Clock).
bool fully_approved(const State& state);

} // namespace keymeld::session::signing
