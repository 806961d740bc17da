// kill -9 of the appliance and of enclaves at every step: what was acknowledged is there afterwards, what was not can be asked for again with
// the same bytes, every session ends, and keys go on signing.
//
// The kills are placed from outside: after the answer of each request, a little after a request was sent, and at random moments.
// KEYMELD_CRASH_ROUNDS sets how many random moments (default 12).
#include <cstdlib>
#include <random>

#include <boost/asio/steady_timer.hpp>

#include "core/secure/random.h"
#include "tests/e2e/harness.h"

namespace keymeld::e2e {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

int rounds() {
    const char* const text = std::getenv("KEYMELD_CRASH_ROUNDS");
    return text != nullptr ? std::atoi(text) : 12;
}

class Crash : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { s_fleet = start_fleet(); }
    static void TearDownTestSuite() {
        EXPECT_EQ(s_fleet->casualties(), "");
        const Status stopped = s_fleet->shut_down();
        EXPECT_TRUE(stopped) << (stopped ? "" : explain(stopped.error()));
        s_fleet.reset();
    }
    void TearDown() override {
        if (HasFailure())
            std::cerr << s_fleet->logs();
    }

    static void restart_appliance() {
        s_fleet->kill_appliance();
        must(run(s_fleet->start_appliance()), "starting the appliance again");
    }
    static void restart_enclave(std::uint32_t index) {
        s_fleet->kill_enclave(index);
        must(run(s_fleet->start_enclave(index)), "starting an enclave again");
    }

    /// Runs a request and does `deed` after `delay`, whether it is answered by then or not.
    template <class T> static T run_with(Async<T> request, microseconds delay, const std::function<void()>& deed) {
        boost::asio::steady_timer timer(loop(), delay);
        // It may be due and queued when the request has ended: then it does nothing in a later run of the loop.
        const auto due = std::make_shared<bool>(true);
        timer.async_wait([&deed, due](const boost::system::error_code& error) {
            if (!error && *due)
                deed();
        });
        T answer = run(std::move(request));
        *due = false;
        return answer;
    }
    microseconds moment(microseconds most) {
        return microseconds(std::uniform_int_distribution<std::int64_t>(0, most.count())(m_random));
    }

    /// A key whose first two participants require approvals.
    static Group careful_group(Client& client) {
        Group group({.policies = {Approval::Header, Approval::Bound}});
        client.make_key(group);
        return group;
    }
    static client::SigningStatusEntry status(Client& client, const Group& group, SigningId id) {
        return must(run(client.rest().signing_status(id, group.people[0].signing_header())), "signing status");
    }
    static Status ask_for_signature(Client& client, const Group& group, const client::CreateSigningBody& body) {
        return run(client.rest().create_signing(body, group.invitation->session_header(group.people[0].user_id)));
    }
    static Status approve(Client& client, const Group& group, std::size_t who, SigningId id, const ByteArray<32>& message) {
        client::Ceremony ceremony(client.rest());
        return run(ceremony.approve(*group.invitation, group.people[who], id, message, group.policy(who)));
    }
    /// It ends: with a signature that verifies, or with a reason. True if signed.
    static bool expect_an_end(Client& client, Group& group, SigningId id, const ByteArray<32>& message) {
        const auto signature = client.fetch(group, id, message);
        if (signature)
            return true;
        EXPECT_EQ(signature.error().code, Errc::WrongState) << explain(signature.error());
        const auto last = status(client, group, id);
        EXPECT_EQ(last.status, "failed");
        EXPECT_TRUE(last.failure && !last.failure->message.empty()) << "a failure without a reason";
        return false;
    }

    static std::unique_ptr<fleet::SimFleet> s_fleet;
    std::mt19937_64 m_random{std::random_device{}()};
};
std::unique_ptr<fleet::SimFleet> Crash::s_fleet;

TEST_F(Crash, ApplianceDiesAfterEachStepOfAKeygen) {
    constexpr std::size_t kSteps = 4; // created, three registrations; the last one completes the key
    for (std::size_t die_after = 0; die_after < kSteps; ++die_after) {
        SCOPED_TRACE("killed after step " + std::to_string(die_after));
        Group group({.policies = {Approval::None, Approval::Bound}});
        auto client = std::make_unique<Client>(*s_fleet);
        const auto create = keygen_body(*client, group);
        must(run(client->rest().create_keygen(create)), "creating");
        std::vector<client::RegisterBody> registered;
        for (std::size_t who = 0; who < die_after; ++who) {
            registered.push_back(register_body(*client, group, who));
            must(run(client->rest().register_participant(registered[who], group.invitation->session_header(group.people[who].user_id))),
                 "registering");
        }
        client.reset();
        restart_appliance();
        client = std::make_unique<Client>(*s_fleet);

        const auto state = must(run(client->rest().keygen_status(create.keygen_id, group.invitation->session_header(group.people[0].user_id))),
                                "keygen status");
        EXPECT_EQ(state.registered, die_after) << "an acknowledged registration is gone";
        EXPECT_EQ(state.status, die_after == group.people.size() ? "completed" : "collecting_participants");
        // The same bytes again get the same answer.
        must(run(client->rest().create_keygen(create)), "creating again");
        for (std::size_t who = 0; who < group.people.size(); ++who) {
            if (who >= registered.size())
                registered.push_back(register_body(*client, group, who));
            must(run(client->rest().register_participant(registered[who], group.invitation->session_header(group.people[who].user_id))),
                 "registering");
        }
        client::Ceremony ceremony(client->rest());
        group.key = must(run(ceremony.aggregate_key(*group.invitation, group.people[2], steady_clock::now() + 30s)), "key");
        client->sign(group);
    }
}

TEST_F(Crash, ApplianceDiesDuringEachRequestOfAKeygen) {
    for (int round = 0; round < rounds(); ++round) {
        Group group({.size = 2});
        auto client = std::make_unique<Client>(*s_fleet);
        // The request is made, the appliance dies under it, and the client repeats the same bytes until it has an answer.
        const auto insist = [&](const std::function<Async<Status>()>& request) {
            Status first = run_with(request(), moment(12ms), [&] { s_fleet->kill_appliance(); });
            client.reset();
            restart_appliance();
            client = std::make_unique<Client>(*s_fleet);
            EXPECT_TRUE(first || first.error().code == Errc::Disconnected) << explain(first.error());
            must(run(request()), "repeating a request");
        };
        const auto create = keygen_body(*client, group);
        insist([&] { return client->rest().create_keygen(create); });
        for (std::size_t who : {0u, 1u}) {
            const auto body = register_body(*client, group, who);
            insist([&] { return client->rest().register_participant(body, group.invitation->session_header(body.user_id)); });
        }
        client::Ceremony ceremony(client->rest());
        group.key = must(run(ceremony.aggregate_key(*group.invitation, group.people[1], steady_clock::now() + 30s)), "key");
        client->sign(group);
    }
}

TEST_F(Crash, ApplianceDiesAfterEachStepOfASigning) {
    auto client = std::make_unique<Client>(*s_fleet);
    Group group = careful_group(*client);
    const auto reborn = [&] {
        client.reset();
        restart_appliance();
        client = std::make_unique<Client>(*s_fleet);
    };
    reborn();
    const auto message = secure::random_array<32>();
    const auto body = signing_body(group, message);
    const SigningId id = body.signing_id;
    must(ask_for_signature(*client, group, body), "creating");
    reborn();
    EXPECT_EQ(status(*client, group, id).status, "collecting_participants");
    must(ask_for_signature(*client, group, body), "creating again");
    must(approve(*client, group, 0, id, message), "approving");
    reborn();
    EXPECT_EQ(status(*client, group, id).approved, std::vector<UserId>{group.people[0].user_id}) << "an acknowledged approval is gone";
    must(approve(*client, group, 1, id, message), "approving");
    reborn(); // somewhere in the rounds
    EXPECT_TRUE(expect_an_end(*client, group, id, message)) << "nothing stood in the way of a signature";
    reborn();
    const auto first = must(client->fetch(group, id, message), "the stored signature");
    reborn();
    EXPECT_EQ(must(client->fetch(group, id, message), "the stored signature").hex(), first.hex());
}

TEST_F(Crash, WhatWasUsedUpStaysUsedUp) {
    auto client = std::make_unique<Client>(*s_fleet);
    Group group({.size = 2, .policies = {Approval::Header}, .max_signing_sessions = 2});
    client->make_key(group);
    const auto session_header = must(group.invitation->session_header(group.people[0].user_id)(), "header");
    const auto signing_header = must(group.people[1].signing_header()(), "header");
    const auto id = group.invitation->keygen_id;
    must(run(client->rest().keygen_status(id, [&] { return Result<std::string>(session_header); })), "status");
    const auto message = secure::random_array<32>();
    const auto body = signing_body(group, message);
    must(ask_for_signature(*client, group, body), "creating");
    must(run(client->rest().signing_status(body.signing_id, [&] { return Result<std::string>(signing_header); })), "status");
    client.reset();
    restart_appliance();
    client = std::make_unique<Client>(*s_fleet);
    const auto keygen_again = run(client->rest().keygen_status(id, [&] { return Result<std::string>(session_header); }));
    ASSERT_FALSE(keygen_again) << "a header nonce was accepted twice";
    EXPECT_EQ(keygen_again.error().code, Errc::NonceReplayed);
    const auto signing_again = run(client->rest().signing_status(body.signing_id, [&] { return Result<std::string>(signing_header); }));
    ASSERT_FALSE(signing_again) << "a header nonce was accepted twice";
    EXPECT_EQ(signing_again.error().code, Errc::NonceReplayed);
    must(approve(*client, group, 0, body.signing_id, message), "approving");
    must(client->fetch(group, body.signing_id, message), "signature");
    client->sign(group);
    client.reset();
    restart_appliance();
    client = std::make_unique<Client>(*s_fleet);
    const Status third = ask_for_signature(*client, group, signing_body(group, secure::random_array<32>()));
    ASSERT_FALSE(third) << "the quota was forgotten";
    EXPECT_EQ(third.error().code, Errc::QuotaExceeded);
}

/// Many sessions under way, one random moment, kill -9; again and again over the same keys and the same database.
TEST_F(Crash, ApplianceDiesAtRandomMomentsUnderLoad) {
    auto client = std::make_unique<Client>(*s_fleet);
    std::vector<Group> groups;
    for (int i = 0; i < 3; ++i) {
        groups.emplace_back(GroupOptions{.size = 2 + static_cast<std::size_t>(i), .max_signing_sessions = 100'000});
        client->make_key(groups.back());
    }
    struct Flight {
        Group* group;
        ByteArray<32> message;
        client::CreateSigningBody body;
        std::optional<Status> answer;
    };
    int acknowledged = 0;
    int signed_sessions = 0;
    for (int round = 0; round < rounds(); ++round) {
        std::vector<Flight> flights;
        for (int i = 0; i < 8; ++i) {
            Group& group = groups[static_cast<std::size_t>(i) % groups.size()];
            const auto message = secure::random_array<32>();
            flights.push_back({&group, message, signing_body(group, message), std::nullopt});
        }
        for (Flight& flight : flights)
            boost::asio::co_spawn(loop(),
                                  keep_result(client->rest().create_signing(
                                                  flight.body, flight.group->invitation->session_header(flight.group->people[0].user_id)),
                                              flight.answer),
                                  [](std::exception_ptr error) {
                                      if (error)
                                          std::rethrow_exception(error);
                                  });
        boost::asio::steady_timer timer(loop(), moment(25ms));
        timer.async_wait([&](const boost::system::error_code&) { s_fleet->kill_appliance(); });
        loop().restart();
        loop().run(); // until every request was answered or cut off, and the appliance is dead
        client.reset();
        must(run(s_fleet->start_appliance()), "starting the appliance again");
        client = std::make_unique<Client>(*s_fleet);
        for (Flight& flight : flights) {
            ASSERT_TRUE(flight.answer);
            if (*flight.answer) {
                ++acknowledged;
            } else {
                EXPECT_EQ(flight.answer->error().code, Errc::Disconnected) << explain(flight.answer->error());
                must(ask_for_signature(*client, *flight.group, flight.body), "asking again");
            }
            signed_sessions += expect_an_end(*client, *flight.group, flight.body.signing_id, flight.message) ? 1 : 0;
        }
    }
    std::cout << rounds() << " kills, " << acknowledged << " sessions acknowledged before one, " << signed_sessions << " of " << 8 * rounds()
              << " signed in the end\n";
    EXPECT_EQ(signed_sessions, 8 * rounds()) << "no enclave was down: every session can be signed";
    for (Group& group : groups)
        client->sign(group);
}

TEST_F(Crash, EnclavesDieBetweenKeygenAndSigning) {
    Client client(*s_fleet);
    Group group = careful_group(client);
    for (std::uint32_t index = 0; index < s_fleet->enclave_count(); ++index) {
        SCOPED_TRACE("enclave " + std::to_string(index));
        restart_enclave(index);
        client.sign(group);
    }
    for (std::uint32_t index = 0; index < s_fleet->enclave_count(); ++index)
        s_fleet->kill_enclave(index);
    for (std::uint32_t index = 0; index < s_fleet->enclave_count(); ++index)
        must(run(s_fleet->start_enclave(index)), "starting an enclave again");
    client.sign(group);
}

TEST_F(Crash, EnclavesDieDuringAKeygen) {
    for (std::uint32_t index = 0; index < s_fleet->enclave_count(); ++index) {
        SCOPED_TRACE("enclave " + std::to_string(index));
        Client client(*s_fleet);
        Group group({});
        must(run(client.rest().create_keygen(keygen_body(client, group))), "creating");
        for (std::size_t who = 0; who < group.people.size(); ++who) {
            restart_enclave(index);
            const auto body = register_body(client, group, who);
            must(run(client.rest().register_participant(body, group.invitation->session_header(body.user_id))), "registering");
        }
        client::Ceremony ceremony(client.rest());
        group.key = must(run(ceremony.aggregate_key(*group.invitation, group.people[1], steady_clock::now() + 30s)), "key");
        client.sign(group);
    }
}

TEST_F(Crash, EnclavesDieDuringSigning) {
    Client client(*s_fleet);
    Group group = careful_group(client);
    int signed_sessions = 0;
    for (int round = 0; round < rounds(); ++round) {
        const auto index = static_cast<std::uint32_t>(round) % s_fleet->enclave_count();
        SCOPED_TRACE("enclave " + std::to_string(index));
        const auto message = secure::random_array<32>();
        const auto body = signing_body(group, message);
        must(ask_for_signature(client, group, body), "creating");
        must(approve(client, group, 0, body.signing_id, message), "approving");
        client::Ceremony ceremony(client.rest());
        bool dead = false;
        const Status last = run_with(ceremony.approve(*group.invitation, group.people[1], body.signing_id, message, Approval::Bound),
                                     moment(8ms), [&] {
                                         s_fleet->kill_enclave(index);
                                         dead = true;
                                     });
        if (!dead)
            s_fleet->kill_enclave(index);
        must(run(s_fleet->start_enclave(index)), "starting an enclave again");
        if (!last) // it died before it could answer
            must(approve(client, group, 1, body.signing_id, message), "approving again");
        signed_sessions += expect_an_end(client, group, body.signing_id, message) ? 1 : 0;
    }
    std::cout << signed_sessions << " of " << rounds() << " sessions were signed although an enclave died\n";
    EXPECT_GT(signed_sessions, 0);
    client.sign(group);
}

TEST_F(Crash, EverythingDiesAtOnce) {
    auto client = std::make_unique<Client>(*s_fleet);
    Group group = careful_group(*client);
    const auto message = secure::random_array<32>();
    const auto body = signing_body(group, message);
    must(ask_for_signature(*client, group, body), "creating");
    must(approve(*client, group, 0, body.signing_id, message), "approving");
    client.reset();
    s_fleet->kill_appliance();
    for (std::uint32_t index = 0; index < s_fleet->enclave_count(); ++index)
        s_fleet->kill_enclave(index);
    // The appliance first, so that it has to wait for its enclaves.
    must(run(s_fleet->start_appliance()), "starting the appliance again");
    for (std::uint32_t index = 0; index < s_fleet->enclave_count(); ++index)
        must(run(s_fleet->start_enclave(index)), "starting an enclave again");
    client = std::make_unique<Client>(*s_fleet);
    EXPECT_EQ(status(*client, group, body.signing_id).approved, std::vector<UserId>{group.people[0].user_id});
    must(approve(*client, group, 1, body.signing_id, message), "approving");
    must(client->fetch(group, body.signing_id, message), "signature");
    client->sign(group);
}

/// An enclave that never comes back: the session must not wait for ever.
TEST(CrashForGood, ASessionWithoutItsEnclaveFailsWithAReason) {
    auto limits = fleet::SimFleet::lifted_limits();
    limits["enclave_wait_max"] = "1s";
    limits["enclave_retry_max"] = "2";
    const auto fleet = start_fleet({.enclaves = 2, .limits = limits});
    Client client(*fleet);
    Group group({.size = 2, .policies = {Approval::Header}});
    client.make_key(group);
    const auto message = secure::random_array<32>();
    client::Ceremony ceremony(client.rest());
    const SigningId id = must(run(ceremony.create_signing(*group.invitation, group.people[0].user_id, message, 20)), "creating");
    fleet->kill_enclave(1); // not the coordinator's: that one still takes the approval
    must(run(ceremony.approve(*group.invitation, group.people[0], id, message, Approval::Header)), "approving");
    const auto signature = client.fetch(group, id, message);
    ASSERT_FALSE(signature);
    EXPECT_EQ(signature.error().code, Errc::WrongState) << explain(signature.error());
    const auto last = must(run(client.rest().signing_status(id, group.people[0].signing_header())), "status");
    ASSERT_TRUE(last.failure);
    EXPECT_TRUE(last.failure->type == "enclave_unavailable" || last.failure->type == "expired") << last.failure->type;
    // With the enclave back, the key signs again.
    must(run(fleet->start_enclave(1)), "starting the enclave again");
    must(run(fleet->wait_ready(steady_clock::now() + 60s)), "readiness");
    client.sign(group);
}

} // namespace
} // namespace keymeld::e2e
