#include "core/session/signing_machine.h"

#include <map>
#include <set>

#include "tests/unit/session/explore.h"

namespace keymeld::session::signing {
namespace {

using test::EdgeKind;
using test::Explorer;
using test::Fingerprint;

constexpr std::uint64_t kBoundExpiry = 50, kExpiry = 100;

struct Call {
    int kind = 0; // 1, 2: rounds; 3: finish
    std::uint32_t enclave = 0;
    std::uint32_t attempt = 0;
    auto operator<=>(const Call&) const = default;
};

struct Options {
    std::uint32_t enclaves = 2;
    std::vector<bool> required{false, false};
    std::uint32_t retry_max = 1;
    bool storage_fails = true;
    std::uint32_t client_actions = 3; // approvals and rejections in all
    std::optional<SigningStatus> resume;
    std::uint32_t resume_attempt = 0;
};

// The machine with all that is around it: enclaves that may answer anything, storage that may fail, clients, time.
struct World {
    State state;
    std::uint32_t client_actions = 0;
    bool storage_fails = true;
    std::uint64_t now = 0;
    std::set<Call> calls;
    bool storing = false, retry = false, released = false, reload = false;
    int create_answers = 0;
    // What was told to nobody but memory yet, what is being written, what is durable.
    bool round1_loose = false, round1_writing = false;
    std::set<Ticket> loose, writing, durable, waiting;
    SigningStatus writing_status{}, shown = SigningStatus::CollectingParticipants;
    std::uint32_t writing_attempt = 0, stored_attempt = 0;
    bool anything_shown = false;
    Ticket next_ticket = 1;
    std::set<std::uint32_t> closed;
    std::string trail;

    explicit World(const Options& options) : client_actions(options.client_actions), storage_fails(options.storage_fails) {
        std::vector<Participant> participants;
        for (const bool required : options.required)
            participants.push_back({required, false, 0});
        state = make_state(options.enclaves, participants, kExpiry, options.retry_max);
        if (!options.resume) {
            happen(event::Create{now}, "create");
            return;
        }
        state.status = shown = *options.resume;
        state.attempt = stored_attempt = options.resume_attempt;
        state.stored_once = anything_shown = true;
        create_answers = 1;
        if (*options.resume != SigningStatus::CollectingParticipants)
            for (Participant& participant : state.participants)
                participant.approved = participant.required;
        happen(event::Resume{now}, "resume");
    }

    bool over() const { return released; }

    std::string fingerprint() const {
        Fingerprint f;
        const State& s = state;
        f << s.phase << s.status << (s.failure ? static_cast<int>(*s.failure) + 1 : 0) << s.attempt << s.stored_once << s.calls
          << s.awaiting << s.final_signature << s.storing << s.dirty << s.gates_next << s.gates_storing
          << (s.trouble ? static_cast<std::uint32_t>(*s.trouble) : 0) << s.trouble_enclave;
        for (const auto count : s.failures)
            f << count;
        for (const Enclave& enclave : s.enclaves)
            f << enclave.progress << enclave.touched;
        for (const Participant& participant : s.participants)
            f << participant.approved << participant.bound_expires_at;
        f << client_actions << now << storing << retry << released << create_answers << round1_loose << round1_writing
          << writing_status << shown << writing_attempt << stored_attempt << anything_shown << next_ticket;
        for (const Call& call : calls)
            f << call.kind << call.enclave << call.attempt;
        for (const auto* tickets : {&loose, &writing, &durable, &waiting}) {
            f << 254;
            for (const Ticket ticket : *tickets)
                f << ticket;
        }
        return f.text();
    }

    struct Choice {
        enum class What { Answer, Stored, StoreFailed, Retry, Time, Clock, Approve, Reject } what{};
        Call call;
        std::optional<Errc> error;
        bool awaiting = false, final_signature = false;
        std::uint32_t participant = 0;
        bool bound = false;
    };

    std::vector<std::pair<EdgeKind, Choice>> choices() const {
        using What = Choice::What;
        std::vector<std::pair<EdgeKind, Choice>> all;
        if (released)
            return all;
        for (const Call& call : calls) {
            all.push_back({EdgeKind::System, {What::Answer, call, {}, false, false, 0, false}});
            if (call.kind == 1)
                all.push_back({EdgeKind::System, {What::Answer, call, {}, true, false, 0, false}});
            if (call.kind == 1 && state.enclaves.size() == 1)
                all.push_back({EdgeKind::System, {What::Answer, call, {}, false, true, 0, false}});
            for (const Errc code : {Errc::Disconnected, Errc::AttemptVoid, Errc::StateRolledBack, Errc::ContributionInvalid,
                                    Errc::QuotaExceeded, Errc::ApprovalExpired})
                all.push_back({EdgeKind::System, {What::Answer, call, code, false, false, 0, false}});
        }
        if (storing) {
            all.push_back({EdgeKind::System, {What::Stored, {}, {}, false, false, 0, false}});
            if (storage_fails)
                all.push_back({EdgeKind::System, {What::StoreFailed, {}, {}, false, false, 0, false}});
        }
        if (retry)
            all.push_back({EdgeKind::System, {What::Retry, {}, {}, false, false, 0, false}});
        if (const auto deadline = next_deadline(state); deadline && *deadline <= now)
            all.push_back({EdgeKind::System, {What::Clock, {}, {}, false, false, 0, false}});
        if (now < kExpiry)
            all.push_back({EdgeKind::Outside, {What::Time, {}, {}, false, false, 0, false}});
        // Clients know of a session only when it is stored.
        if (client_actions > 0 && anything_shown) {
            for (std::uint32_t p = 0; p < state.participants.size(); ++p)
                for (const bool bound : {false, true})
                    all.push_back({EdgeKind::Outside, {What::Approve, {}, {}, false, false, p, bound}});
            all.push_back({EdgeKind::Outside, {What::Reject, {}, {}, false, false, 0, false}});
        }
        return all;
    }

    void take(const Choice& choice) {
        switch (choice.what) {
        case Choice::What::Answer: {
            calls.erase(choice.call);
            const std::string name = " e" + std::to_string(choice.call.enclave) + ":" +
                                     (choice.error ? std::string(errc_name(*choice.error)) : "ok");
            if (choice.call.kind == 1) {
                if (!choice.error)
                    round1_loose = true;
                happen(event::Round1Answered{now, choice.call.enclave, choice.error, choice.awaiting, choice.final_signature},
                       "r1" + name + (choice.awaiting ? "+awaiting" : "") + (choice.final_signature ? "+final" : ""));
            } else if (choice.call.kind == 2) {
                happen(event::Round2Answered{choice.call.enclave, choice.error}, "r2" + name);
            } else {
                happen(event::FinishAnswered{choice.error}, "finish" + name);
            }
            return;
        }
        case Choice::What::Stored:
            storing = round1_writing = false;
            durable.insert(writing.begin(), writing.end());
            writing.clear();
            EXPECT_TRUE(!anything_shown || writing_status >= shown) << "the visible status moved backwards";
            EXPECT_TRUE(!is_terminal(shown) || writing_status == shown) << "a terminal status changed";
            EXPECT_GE(writing_attempt, stored_attempt);
            shown = writing_status;
            stored_attempt = writing_attempt;
            anything_shown = true;
            return happen(event::Stored{now}, "stored");
        case Choice::What::StoreFailed:
            storing = round1_writing = false;
            writing.clear();
            return happen(event::StoreFailed{}, "store-failed");
        case Choice::What::Retry: retry = false; return happen(event::RetryDue{}, "retry");
        case Choice::What::Time:
            now = now < kBoundExpiry ? kBoundExpiry : kExpiry;
            return happen(event::Clock{now}, "time" + std::to_string(now));
        case Choice::What::Clock: return happen(event::Clock{now}, "clock");
        case Choice::What::Approve: {
            --client_actions;
            const Ticket ticket = next_ticket++;
            loose.insert(ticket);
            waiting.insert(ticket);
            return happen(event::ApprovalGiven{now, choice.participant, choice.bound ? kBoundExpiry : 0, ticket},
                          std::string(choice.bound ? "approve-bound" : "approve") + std::to_string(choice.participant));
        }
        case Choice::What::Reject: {
            --client_actions;
            const Ticket ticket = next_ticket++;
            loose.insert(ticket);
            waiting.insert(ticket);
            return happen(event::Rejected{ticket}, "reject");
        }
        }
    }

    void happen(const Event& event, const std::string& name) {
        trail += " " + name;
        const State before = state;
        Effects effects;
        step(state, event, effects);
        EXPECT_GE(state.status, before.status) << "the status moved backwards";
        EXPECT_TRUE(!is_terminal(before.status) || state.status == before.status) << "a terminal status changed";
        EXPECT_GE(state.attempt, before.attempt) << "the attempt number fell";
        EXPECT_EQ(state.status == SigningStatus::Failed, state.failure.has_value());
        for (const Effect& effect : effects)
            std::visit(*this, effect);
        for (const auto count : state.failures)
            EXPECT_LE(count, state.retry_max + 1);
        if (!released) {
            EXPECT_TRUE(!calls.empty() || storing || retry || next_deadline(state)) << "nothing will ever wake this session";
            EXPECT_TRUE(!anything_shown || is_terminal(state.status) || state.phase == Phase::Suspended || next_deadline(state))
                << "a session without expiry";
        }
    }

    // ---- Effects: each checks that it is allowed now ----

    void must_be_alive() const {
        EXPECT_FALSE(is_terminal(state.status)) << "a step after the end";
        EXPECT_FALSE(released) << "a step after the release";
    }
    void send(int kind, std::uint32_t enclave, std::uint32_t attempt) {
        must_be_alive();
        EXPECT_EQ(attempt, state.attempt);
        EXPECT_TRUE(calls.insert({kind, enclave, attempt}).second) << "asked twice at once";
        trail += " >" + std::to_string(kind) + "." + std::to_string(enclave) + "#" + std::to_string(attempt);
    }
    void operator()(const effect::SendRound1& e) {
        send(1, e.enclave, e.attempt);
        // Apart from the judgement of the coordinator enclave, no enclave is asked for nonces before the approvals are there and durable.
        if (e.enclave != 0 || state.phase == Phase::Round1) {
            EXPECT_TRUE(fully_approved(state)) << "nonces without approval";
            EXPECT_TRUE(loose.empty() || state.stored_once);
        }
    }
    void operator()(const effect::SendRound2& e) {
        send(2, e.enclave, e.attempt);
        EXPECT_NE(e.enclave, 0u);
        EXPECT_FALSE(round1_loose || round1_writing) << "round 2 before round 1 was durable";
        EXPECT_EQ(stored_attempt, e.attempt) << "round 2 of an attempt that was not stored";
        EXPECT_TRUE(fully_approved(state));
    }
    void operator()(const effect::SendFinish& e) {
        send(3, 0, e.attempt);
        EXPECT_FALSE(round1_loose || round1_writing);
        EXPECT_EQ(calls.size(), 1u) << "finish while partial signatures are missing";
    }
    void operator()(const effect::Persist&) {
        EXPECT_FALSE(released);
        EXPECT_FALSE(storing) << "two batches of one session at once";
        storing = true;
        round1_writing = round1_loose;
        round1_loose = false;
        writing = std::exchange(loose, {});
        writing_status = state.status;
        writing_attempt = state.attempt;
    }
    void operator()(const effect::DropApproval& e) {
        EXPECT_LT(e.participant, state.participants.size());
        EXPECT_FALSE(is_terminal(state.status));
    }
    void operator()(const effect::AnswerCreate&) {
        EXPECT_TRUE(anything_shown) << "answered before it was durable";
        EXPECT_EQ(++create_answers, 1);
    }
    void operator()(const effect::RefuseCreate&) {
        EXPECT_FALSE(anything_shown) << "refused although it was stored";
        EXPECT_EQ(++create_answers, 1);
    }
    void operator()(const effect::AnswerTicket& e) {
        EXPECT_TRUE(durable.contains(e.ticket)) << "answered before it was durable";
        EXPECT_EQ(waiting.erase(e.ticket), 1u) << "answered twice";
    }
    void operator()(const effect::RefuseTicket& e) {
        EXPECT_EQ(waiting.erase(e.ticket), 1u) << "answered twice";
        loose.erase(e.ticket);
    }
    void operator()(const effect::Publish&) { EXPECT_TRUE(anything_shown); }
    void operator()(const effect::RetryAfter& e) {
        must_be_alive();
        EXPECT_GT(e.ms, 0u);
        EXPECT_FALSE(retry);
        retry = true;
    }
    void operator()(const effect::Close& e) {
        EXPECT_TRUE(is_terminal(shown)) << "closed before the end was durable";
        EXPECT_TRUE(closed.insert(e.enclave).second);
    }
    void operator()(const effect::Release& e) {
        EXPECT_FALSE(released) << "released twice";
        EXPECT_TRUE(waiting.empty()) << "a client is left without an answer";
        EXPECT_EQ(create_answers, 1) << "the creating client is left without an answer";
        EXPECT_TRUE(e.reload || is_terminal(shown) || !anything_shown) << "dropped before its end";
        if (!e.reload && anything_shown) {
            for (std::uint32_t i = 0; i < state.enclaves.size(); ++i)
                EXPECT_EQ(closed.contains(i), state.enclaves[i].touched);
        }
        released = true;
        reload = e.reload;
    }
};

struct Case {
    const char* name;
    Options options;
    std::size_t limit;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class SigningMachine : public ::testing::TestWithParam<Case> {};

TEST_P(SigningMachine, HoldsItsInvariantsInEveryReachableWorld) {
    Explorer<World> explorer;
    explorer.run(World(GetParam().options), GetParam().limit);
    EXPECT_GT(explorer.over(), 0u);
    RecordProperty("worlds", static_cast<int>(explorer.worlds()));
    RecordProperty("steps", static_cast<int>(explorer.steps()));
    std::cout << GetParam().name << ": " << explorer.worlds() << " worlds, " << explorer.steps() << " steps\n";
}

using enum SigningStatus;
constexpr std::size_t kMany = 3'000'000;
INSTANTIATE_TEST_SUITE_P(
    All, SigningMachine,
    ::testing::Values(
        Case{"one_enclave_no_approval", {1, {false, false}, 1, true, 2, {}, 0}, kMany},
        Case{"one_enclave_approvals", {1, {true, true}, 1, true, 3, {}, 0}, kMany},
        Case{"two_enclaves_no_approval", {2, {false, false}, 1, true, 1, {}, 0}, kMany},
        Case{"two_enclaves_one_approval", {2, {true, false}, 1, true, 2, {}, 0}, kMany},
        Case{"three_enclaves_no_approval", {3, {false, false, false}, 1, false, 0, {}, 0}, kMany},
        Case{"two_enclaves_more_retries", {2, {false, false}, 2, false, 0, {}, 0}, kMany},
        Case{"resume_collecting", {2, {true, false}, 1, true, 2, CollectingParticipants, 1}, kMany},
        Case{"resume_full", {2, {true, false}, 1, true, 1, SessionFull, 1}, kMany},
        Case{"resume_in_round2", {2, {false, false}, 1, true, 1, CollectingPartialSignatures, 7}, kMany}),
    [](const auto& tested) { return std::string(tested.param.name); });

// ---- The main paths, spelled out ----

struct Drive {
    State state;
    Effects effects;
    template <class E> void operator()(E event) {
        effects.clear();
        step(state, event, effects);
    }
    template <class E> std::vector<E> all() const {
        std::vector<E> found;
        for (const Effect& effect : effects)
            if (const E* e = std::get_if<E>(&effect))
                found.push_back(*e);
        return found;
    }
    template <class E> bool has() const { return !all<E>().empty(); }
};

TEST(SigningMachinePath, ThreeEnclavesWithoutApprovalNeedTwoBatches) {
    Drive d{make_state(3, {{}, {}, {}}, kExpiry, 5), {}};
    d(event::Create{1});
    ASSERT_EQ(d.all<effect::SendRound1>().size(), 3u);
    EXPECT_TRUE(d.all<effect::SendRound1>()[0].patient);
    EXPECT_FALSE(d.all<effect::SendRound1>()[1].patient);
    for (std::uint32_t e = 0; e < 2; ++e) {
        d(event::Round1Answered{1, e, {}, false, false});
        EXPECT_TRUE(d.effects.empty());
    }
    d(event::Round1Answered{1, 2, {}, false, false});
    ASSERT_EQ(d.effects.size(), 1u);
    EXPECT_TRUE(d.has<effect::Persist>());
    d(event::Stored{1});
    EXPECT_TRUE(d.has<effect::AnswerCreate>());
    EXPECT_EQ(d.all<effect::SendRound2>().size(), 2u);
    EXPECT_EQ(d.state.status, CollectingPartialSignatures);
    d(event::Round2Answered{2, {}});
    d(event::Round2Answered{1, {}});
    EXPECT_TRUE(d.has<effect::SendFinish>());
    d(event::FinishAnswered{});
    EXPECT_TRUE(d.has<effect::Persist>());
    d(event::Stored{1});
    EXPECT_EQ(d.state.status, Completed);
    EXPECT_EQ(d.all<effect::Close>().size(), 3u);
    EXPECT_TRUE(d.has<effect::Release>());
}

TEST(SigningMachinePath, OneEnclaveSignsInOneTripAndOneBatch) {
    Drive d{make_state(1, {{}, {}}, kExpiry, 5), {}};
    d(event::Create{1});
    d(event::Round1Answered{1, 0, {}, false, true});
    EXPECT_TRUE(d.has<effect::Persist>());
    d(event::Stored{1});
    EXPECT_TRUE(d.has<effect::AnswerCreate>());
    EXPECT_EQ(d.state.status, Completed);
    EXPECT_TRUE(d.has<effect::Release>());
}

TEST(SigningMachinePath, ABoundApprovalLapsesAndALaterOneReplacesIt) {
    Drive d{make_state(2, {{true, false, 0}, {true, false, 0}}, kExpiry, 5), {}};
    d(event::Create{1});
    ASSERT_EQ(d.all<effect::SendRound1>().size(), 1u) << "only the coordinator enclave before the approvals";
    d(event::Round1Answered{1, 0, {}, true, false});
    d(event::Stored{1});
    EXPECT_EQ(next_deadline(d.state), kExpiry);
    d(event::ApprovalGiven{2, 0, 10, 1});
    EXPECT_EQ(next_deadline(d.state), 10u);
    d(event::Stored{2});
    EXPECT_TRUE(d.has<effect::AnswerTicket>());
    d(event::Clock{10});
    ASSERT_EQ(d.all<effect::DropApproval>().size(), 1u);
    EXPECT_FALSE(d.state.participants[0].approved);
    d(event::Stored{10});
    d(event::ApprovalGiven{11, 1, 0, 2});
    d(event::Stored{11});
    EXPECT_FALSE(d.has<effect::SendRound1>());
    d(event::ApprovalGiven{12, 0, 20, 3});
    EXPECT_EQ(d.state.status, SessionFull);
    EXPECT_FALSE(d.has<effect::SendRound1>()) << "the approval is not durable yet";
    d(event::Stored{12});
    EXPECT_EQ(d.all<effect::SendRound1>().size(), 2u);
}

TEST(SigningMachinePath, AVoidAttemptStartsAgainAtOnceAndALostLinkAfterAPause) {
    Drive d{make_state(2, {{}, {}}, kExpiry, 5), {}};
    d(event::Create{1});
    d(event::Round1Answered{1, 0, {}, false, false});
    d(event::Round1Answered{1, 1, {}, false, false});
    d(event::Stored{1});
    d(event::Round2Answered{1, Errc::AttemptVoid});
    ASSERT_EQ(d.all<effect::SendRound1>().size(), 2u);
    EXPECT_EQ(d.all<effect::SendRound1>()[0].attempt, 2u);
    d(event::Round1Answered{1, 0, {}, false, false});
    d(event::Round1Answered{1, 1, Errc::Disconnected, false, false});
    ASSERT_TRUE(d.has<effect::RetryAfter>());
    EXPECT_FALSE(d.has<effect::SendRound1>());
    d(event::RetryDue{});
    EXPECT_EQ(d.all<effect::SendRound1>().at(0).attempt, 3u);
}

TEST(SigningMachinePath, GivesUpAfterTheAllowedFailuresOfAStep) {
    Drive d{make_state(2, {{}, {}}, kExpiry, 3), {}};
    d.state.stored_once = true;
    d.state.status = SessionFull;
    d.state.attempt = 4;
    d(event::Resume{1});
    int tries = 0;
    while (!is_terminal(d.state.status)) {
        ++tries;
        d(event::Round1Answered{1, 0, {}, false, false});
        d(event::Round1Answered{1, 1, Errc::DeadlineExceeded, false, false});
        d(event::RetryDue{});
    }
    EXPECT_EQ(tries, 4);
    EXPECT_EQ(d.state.attempt, 8u);
    EXPECT_EQ(d.state.failure, FailureType::EnclaveUnavailable);
    EXPECT_EQ(d.state.failure_enclave, 1u);
}

TEST(SigningMachinePath, NamesWhyItFailed) {
    const std::pair<Errc, FailureType> cases[] = {{Errc::SealBroken, FailureType::EnclaveStateLost},
                                                  {Errc::ContributionInvalid, FailureType::ProtocolError},
                                                  {Errc::RosterMismatch, FailureType::ProtocolError},
                                                  {Errc::ApprovalExpired, FailureType::Expired},
                                                  {Errc::WrongState, FailureType::Rejected},
                                                  {Errc::Internal, FailureType::Internal}};
    for (const auto& [code, type] : cases) {
        Drive d{make_state(2, {{}, {}}, kExpiry, 3), {}};
        d.state.stored_once = true;
        d.state.status = SessionFull;
        d(event::Resume{1});
        d(event::Round1Answered{1, 1, code, false, false});
        EXPECT_EQ(d.state.failure, type) << errc_name(code);
    }
}

TEST(SigningMachinePath, APeerWithANewerLedgerGetsAFreshAttemptFirst) {
    Drive d{make_state(2, {{}, {}}, kExpiry, 1), {}};
    d.state.stored_once = true;
    d.state.status = SessionFull;
    d(event::Resume{1});
    for (int round = 0; round < 2; ++round) {
        ASSERT_FALSE(is_terminal(d.state.status));
        d(event::Round1Answered{1, 0, {}, false, false});
        d(event::Round1Answered{1, 1, {}, false, false});
        d(event::Stored{1});
        d(event::Round2Answered{1, Errc::StateRolledBack});
    }
    EXPECT_EQ(d.state.failure, FailureType::EnclaveStateLost);
}

TEST(SigningMachinePath, ALateEventChangesNothing) {
    Drive d{make_state(1, {{}, {}}, kExpiry, 5), {}};
    d(event::Create{1});
    d(event::Round1Answered{1, 0, {}, false, true});
    d(event::Stored{1});
    const State over = d.state;
    d(event::Round1Answered{1, 0, {}, false, true});
    d(event::Round2Answered{0, {}});
    d(event::FinishAnswered{});
    d(event::Stored{1});
    d(event::StoreFailed{});
    d(event::Clock{kExpiry});
    d(event::RetryDue{});
    d(event::Create{1});
    d(event::Resume{1});
    EXPECT_EQ(d.state, over);
    EXPECT_TRUE(d.effects.empty());
}

} // namespace
} // namespace keymeld::session::signing
