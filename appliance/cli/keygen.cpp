#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>
#include <boost/asio/this_coro.hpp>

#include "appliance/cli/client_options.h"
#include "appliance/cli/command.h"
#include "appliance/cli/command_loop.h"
#include "appliance/cli/tweak_option.h"
#include "appliance/json/writer.h"
#include "core/secure/process.h"

namespace keymeld::cli {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

void print_line(std::string_view name, std::string_view value) { std::cout << name << ": " << value << "\n"; }

// ---- keygen new-key -------------------------------------------------------------------------------------------------

struct NewKeyOptions {
    std::filesystem::path file;
    bool json = false;
};

int new_key(const NewKeyOptions& options) {
    if (const Status hardened = secure::harden_process(); !hardened)
        return report(hardened.error());
    const auto who = client::Participant::generate();
    if (const Status saved = who.save(options.file); !saved)
        return report(saved.error());
    if (options.json) {
        std::cout << json::Writer()
                         .begin_object()
                         .member("file", options.file.string())
                         .member("user_id", who.user_id)
                         .member("public_key", who.key.public_key().hex())
                         .end_object()
                         .view()
                  << std::endl;
    } else {
        print_line("user_id", who.user_id.text());
        print_line("public_key", who.key.public_key().hex());
    }
    return std::cout ? 0 : kFailed;
}

// ---- keygen create, join, status ------------------------------------------------------------------------------------

struct KeygenCommand {
    ClientOptions client;
    std::vector<std::string> participants;
    std::filesystem::path invitation_out;
    std::filesystem::path token_file;
    std::string tweak = "unspendable_taproot";
    std::string key_order = "user_id";
    std::string approval = "none";
    std::uint32_t max_signing_sessions = 100;
    std::uint64_t timeout = 1800;
    std::uint64_t wait = 0;
    std::optional<std::uint32_t> enclave;
};

void print_result(const KeygenCommand& command, const client::Invitation& invitation, const client::VerifiedEnclave* enclave,
                  const client::KeygenStatusEntry* status, const std::optional<client::AggregateKey>& key) {
    if (command.client.json) {
        json::Writer out;
        out.begin_object().member("keygen_session_id", invitation.keygen_id);
        if (!command.invitation_out.empty())
            out.member("invitation", command.invitation_out.string());
        if (enclave != nullptr)
            out.key("enclave").begin_object()
                .member("enclave_id", enclave->id())
                .member("image", enclave->image())
                .key("hardware").boolean(enclave->hardware())
                .member("key_epoch", enclave->key_epoch())
                .end_object();
        if (status != nullptr)
            out.member("status", status->status).member("registered", status->registered).member("expected", status->expected);
        if (key)
            out.member("aggregate_public_key", key->key.hex())
                .member("x_only_key", key->x_only().hex())
                .member("untweaked_public_key", key->untweaked.hex());
        std::cout << out.end_object().view() << std::endl;
        return;
    }
    print_line("session", invitation.keygen_id.text());
    if (!command.invitation_out.empty())
        print_line("invitation", command.invitation_out.string());
    if (enclave != nullptr)
        print_line("enclave", std::to_string(enclave->id()) + " (" + (enclave->hardware() ? "hardware" : "simulator") + ", image " +
                                  enclave->image() + ", attestation verified)");
    if (status != nullptr)
        print_line("status", status->status + ", " + std::to_string(status->registered) + " of " + std::to_string(status->expected) +
                                 " registered");
    if (key)
        print_line("x_only_key", key->x_only().hex());
    std::cout.flush();
}

/// The key once all have registered; waits at most `seconds`, and shows how many have.
asio::awaitable<Result<std::optional<client::AggregateKey>>> wait_for_key(const ClientSession& session, std::uint64_t seconds,
                                                                          Progress& progress, client::KeygenStatusEntry& last) {
    const SteadyTime deadline = steady_clock::now() + std::chrono::seconds(seconds);
    constexpr unsigned kShow = 5; // seconds between looks at how many have registered
    unsigned wait = 0;
    for (;;) {
        auto status = co_await session.rest->keygen_status(session.invitation->keygen_id,
                                                           session.invitation->session_header(session.who->user_id), wait);
        if (!status)
            co_return std::move(status).error();
        last = std::move(*status);
        progress.part(last.registered, last.expected);
        progress.at(std::to_string(last.registered) + " of " + std::to_string(last.expected) + " registered");
        if (last.status != "collecting_participants")
            break;
        const auto left = std::chrono::ceil<std::chrono::seconds>(deadline - steady_clock::now()).count();
        if (left <= 0)
            co_return std::optional<client::AggregateKey>();
        wait = static_cast<unsigned>(std::min<std::int64_t>(left, kShow));
    }
    client::Ceremony ceremony(*session.rest);
    auto key = co_await ceremony.aggregate_key(*session.invitation, *session.who, steady_clock::now());
    if (!key)
        co_return std::move(key).error();
    co_return std::optional(*key);
}

Result<std::string> read_token(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string token;
    if (!std::getline(in, token) || token.empty())
        return fail(Errc::Io, file.string() + ": no token in its first line");
    return token;
}

Result<std::vector<UserId>> expected_participants(const KeygenCommand& command, const UserId& coordinator) {
    std::vector<UserId> out{coordinator};
    for (const std::string& text : command.participants) {
        const auto id = Uuid::parse(text);
        if (!id)
            return fail(Errc::InvalidArgument, "--participant: '" + text + "' is no UUID");
        if (std::find(out.begin(), out.end(), UserId(*id)) != out.end())
            return fail(Errc::InvalidArgument, "--participant: " + id->text() + " is named twice, or is your own id");
        out.emplace_back(*id);
    }
    return out;
}

/// Registers, then waits for the others if asked to.
asio::awaitable<int> join_and_wait(const KeygenCommand& command, ClientSession& session, Progress& progress) {
    const auto policy = client::parse_approval(command.approval);
    if (!policy)
        co_return report(policy.error());
    progress.begin("register");
    client::Ceremony ceremony(*session.rest, *session.trust);
    auto enclave = co_await ceremony.join_keygen(*session.invitation, *session.who, *policy);
    if (!enclave)
        co_return co_await failed(std::move(enclave).error());
    progress.done("enclave " + std::to_string(enclave->id()) + " attested, key encrypted to it");

    client::KeygenStatusEntry status;
    std::optional<client::AggregateKey> key;
    if (command.wait > 0)
        progress.begin("wait for the others");
    auto waited = co_await wait_for_key(session, command.wait, progress, status);
    if (!waited)
        co_return co_await failed(std::move(waited).error());
    key = *waited;
    if (command.wait > 0 && !key) {
        progress.failed();
        co_return report(fail(Errc::DeadlineExceeded, "registered, but only " + std::to_string(status.registered) + " of " +
                                                          std::to_string(status.expected) + " participants are; ask again with `keygen status`"));
    }
    progress.done();
    print_result(command, *session.invitation, &*enclave, &status, key);
    co_return std::cout ? 0 : kFailed;
}

asio::awaitable<int> create(KeygenCommand command) {
    client::RestClient::Options rest;
    if (!command.token_file.empty()) {
        auto token = read_token(command.token_file);
        if (!token)
            co_return report(token.error());
        rest.keygen_token = std::move(*token);
    }
    const auto executor = co_await asio::this_coro::executor;
    Progress progress(executor, command.client.style());
    auto session = ClientSession::open(command.client, executor, true, std::move(rest));
    if (!session)
        co_return report(session.error());
    client::KeygenOptions options;
    auto tweak = parse_tweak(command.tweak, MissingValue::Error);
    if (!tweak)
        co_return report(tweak.error());
    options.tweak = *tweak;
    auto order = bitcoin::parse_key_order(command.key_order);
    if (!order)
        co_return report(fail(Errc::InvalidArgument, "--key-order: user_id or bip327_sorted"));
    options.key_order = *order;
    options.max_signing_sessions = command.max_signing_sessions;
    options.timeout_secs = command.timeout;
    options.coordinator_enclave = command.enclave;
    auto expected = expected_participants(command, session->who->user_id);
    if (!expected)
        co_return report(expected.error());
    std::error_code error;
    if (std::filesystem::exists(command.invitation_out, error))
        co_return report(fail(Errc::Io, command.invitation_out.string() + " exists already and is not overwritten"));

    progress.begin("create");
    client::Ceremony ceremony(*session->rest, *session->trust);
    auto invitation = co_await ceremony.create_keygen(*session->who, std::move(*expected), options);
    if (!invitation)
        co_return co_await failed(std::move(invitation).error());
    if (const Status saved = invitation->save(command.invitation_out); !saved)
        co_return report(saved.error());
    session->invitation = std::move(*invitation);
    progress.done("session " + session->invitation->keygen_id.text() + ", invitation in " + command.invitation_out.string());
    co_return co_await join_and_wait(command, *session, progress);
}

asio::awaitable<int> join(KeygenCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    Progress progress(executor, command.client.style());
    auto session = ClientSession::open(command.client, executor, true);
    if (!session)
        co_return report(session.error());
    co_return co_await join_and_wait(command, *session, progress);
}

asio::awaitable<int> status(KeygenCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    Progress progress(executor, command.client.style());
    auto session = ClientSession::open(command.client, executor, false);
    if (!session)
        co_return report(session.error());
    client::KeygenStatusEntry last;
    if (command.wait > 0)
        progress.begin("wait for the others");
    auto key = co_await wait_for_key(*session, command.wait, progress, last);
    if (!key)
        co_return co_await failed(std::move(key).error());
    if (command.wait > 0 && !*key) {
        progress.failed();
        co_return report(fail(Errc::DeadlineExceeded, "only " + std::to_string(last.registered) + " of " +
                                                          std::to_string(last.expected) + " participants have registered"));
    }
    progress.done();
    print_result(command, *session->invitation, nullptr, &last, *key);
    co_return std::cout ? 0 : kFailed;
}

void add_wait_option(CLI::App& app, KeygenCommand& command) {
    app.add_option("--wait", command.wait, "Wait up to this many seconds until every participant has registered; exit 1 if they have not")
        ->check(CLI::Range(0, 86400))
        ->type_name("SECONDS");
}

void add_approval_option(CLI::App& app, KeygenCommand& command) {
    app.add_option("--approval", command.approval,
                   "What it takes to sign with your key: none; header (an approval by you, of any message); bound (your signature over "
                   "session, message and expiry)")
        ->check(CLI::IsMember({"none", "header", "bound"}))
        ->capture_default_str();
}

} // namespace

Run prepare_keygen_new_key(CLI::App& app) {
    auto options = std::make_shared<NewKeyOptions>();
    app.add_option("file", options->file, "File to write (mode 0600; never overwritten)")->required()->type_name("FILE");
    app.add_flag("--json", options->json, "Print one JSON object");
    app.footer("Makes a participant: a private key and a user id. Tell the coordinator the user id; keep the file to yourself.\n\n"
               "Example:\n  keymeld keygen new-key alice.key");
    return [options] { return new_key(*options); };
}

Run prepare_keygen_create(CLI::App& app) {
    auto command = std::make_shared<KeygenCommand>();
    add_connection_options(app, command->client);
    add_trust_options(app, command->client);
    add_key_option(app, command->client);
    app.add_option("--participant", command->participants, "User id of another participant; repeat for each")
        ->required()
        ->type_name("UUID");
    app.add_option("--invitation-out", command->invitation_out, "File to write the invitation to (mode 0600; never overwritten)")
        ->required()
        ->type_name("FILE");
    add_approval_option(app, *command);
    add_tweak_option(app, command->tweak);
    app.add_option("--key-order", command->key_order, "user_id, or bip327_sorted as in musig() descriptors")
        ->check(CLI::IsMember({"user_id", "bip327_sorted"}))
        ->capture_default_str();
    app.add_option("--max-signing-sessions", command->max_signing_sessions, "How often this key may be used")->capture_default_str();
    app.add_option("--timeout", command->timeout, "Seconds in which all participants must register")
        ->check(CLI::Range(1, 86400))
        ->capture_default_str();
    app.add_option("--enclave", command->enclave, "Enclave for your key (default: the first healthy one)")->type_name("ID");
    app.add_option("--token-file", command->token_file, "File with the operator's token, where creating keys needs one")->type_name("FILE");
    add_wait_option(app, *command);
    app.footer("Creates a key that all participants must sign with, and registers you as its coordinator. Give the invitation file to the\n"
               "other participants over a channel that you trust: it holds the secret of the session.\n\n"
               "Example:\n"
               "  keymeld keygen create --trust var/sim/root.pem --pcrs var/sim/pcrs.json --key alice.key \\\n"
               "      --participant 019a3c1e-... --participant 019a3c1f-... --approval bound --invitation-out treasury.invitation");
    return [command] { return run_command([command] { return create(*command); }); };
}

Run prepare_keygen_join(CLI::App& app) {
    auto command = std::make_shared<KeygenCommand>();
    add_connection_options(app, command->client);
    add_trust_options(app, command->client);
    add_key_option(app, command->client);
    add_invitation_option(app, command->client, true);
    add_approval_option(app, *command);
    add_wait_option(app, *command);
    app.footer("Verifies the attestation of the enclave that is to hold your key, then hands the key to it, encrypted.\n\n"
               "Example:\n"
               "  keymeld keygen join --trust aws --pcrs pcrs.json --key bob.key --invitation treasury.invitation --approval bound");
    return [command] { return run_command([command] { return join(*command); }); };
}

Run prepare_keygen_status(CLI::App& app) {
    auto command = std::make_shared<KeygenCommand>();
    add_connection_options(app, command->client);
    add_key_option(app, command->client);
    add_invitation_option(app, command->client, true);
    add_wait_option(app, *command);
    app.footer("Shows how many have registered. Once all have, checks that the enclaves vouch for the key, that yours is part of it, and\n"
               "recomputes it before showing it.\n\n"
               "Example:\n  keymeld keygen status --key bob.key --invitation treasury.invitation --wait 600");
    return [command] { return run_command([command] { return status(*command); }); };
}

} // namespace keymeld::cli
