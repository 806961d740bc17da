#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>
#include <boost/asio/this_coro.hpp>

#include "appliance/cli/client_options.h"
#include "appliance/cli/command.h"
#include "appliance/cli/command_loop.h"
#include "appliance/json/writer.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/secure/random.h"

namespace keymeld::cli {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

struct SignCommand {
    ClientOptions client;
    std::string message;
    std::string session;
    std::string form = "bound";
    std::uint64_t valid = 3600;
    std::uint64_t timeout = 1800;
    std::uint64_t wait = 0;
};

Result<SigningId> session_id(const std::string& text) {
    const auto id = Uuid::parse(text);
    if (!id)
        return fail(Errc::InvalidArgument, "--session: '" + text + "' is no UUID");
    return SigningId(*id);
}

/// What is known about a signing session.
struct Shown {
    SigningId id;
    std::optional<client::SigningStatusEntry> status = std::nullopt;
    std::optional<bitcoin::SchnorrSignature> signature = std::nullopt;
    std::optional<bitcoin::XOnlyPubKey> key = std::nullopt;
    std::optional<ByteArray<32>> message = std::nullopt;
};

int print(const SignCommand& command, const Shown& shown) {
    if (command.client.json) {
        json::Writer out;
        out.begin_object().member("signing_session_id", shown.id);
        if (shown.status) {
            out.member("status", shown.status->status);
            for (const auto& [name, users] : {std::pair{"requiring_approval", &shown.status->requiring_approval},
                                              std::pair{"approved", &shown.status->approved}}) {
                out.key(name).begin_array();
                for (const UserId& user : *users)
                    out.uuid(user);
                out.end_array();
            }
            if (shown.status->failure)
                out.key("failure").begin_object()
                    .member("type", shown.status->failure->type)
                    .member("message", shown.status->failure->message)
                    .end_object();
        }
        if (shown.signature)
            out.member("signature", shown.signature->hex());
        if (shown.key)
            out.member("x_only_key", shown.key->hex());
        if (shown.message)
            out.member("message", hex_encode(*shown.message));
        std::cout << out.end_object().view() << std::endl;
    } else {
        std::cout << "session: " << shown.id.text() << "\n";
        if (shown.status) {
            std::cout << "status: " << shown.status->status << "\n";
            for (const UserId& user : shown.status->requiring_approval) {
                const auto& approved = shown.status->approved;
                const bool done = std::find(approved.begin(), approved.end(), user) != approved.end();
                std::cout << (done ? "approved by: " : "waits for: ") << user.text() << "\n";
            }
            if (shown.status->failure)
                std::cout << "failure: " << shown.status->failure->type << ": " << shown.status->failure->message << "\n";
        }
        if (shown.signature)
            std::cout << "signature: " << shown.signature->hex() << "\nx_only_key: " << shown.key->hex() << "\n";
        std::cout.flush();
    }
    return std::cout ? 0 : kFailed;
}

/// Waits for the end, decrypts, and verifies under a key that this client has recomputed.
asio::awaitable<Result<Shown>> fetch_signature(const ClientSession& session, SigningId id, const ByteArray<32>& message,
                                               std::uint64_t seconds, Progress& progress) {
    const SteadyTime deadline = steady_clock::now() + std::chrono::seconds(seconds);
    client::Ceremony ceremony(*session.rest);
    auto key = co_await ceremony.aggregate_key(*session.invitation, *session.who, deadline);
    if (!key)
        co_return std::move(key).error();
    progress.begin("wait for the signature");
    auto signature = co_await ceremony.signature(*session.invitation, *session.who, id, message, *key, deadline);
    if (!signature)
        co_return std::move(signature).error();
    progress.done("verified under the aggregate key");
    co_return Shown{.id = id, .signature = *signature, .key = key->x_only(), .message = message};
}

asio::awaitable<int> create(SignCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    Progress progress(executor, command.client.style());
    const auto message = parse_message(command.message);
    if (!message)
        co_return report(message.error());
    auto session = ClientSession::open(command.client, executor, false);
    if (!session)
        co_return report(session.error());
    progress.begin("create");
    client::Ceremony ceremony(*session->rest);
    const SigningId wanted(Uuid::make_v7(unix_millis(), secure::random_array<10>()));
    auto id = co_await ceremony.create_signing(*session->invitation, session->who->user_id, *message, command.timeout, wanted);
    if (!id) {
        Error error = std::move(id).error();
        if (error.code == Errc::Disconnected || error.code == Errc::DeadlineExceeded)
            error.detail += "; if the request arrived, the session is " + wanted.text() + ": see `keymeld sign status`";
        co_return co_await failed(std::move(error));
    }
    progress.done("session " + id->text());
    if (command.wait == 0)
        co_return print(command, {.id = *id, .message = *message});
    auto shown = co_await fetch_signature(*session, *id, *message, command.wait, progress);
    if (!shown) {
        std::cerr << "keymeld: signing session " << id->text() << "\n";
        co_return co_await failed(std::move(shown).error());
    }
    co_return print(command, *shown);
}

asio::awaitable<int> approve(SignCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    const auto id = session_id(command.session);
    if (!id)
        co_return report(id.error());
    auto form = client::parse_approval(command.form);
    if (!form)
        co_return report(form.error());
    ByteArray<32> message{};
    if (*form == client::Approval::Bound) {
        const auto given = parse_message(command.message);
        if (!given)
            co_return report(given.error());
        message = *given;
    }
    auto session = ClientSession::open(command.client, executor, false);
    if (!session)
        co_return report(session.error());
    client::Ceremony ceremony(*session->rest);
    Status approved = co_await ceremony.approve(*session->invitation, *session->who, *id, message, *form, command.valid);
    if (!approved)
        co_return co_await failed(std::move(approved).error());
    if (command.wait > 0 && *form == client::Approval::Bound) {
        Progress progress(executor, command.client.style());
        auto shown = co_await fetch_signature(*session, *id, message, command.wait, progress);
        if (!shown)
            co_return co_await failed(std::move(shown).error());
        co_return print(command, *shown);
    }
    co_return print(command, {.id = *id});
}

asio::awaitable<int> reject(SignCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    const auto id = session_id(command.session);
    if (!id)
        co_return report(id.error());
    auto session = ClientSession::open(command.client, executor, false);
    if (!session)
        co_return report(session.error());
    auto status = co_await session->rest->reject(*id, session->who->signing_header());
    if (!status)
        co_return co_await failed(std::move(status).error());
    co_return print(command, {.id = *id, .status = std::move(*status)});
}

/// Without a message: the state as it is. With one: the signature, once it is there.
asio::awaitable<int> status(SignCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    Progress progress(executor, command.client.style());
    const auto id = session_id(command.session);
    if (!id)
        co_return report(id.error());
    std::optional<ByteArray<32>> message;
    if (!command.message.empty()) {
        const auto given = parse_message(command.message);
        if (!given)
            co_return report(given.error());
        message = *given;
    }
    if (message.has_value() == command.client.invitation.empty())
        co_return report(fail(Errc::InvalidArgument, "--message and --invitation go together: both are needed to open the signature"));
    auto session = ClientSession::open(command.client, executor, false);
    if (!session)
        co_return report(session.error());

    const SteadyTime deadline = steady_clock::now() + std::chrono::seconds(command.wait);
    if (command.wait > 0)
        progress.begin("wait for the end");
    Shown shown{.id = *id};
    unsigned wait = 0;
    for (;;) {
        auto seen = co_await session->rest->signing_status(*id, session->who->signing_header(), wait);
        if (!seen)
            co_return co_await failed(std::move(seen).error());
        shown.status = std::move(*seen);
        const auto left = std::chrono::ceil<std::chrono::seconds>(deadline - steady_clock::now()).count();
        if (shown.status->terminal() || left <= 0)
            break;
        progress.at(shown.status->status);
        wait = static_cast<unsigned>(std::min<std::int64_t>(left, 60));
    }
    if (command.wait > 0 && !shown.status->terminal()) {
        progress.failed();
        print(command, shown);
        co_return report(fail(Errc::DeadlineExceeded, "the session is still " + shown.status->status));
    }
    progress.done(shown.status->status);
    if (shown.status->status == "completed" && message) {
        auto opened = co_await fetch_signature(*session, *id, *message, 0, progress);
        if (!opened)
            co_return co_await failed(std::move(opened).error());
        opened->status = std::move(shown.status);
        shown = std::move(*opened);
    }
    const int printed = print(command, shown);
    co_return shown.status->status == "failed" ? kFailed : printed;
}

void add_session_option(CLI::App& app, SignCommand& command) {
    app.add_option("--session", command.session, "The signing session's id")->required()->type_name("UUID");
}
CLI::Option* add_message_option(CLI::App& app, SignCommand& command, const std::string& help) {
    return app.add_option("--message", command.message, help)->type_name("HEX");
}
void add_wait_option(CLI::App& app, SignCommand& command, const std::string& help) {
    app.add_option("--wait", command.wait, help)->check(CLI::Range(0, 86400))->type_name("SECONDS");
}

} // namespace

Run prepare_sign_create(CLI::App& app) {
    auto command = std::make_shared<SignCommand>();
    add_connection_options(app, command->client);
    add_key_option(app, command->client);
    add_invitation_option(app, command->client, true);
    add_message_option(app, *command, "The 32 bytes to sign, such as a BIP-341 sighash")->required();
    app.add_option("--timeout", command->timeout, "Seconds in which the session must be approved and signed")
        ->check(CLI::Range(1, 86400))
        ->capture_default_str();
    add_wait_option(app, *command, "Wait up to this many seconds for the signature and print it; exit 1 if it does not come");
    app.footer("Asks for a signature. The message reaches the enclaves encrypted under the session secret. Tell participants who must\n"
               "approve the session's id and the message.\n\n"
               "Example:\n"
               "  keymeld sign create --key alice.key --invitation treasury.invitation --wait 600 --message 4a5e1e4b...");
    return [command] { return run_command([command] { return create(*command); }); };
}

Run prepare_sign_approve(CLI::App& app) {
    auto command = std::make_shared<SignCommand>();
    add_connection_options(app, command->client);
    add_key_option(app, command->client);
    add_invitation_option(app, command->client, true);
    add_session_option(app, *command);
    add_message_option(app, *command, "The 32 bytes that you approve; needed for --form bound");
    app.add_option("--form", command->form,
                   "bound: your signature over session, message and expiry, good for nothing else; header: says nothing about the message")
        ->check(CLI::IsMember({"bound", "header"}))
        ->capture_default_str();
    app.add_option("--valid", command->valid, "Seconds until a bound approval lapses")->check(CLI::Range(1, 604800))->capture_default_str();
    add_wait_option(app, *command, "Wait up to this many seconds for the signature and print it (--form bound)");
    app.footer("Example:\n"
               "  keymeld sign approve --key bob.key --invitation treasury.invitation --session 019a3c22-... --message 4a5e1e4b...");
    return [command] { return run_command([command] { return approve(*command); }); };
}

Run prepare_sign_reject(CLI::App& app) {
    auto command = std::make_shared<SignCommand>();
    add_connection_options(app, command->client);
    add_key_option(app, command->client);
    add_session_option(app, *command);
    app.footer("Ends a session that waits for approvals. Only a participant whose approval is required may.\n\n"
               "Example:\n  keymeld sign reject --key bob.key --session 019a3c22-...");
    return [command] { return run_command([command] { return reject(*command); }); };
}

Run prepare_sign_status(CLI::App& app) {
    auto command = std::make_shared<SignCommand>();
    add_connection_options(app, command->client);
    add_key_option(app, command->client);
    add_invitation_option(app, command->client, false);
    add_session_option(app, *command);
    add_message_option(app, *command, "The message; with --invitation: decrypt the signature and verify it");
    add_wait_option(app, *command, "Wait up to this many seconds until the session has ended; exit 1 if it has not");
    app.footer("Exits 1 for a session that failed.\n\n"
               "Example:\n"
               "  keymeld sign status --key bob.key --session 019a3c22-... --invitation treasury.invitation --message 4a5e1e4b...");
    return [command] { return run_command([command] { return status(*command); }); };
}

} // namespace keymeld::cli
