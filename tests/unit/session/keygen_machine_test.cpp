#include "core/session/keygen_machine.h"

#include <set>

#include "tests/unit/session/explore.h"

namespace keymeld::session::keygen {
namespace {

using test::EdgeKind;
using test::Explorer;
using test::Fingerprint;

constexpr std::uint64_t kExpiry = 100;

enum class CallKind { Open, Join, Complete };
struct Call {
    CallKind kind{};
    std::uint32_t enclave = 0;
    auto operator<=>(const Call&) const = default;
};

struct Options {
    std::uint32_t enclaves = 2;
    std::uint32_t participants = 2;
    std::uint32_t retry_max = 1;
    std::optional<std::vector<bool>> resume; ///< who is registered
};

struct World {
    State state;
    std::uint64_t now = 0;
    std::set<Call> calls;
    bool storing = false, retry = false, released = false, reload = false, anything_shown = false;
    int create_answers = 0;
    std::set<std::uint32_t> held;               // enclaves that may hold something of the session
    std::vector<bool> registering;              // at their enclave already, by participant
    std::set<Ticket> loose, writing, durable, waiting;
    std::set<std::uint32_t> loose_users, writing_users, durable_users;
    KeygenStatus writing_status{}, shown = KeygenStatus::CollectingParticipants;
    std::set<std::uint32_t> erased, deleted;
    std::string trail;

    explicit World(const Options& options) : registering(options.participants) {
        state = make_state(options.enclaves, options.participants, kExpiry, options.retry_max);
        if (!options.resume) {
            happen(event::Create{}, "create");
            return;
        }
        state.registered = registering = *options.resume;
        for (std::uint32_t p = 0; p < options.participants; ++p)
            if (registering[p])
                durable_users.insert(p);
        for (std::uint32_t e = 0; e < options.enclaves; ++e)
            held.insert(e);
        anything_shown = true;
        create_answers = 1;
        happen(event::Resume{now}, "resume");
    }

    bool over() const { return released; }

    std::string fingerprint() const {
        Fingerprint f;
        const State& s = state;
        f << s.phase << s.status << (s.failure ? static_cast<int>(*s.failure) + 1 : 0) << s.stored_once << s.calls << s.failures
          << (s.trouble ? static_cast<std::uint32_t>(*s.trouble) : 0) << s.trouble_enclave << s.storing << s.dirty
          << s.gates_next << s.gates_storing << s.tickets_completion.size();
        for (const Enclave& enclave : s.enclaves)
            f << enclave.progress << enclave.touched;
        for (std::size_t p = 0; p < registering.size(); ++p)
            f << s.registered[p] << registering[p];
        f << now << storing << retry << released << anything_shown << create_answers << writing_status << shown;
        for (const Call& call : calls)
            f << call.kind << call.enclave;
        for (const auto* tickets : {&loose, &writing, &durable, &waiting}) {
            f << 254;
            for (const Ticket ticket : *tickets)
                f << ticket;
        }
        for (const auto* set : {&held, &loose_users, &writing_users, &durable_users}) {
            f << 253;
            for (const std::uint32_t item : *set)
                f << item;
        }
        return f.text();
    }

    struct Choice {
        enum class What { Answer, Stored, StoreFailed, Retry, Time, Clock, Register } what{};
        Call call;
        std::optional<Errc> error;
        std::uint32_t participant = 0;
    };

    std::vector<std::pair<EdgeKind, Choice>> choices() const {
        using What = Choice::What;
        std::vector<std::pair<EdgeKind, Choice>> all;
        if (released)
            return all;
        for (const Call& call : calls) {
            all.push_back({EdgeKind::System, {What::Answer, call, {}, 0}});
            for (const Errc code : {Errc::Disconnected, Errc::DecryptFailed, Errc::SealBroken, Errc::RosterMismatch,
                                    Errc::WrongEnclave})
                all.push_back({EdgeKind::System, {What::Answer, call, code, 0}});
        }
        if (storing) {
            all.push_back({EdgeKind::System, {What::Stored, {}, {}, 0}});
            all.push_back({EdgeKind::System, {What::StoreFailed, {}, {}, 0}});
        }
        if (retry)
            all.push_back({EdgeKind::System, {What::Retry, {}, {}, 0}});
        if (const auto deadline = next_deadline(state); deadline && *deadline <= now)
            all.push_back({EdgeKind::System, {What::Clock, {}, {}, 0}});
        if (now < kExpiry)
            all.push_back({EdgeKind::Outside, {What::Time, {}, {}, 0}});
        if (anything_shown)
            for (std::uint32_t p = 0; p < registering.size(); ++p)
                if (!registering[p]) // its enclave accepts it once
                    all.push_back({EdgeKind::Outside, {What::Register, {}, {}, p}});
        return all;
    }

    void take(const Choice& choice) {
        switch (choice.what) {
        case Choice::What::Answer: {
            calls.erase(choice.call);
            const std::string name =
                std::to_string(choice.call.enclave) + ":" + (choice.error ? std::string(errc_name(*choice.error)) : "ok");
            const bool took = !choice.error || *choice.error == Errc::Disconnected || *choice.error == Errc::DecryptFailed;
            if (choice.call.kind != CallKind::Complete && !took)
                held.erase(choice.call.enclave);
            switch (choice.call.kind) {
            case CallKind::Open: return happen(event::OpenAnswered{choice.error}, "open" + name);
            case CallKind::Join: return happen(event::JoinAnswered{choice.call.enclave, choice.error}, "join" + name);
            case CallKind::Complete:
                return happen(event::CompleteAnswered{choice.call.enclave, choice.error}, "complete" + name);
            }
            return;
        }
        case Choice::What::Stored:
            storing = false;
            durable.insert(writing.begin(), writing.end());
            writing.clear();
            durable_users.insert(writing_users.begin(), writing_users.end());
            writing_users.clear();
            EXPECT_TRUE(!is_terminal(shown) || writing_status == shown) << "a terminal status changed";
            shown = writing_status;
            anything_shown = true;
            return happen(event::Stored{}, "stored");
        case Choice::What::StoreFailed:
            storing = false;
            writing.clear();
            writing_users.clear();
            return happen(event::StoreFailed{}, "store-failed");
        case Choice::What::Retry: retry = false; return happen(event::RetryDue{}, "retry");
        case Choice::What::Time: now = kExpiry; return happen(event::Clock{now}, "time");
        case Choice::What::Clock: return happen(event::Clock{now}, "clock");
        case Choice::What::Register: {
            registering[choice.participant] = true;
            const Ticket ticket = choice.participant + 1;
            loose.insert(ticket);
            waiting.insert(ticket);
            loose_users.insert(choice.participant);
            return happen(event::Registered{choice.participant, ticket}, "register" + std::to_string(choice.participant));
        }
        }
    }

    void happen(const Event& event, const std::string& name) {
        trail += " " + name;
        const State before = state;
        Effects effects;
        step(state, event, effects);
        EXPECT_TRUE(!is_terminal(before.status) || state.status == before.status) << "a terminal status changed";
        EXPECT_EQ(state.status == KeygenStatus::Failed, state.failure.has_value());
        EXPECT_GE(registered_count(state), registered_count(before));
        for (const Effect& effect : effects)
            std::visit(*this, effect);
        EXPECT_TRUE(released || !calls.empty() || storing || retry || next_deadline(state)) << "nothing will ever wake this session";
    }

    // ---- Effects ----

    void send(CallKind kind, std::uint32_t enclave) {
        EXPECT_FALSE(is_terminal(state.status)) << "a step after the end";
        EXPECT_FALSE(released);
        EXPECT_TRUE(calls.insert({kind, enclave}).second) << "asked twice at once";
    }
    void operator()(const effect::SendOpen&) {
        send(CallKind::Open, 0);
        held.insert(0);
    }
    void operator()(const effect::SendJoin& e) {
        send(CallKind::Join, e.enclave);
        EXPECT_NE(e.enclave, 0u);
        held.insert(e.enclave);
    }
    void operator()(const effect::SendComplete& e) {
        send(CallKind::Complete, e.enclave);
        EXPECT_EQ(durable_users.size(), registering.size()) << "completed before every registration was durable";
    }
    void operator()(const effect::SendDelete& e) {
        EXPECT_FALSE(anything_shown) << "a session that was accepted is not deleted";
        EXPECT_TRUE(held.contains(e.enclave)) << "deletes what is not ours";
        EXPECT_TRUE(calls.empty()) << "a Delete could overtake a call";
        deleted.insert(e.enclave);
    }
    void operator()(const effect::EraseKeys& e) {
        EXPECT_EQ(shown, KeygenStatus::Failed) << "keys erased before the failure was durable";
        erased.insert(e.enclave);
    }
    void operator()(const effect::Persist&) {
        EXPECT_FALSE(released);
        EXPECT_FALSE(storing);
        EXPECT_TRUE(anything_shown || held.size() == state.enclaves.size()) << "stored before every enclave took it";
        storing = true;
        writing = std::exchange(loose, {});
        writing_users = std::exchange(loose_users, {});
        writing_status = state.status;
    }
    void operator()(const effect::AnswerCreate&) {
        EXPECT_TRUE(anything_shown);
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
        EXPECT_FALSE(is_terminal(state.status));
        EXPECT_GT(e.ms, 0u);
        EXPECT_FALSE(retry);
        retry = true;
    }
    void operator()(const effect::Release& e) {
        EXPECT_FALSE(released) << "released twice";
        EXPECT_TRUE(waiting.empty()) << "a client is left without an answer";
        EXPECT_EQ(create_answers, 1);
        EXPECT_TRUE(e.reload || is_terminal(shown) || !anything_shown);
        EXPECT_TRUE(anything_shown || e.reload || deleted == held) << "something of a session that does not exist is left";
        EXPECT_EQ(erased.size(), shown == KeygenStatus::Failed ? state.enclaves.size() : 0u) << "a failed session keeps keys";
        released = true;
    }
};

struct Case {
    const char* name;
    Options options;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class KeygenMachine : public ::testing::TestWithParam<Case> {};

TEST_P(KeygenMachine, HoldsItsInvariantsInEveryReachableWorld) {
    Explorer<World> explorer;
    explorer.run(World(GetParam().options), 3'000'000);
    EXPECT_GT(explorer.over(), 0u);
    std::cout << GetParam().name << ": " << explorer.worlds() << " worlds, " << explorer.steps() << " steps\n";
}

INSTANTIATE_TEST_SUITE_P(All, KeygenMachine,
                         ::testing::Values(Case{"one_enclave", {1, 2, 2, {}}}, Case{"two_enclaves", {2, 2, 1, {}}},
                                           Case{"three_enclaves", {3, 3, 1, {}}},
                                           Case{"resume_collecting", {2, 2, 2, std::vector<bool>{true, false}}},
                                           Case{"resume_full", {3, 3, 2, std::vector<bool>{true, true, true}}}),
                         [](const auto& tested) { return std::string(tested.param.name); });

struct Drive {
    State state;
    Effects effects;
    template <class E> void operator()(E event) {
        effects.clear();
        step(state, event, effects);
    }
    template <class E> std::size_t count() const {
        return static_cast<std::size_t>(
            std::count_if(effects.begin(), effects.end(), [](const Effect& e) { return std::holds_alternative<E>(e); }));
    }
};

TEST(KeygenMachinePath, CompletesBeforeTheLastRegistrationIsAnswered) {
    Drive d{make_state(2, 2, kExpiry, 5), {}};
    d(event::Create{});
    EXPECT_EQ(d.count<effect::SendOpen>(), 1u);
    d(event::OpenAnswered{});
    EXPECT_EQ(d.count<effect::SendJoin>(), 1u);
    d(event::JoinAnswered{1, {}});
    EXPECT_EQ(d.count<effect::Persist>(), 1u);
    EXPECT_EQ(d.count<effect::AnswerCreate>(), 0u);
    d(event::Stored{});
    EXPECT_EQ(d.count<effect::AnswerCreate>(), 1u);
    d(event::Registered{1, 71});
    d(event::Stored{});
    EXPECT_EQ(d.count<effect::AnswerTicket>(), 1u);
    d(event::Registered{0, 70});
    d(event::Stored{});
    EXPECT_EQ(d.count<effect::SendComplete>(), 2u);
    EXPECT_EQ(d.count<effect::AnswerTicket>(), 0u) << "answered before completion";
    d(event::CompleteAnswered{1, {}});
    d(event::CompleteAnswered{0, {}});
    EXPECT_EQ(d.count<effect::Persist>(), 1u);
    EXPECT_EQ(d.count<effect::AnswerTicket>(), 0u);
    d(event::Stored{});
    EXPECT_EQ(d.count<effect::AnswerTicket>(), 1u);
    EXPECT_EQ(d.count<effect::Release>(), 1u);
    EXPECT_EQ(d.state.status, KeygenStatus::Completed);
}

TEST(KeygenMachinePath, AnswersTheLastRegistrationWhenAnEnclaveIsAway) {
    Drive d{make_state(2, 1, kExpiry, 5), {}};
    d(event::Create{});
    d(event::OpenAnswered{});
    d(event::JoinAnswered{1, {}});
    d(event::Stored{});
    d(event::Registered{0, 70});
    d(event::Stored{});
    d(event::CompleteAnswered{0, {}});
    d(event::CompleteAnswered{1, Errc::Disconnected});
    EXPECT_EQ(d.count<effect::AnswerTicket>(), 1u);
    EXPECT_EQ(d.count<effect::RetryAfter>(), 1u);
    d(event::RetryDue{});
    EXPECT_EQ(d.count<effect::SendComplete>(), 2u);
}

TEST(KeygenMachinePath, DoesNotDeleteWhereItWasRefused) {
    Drive d{make_state(3, 2, kExpiry, 5), {}};
    d(event::Create{});
    d(event::OpenAnswered{Errc::DuplicateId});
    EXPECT_EQ(d.count<effect::RefuseCreate>(), 1u);
    EXPECT_EQ(d.count<effect::SendDelete>(), 0u);

    Drive other{make_state(3, 2, kExpiry, 5), {}};
    other(event::Create{});
    other(event::OpenAnswered{});
    other(event::JoinAnswered{1, Errc::Disconnected});
    EXPECT_TRUE(other.effects.empty()) << "the other answer is awaited";
    other(event::JoinAnswered{2, Errc::RosterMismatch});
    EXPECT_EQ(other.count<effect::RefuseCreate>(), 1u);
    EXPECT_EQ(other.count<effect::SendDelete>(), 2u);
}

TEST(KeygenMachinePath, ExpiryErasesKeysEverywhereAfterItIsDurable) {
    Drive d{make_state(2, 2, kExpiry, 5), {}};
    d(event::Create{});
    d(event::OpenAnswered{});
    d(event::JoinAnswered{1, {}});
    d(event::Stored{});
    EXPECT_EQ(next_deadline(d.state), kExpiry);
    d(event::Clock{kExpiry});
    EXPECT_EQ(d.count<effect::EraseKeys>(), 0u);
    d(event::Stored{});
    EXPECT_EQ(d.count<effect::EraseKeys>(), 2u);
    EXPECT_EQ(d.state.failure, FailureType::Expired);
    d(event::Registered{0, 9});
    EXPECT_EQ(d.count<effect::RefuseTicket>(), 1u);
}

} // namespace
} // namespace keymeld::session::keygen
