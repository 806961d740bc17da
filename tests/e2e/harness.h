// What the end-to-end tests share: a loop, the programs of this build, a fleet, and people who make keys and sign over real HTTP.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "appliance/client/ceremony.h"
#include "appliance/fleet/sim_fleet.h"

namespace keymeld::e2e {

template <class T> using Async = client::Async<T>;
using client::Approval;
using std::chrono::steady_clock;

/// The loop of this test program; everything runs on the main thread.
boost::asio::io_context& loop();

/// co_spawn wants results that can be made from nothing, and a Result need not be.
template <class T> Async<void> keep_result(Async<T> task, std::optional<T>& out) {
    T value = co_await std::move(task);
    out.emplace(std::move(value));
}

/// Runs a coroutine to its end. Throws what it throws.
template <class T> T run(Async<T> task) {
    std::optional<T> out;
    bool ended = false;
    std::exception_ptr failure;
    boost::asio::co_spawn(loop(), keep_result(std::move(task), out), [&](std::exception_ptr error) {
        failure = error;
        ended = true;
    });
    loop().restart();
    while (!ended && loop().run_one() > 0) {
    }
    if (failure)
        std::rethrow_exception(failure);
    return std::move(out.value());
}

/// Folder of the programs under test.
std::filesystem::path programs();

/// A started fleet; throws with the logs if it does not start.
std::unique_ptr<fleet::SimFleet> start_fleet(fleet::SimFleet::Options options = {});

/// "InvalidSignature: text" of a failure, for messages.
std::string explain(const Error& error);

/// The value, or an exception with the error in it.
template <class T> T must(Result<T> result, std::string_view doing) {
    if (!result)
        throw std::runtime_error(std::string(doing) + ": " + explain(result.error()));
    if constexpr (!std::is_void_v<T>)
        return std::move(*result);
}

struct GroupOptions {
    std::size_t size = 3;
    std::vector<Approval> policies = {}; ///< of the first ones; none for the rest
    bitcoin::TweakConfig tweak{bitcoin::TweakType::UnspendableTaproot, {}};
    bitcoin::KeyOrder key_order = bitcoin::KeyOrder::UserId;
    std::uint32_t max_signing_sessions = 100;
    std::optional<bool> odd_aggregate = {}; ///< parity of the aggregate before the tweak; unset: whatever comes
};

/// Participants and what each of them knows. The coordinator is people[0].
struct Group {
    GroupOptions options;
    std::vector<client::Participant> people;
    std::optional<client::Invitation> invitation;
    std::optional<client::AggregateKey> key;

    explicit Group(GroupOptions wanted);
    /// Keys of the group in aggregation order.
    std::vector<ByteArray<33>> ordered_keys() const;
    Approval policy(std::size_t i) const { return i < options.policies.size() ? options.policies[i] : Approval::None; }
};

/// One client's connection and what it believes.
class Client {
  public:
    explicit Client(const fleet::SimFleet& fleet);
    client::RestClient& rest() { return m_rest; }
    const client::Trust& trust() const { return m_trust; }

    /// Runs a whole keygen; the key is checked by every participant and against the independent implementation. Throws on any failure.
    void make_key(Group& group);
    /// Runs a whole signing with the approvals that the group's policies ask for; verified by the independent implementation under the
    /// independently computed key. Throws on any failure.
    bitcoin::SchnorrSignature sign(Group& group, const ByteArray<32>& message);
    bitcoin::SchnorrSignature sign(Group& group);
    /// Waits for the end of a session and verifies as above.
    Result<bitcoin::SchnorrSignature> fetch(Group& group, SigningId id, const ByteArray<32>& message,
                                            std::chrono::seconds patience = std::chrono::seconds(60));

  private:
    client::RestClient m_rest;
    client::Trust m_trust;
};

/// Bodies that can be sent again byte for byte, as a client does that lost the answer.
client::CreateKeygenBody keygen_body(Client& client, Group& group);
client::RegisterBody register_body(Client& client, Group& group, std::size_t who);
client::CreateSigningBody signing_body(const Group& group, const ByteArray<32>& message);

/// A program that has run.
struct Outcome {
    int exit_code = -1; ///< 128 + n if a signal ended it
    std::string output;
    std::string errors;
    std::vector<std::string> lines() const; ///< of the output
    std::string last_line() const;
};
/// Runs a program of this build ("keymeld") with arguments and waits for its end.
Outcome run_program(const std::string& name, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment = {});

/// Command lines of running processes that mention `text`, other than this one.
std::vector<std::string> processes_with(const std::string& text);

} // namespace keymeld::e2e
