// The keygen session as a pure state machine (rest-v1.md 4.4 - 4.8, 6.1): step(state, event) changes the state and says what to do.
//
// No I/O, no clock, no threads: time comes in with the events, in seconds since the Unix epoch. The driver's duties are those of
// signing_machine.h. Enclaves are numbered within the session; 0 is the coordinator enclave.
//
// What the machine guarantees, and tests explore exhaustively: creation is atomic (stored only after every enclave of the session took
// it, deleted everywhere otherwise); completion starts only when every registration is durable; the status never moves backwards;
// nothing is answered before it is durable; after a failure only the erasure of keys goes out; every session ends.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/session/status.h"

namespace keymeld::session::keygen {

enum class Phase {
    New,
    Opening,    ///< the coordinator enclave is asked
    Joining,    ///< the others are given the session
    Creating,   ///< the session is being stored
    Collecting, ///< registrations are awaited
    Completing,
    Backoff,    ///< a try to complete failed; the next one waits
    Ending,     ///< completed or failed, not durable yet
    Ended,
    Suspended,  ///< storage refused: to be dropped and loaded again
};

enum class Progress : std::uint8_t { Idle, Asked, Done };

struct Enclave {
    Progress progress = Progress::Idle; ///< in the current step
    bool touched = false;               ///< may hold something of the session
    bool operator==(const Enclave&) const = default;
};

using Ticket = std::uint64_t;

struct State {
    Phase phase = Phase::New;
    KeygenStatus status = KeygenStatus::CollectingParticipants;
    std::optional<FailureType> failure;
    std::optional<Errc> failure_code;
    std::uint32_t failure_enclave = 0;
    std::uint32_t retry_max = 5;
    std::uint64_t expires_at = 0;
    std::vector<Enclave> enclaves;
    std::vector<bool> registered;       ///< by signer_index
    bool stored_once = false;

    // Bookkeeping of the machine.
    std::uint32_t failures = 0;
    std::optional<Errc> trouble;
    std::uint32_t trouble_enclave = 0;
    std::uint32_t calls = 0;
    bool storing = false;
    bool dirty = false;
    std::uint8_t gates_next = 0, gates_storing = 0;
    std::vector<Ticket> tickets_next, tickets_storing;
    std::vector<Ticket> tickets_completion; ///< of the last registration: answered when the session is completed, or cannot be at once

    bool operator==(const State&) const = default;
};

State make_state(std::uint32_t enclaves, std::uint32_t participants, std::uint64_t expires_at, std::uint32_t retry_max);

namespace event {
struct Create {};
/// After loading from storage (`registered` and stored_once are set). Phase New only.
struct Resume { std::uint64_t now = 0; };
struct OpenAnswered { std::optional<Errc> error; };
struct JoinAnswered { std::uint32_t enclave = 0; std::optional<Errc> error; };
/// An enclave that reports another key than the others is reported as RosterMismatch.
struct CompleteAnswered { std::uint32_t enclave = 0; std::optional<Errc> error; };
/// The enclave of the slot accepted a registration. Answered or refused by `ticket`.
struct Registered { std::uint32_t participant = 0; Ticket ticket = 0; };
struct Stored {};
struct StoreFailed {};
struct Clock { std::uint64_t now = 0; };
struct RetryDue {};
} // namespace event

using Event = std::variant<event::Create, event::Resume, event::OpenAnswered, event::JoinAnswered, event::CompleteAnswered,
                           event::Registered, event::Stored, event::StoreFailed, event::Clock, event::RetryDue>;

namespace effect {
struct SendOpen {};
struct SendJoin { std::uint32_t enclave = 0; };
struct SendComplete { std::uint32_t enclave = 0; };
/// Destroy everything of the session there; repeated by the driver until it is done.
struct SendDelete { std::uint32_t enclave = 0; };
/// Erase the private keys there (FailKeygen); repeated by the driver until it is done.
struct EraseKeys { std::uint32_t enclave = 0; };
struct Persist {};
struct AnswerCreate {};
struct RefuseCreate { Errc code = Errc::Internal; std::uint32_t enclave = 0; };
struct AnswerTicket { Ticket ticket = 0; };
struct RefuseTicket { Ticket ticket = 0; Errc code = Errc::Internal; };
struct Publish {};
struct RetryAfter { std::uint32_t ms = 0; };
struct Release { bool reload = false; };
} // namespace effect

using Effect = std::variant<effect::SendOpen, effect::SendJoin, effect::SendComplete, effect::SendDelete, effect::EraseKeys,
                            effect::Persist, effect::AnswerCreate, effect::RefuseCreate, effect::AnswerTicket,
                            effect::RefuseTicket, effect::Publish, effect::RetryAfter, effect::Release>;
using Effects = std::vector<Effect>;

/// Appends what is to be done to `effects`. An event that does not fit the phase changes nothing. [any-thread]
void step(State& state, const Event& event, Effects& effects);

/// When Clock is due at the latest, in Unix seconds; nullopt once nothing can expire.
std::optional<std::uint64_t> next_deadline(const State& state);

std::uint32_t registered_count(const State& state);

} // namespace keymeld::session::keygen
