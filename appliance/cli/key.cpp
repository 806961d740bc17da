#include <iostream>

#include <CLI/CLI.hpp>
#include <boost/asio/this_coro.hpp>

#include "appliance/cli/client_options.h"
#include "appliance/cli/command.h"
#include "appliance/cli/command_loop.h"
#include "appliance/cli/tweak_option.h"
#include "appliance/client/single_keys.h"
#include "appliance/json/writer.h"
#include "core/base/hex.h"

namespace keymeld::cli {

namespace asio = boost::asio;

namespace {

struct KeyCommand {
    ClientOptions client;
    std::filesystem::path key;      // the single key's file
    std::filesystem::path key_out;
    std::filesystem::path from;     // a participant's key file
    std::string user;
    std::string label;
    std::vector<std::string> allowed;
    std::string message;
    std::string type = "ecdsa";
    std::string tweak = "none";
};

/// What every command here works with.
struct Opened {
    ClientSession session;
    std::optional<client::OwnedKey> key;
};

Result<Opened> open(const KeyCommand& command, const asio::any_io_executor& executor, bool with_trust) {
    KEYMELD_TRY(auto session, ClientSession::open(command.client, executor, with_trust));
    Opened out{std::move(session), std::nullopt};
    if (!command.key.empty()) {
        KEYMELD_TRY(out.key, client::OwnedKey::load(command.key));
    }
    return out;
}

/// Makes sure that the file can be written before a key exists that only it would be the way to.
Status check_new_file(const std::filesystem::path& path) {
    std::error_code error;
    if (std::filesystem::exists(path, error))
        return fail(Errc::Io, path.string() + ": is there already");
    if (const auto folder = path.parent_path(); !folder.empty() && !std::filesystem::is_directory(folder, error))
        return fail(Errc::Io, folder.string() + ": is no folder");
    return {};
}

int print_key(const KeyCommand& command, const client::OwnedKey& key) {
    if (command.client.json) {
        json::Writer out;
        out.begin_object()
            .member("key_id", key.id)
            .member("user_id", key.user_id)
            .member("enclave_id", key.enclave_id)
            .member("public_key", key.public_key.hex());
        if (!command.key_out.empty())
            out.member("key_file", command.key_out.string());
        std::cout << out.end_object().view() << std::endl;
    } else {
        std::cout << "key: " << key.id.text() << "\nuser: " << key.user_id.text() << "\nenclave: " << key.enclave_id
                  << "\npublic_key: " << key.public_key.hex() << "\n";
        if (!command.key_out.empty())
            std::cout << "key_file: " << command.key_out.string() << "\n";
        std::cout.flush();
    }
    return std::cout ? 0 : kFailed;
}

Result<bitcoin::AllowedSignatures> parse_allowed(const std::vector<std::string>& names) {
    if (names.empty())
        return bitcoin::AllowedSignatures{};
    bitcoin::AllowedSignatures out{false, false};
    for (const std::string& name : names) {
        KEYMELD_TRY(const auto type, bitcoin::parse_signature_type(name));
        (type == bitcoin::SignatureType::Ecdsa ? out.ecdsa : out.schnorr_bip340) = true;
    }
    return out;
}

/// Saves what the owner needs. Without it nobody could use the key, or delete it: then it is deleted again.
asio::awaitable<int> save_and_print(const KeyCommand& command, client::SingleKeys& keys, const client::OwnedKey& key, Progress& progress) {
    if (const Status saved = key.save(command.key_out); !saved) {
        const Status gone = co_await keys.remove(key);
        co_return report(fail(saved.error().code, saved.error().detail + "; key " + key.id.text() + " was made and " +
                                                      (gone ? "is deleted again" : "stays, but nobody can use it: " + gone.error().detail)));
    }
    progress.done("enclave " + std::to_string(key.enclave_id) + " attested");
    co_return print_key(command, key);
}

std::optional<std::string> label_of(const KeyCommand& command) {
    return command.label.empty() ? std::nullopt : std::optional(command.label);
}

asio::awaitable<int> generate(KeyCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    Progress progress(executor, command.client.style());
    const auto allowed = parse_allowed(command.allowed);
    if (!allowed)
        co_return report(allowed.error());
    UserId user = client::new_user_id();
    if (!command.user.empty()) {
        const auto given = Uuid::parse(command.user);
        if (!given)
            co_return report(fail(Errc::InvalidArgument, "--user: '" + command.user + "' is no UUID"));
        user = UserId(*given);
    }
    if (const Status free = check_new_file(command.key_out); !free)
        co_return report(free.error());
    auto opened = open(command, executor, true);
    if (!opened)
        co_return report(opened.error());
    progress.begin("generate");
    client::SingleKeys keys(*opened->session.rest, *opened->session.trust);
    // With --key: a further key of the same owner, listed together with that one.
    bitcoin::SecretKey auth_key = bitcoin::SecretKey::generate();
    if (opened->key) {
        auth_key = opened->key->auth_key.clone();
        user = opened->key->user_id;
    }
    auto key = co_await keys.generate(user, std::move(auth_key), *allowed, label_of(command));
    if (!key)
        co_return co_await failed(std::move(key).error());
    const int code = co_await save_and_print(command, keys, *key, progress);
    co_return code;
}

asio::awaitable<int> import(KeyCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    Progress progress(executor, command.client.style());
    if (const Status free = check_new_file(command.key_out); !free)
        co_return report(free.error());
    command.client.key = command.from;
    auto opened = open(command, executor, true);
    if (!opened)
        co_return report(opened.error());
    progress.begin("import");
    client::SingleKeys keys(*opened->session.rest, *opened->session.trust);
    const client::Participant& who = *opened->session.who;
    auto key = co_await keys.import(who.user_id, who.key.clone(), label_of(command));
    if (!key)
        co_return co_await failed(std::move(key).error());
    const int code = co_await save_and_print(command, keys, *key, progress);
    co_return code;
}

asio::awaitable<int> list(KeyCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    auto opened = open(command, executor, false);
    if (!opened)
        co_return report(opened.error());
    const client::OwnedKey& key = *opened->key;
    const auto listed = co_await opened->session.rest->list_keys(key.user_id, key.id, key.header());
    if (!listed)
        co_return co_await failed(listed.error());
    json::Writer out;
    out.begin_array();
    for (const client::KeyEntry& entry : *listed) {
        if (!command.client.json) {
            std::cout << entry.id.text() << "  " << entry.public_key.hex() << "  " << entry.allowed.text()
                      << (entry.label ? "  " + *entry.label : "") << "\n";
            continue;
        }
        out.begin_object().member("key_id", entry.id).member("public_key", entry.public_key.hex()).member("allowed", entry.allowed.text());
        out.member("enclave_id", entry.enclave_id).member("created_at", entry.created_at);
        if (entry.label)
            out.member("label", *entry.label);
        if (entry.origin_keygen)
            out.member("origin_keygen_session_id", *entry.origin_keygen);
        out.end_object();
    }
    if (command.client.json)
        std::cout << out.end_array().view() << "\n";
    std::cout.flush();
    co_return std::cout ? 0 : kFailed;
}

asio::awaitable<int> status(KeyCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    auto opened = open(command, executor, false);
    if (!opened)
        co_return report(opened.error());
    const client::OwnedKey& key = *opened->key;
    const auto state = co_await opened->session.rest->key_status(key.user_id, key.id, key.header());
    if (!state)
        co_return co_await failed(state.error());
    if (state->public_key != key.public_key)
        co_return report(fail(Errc::RosterMismatch, "the appliance reports another public key than the key file has"));
    if (command.client.json) {
        json::Writer out;
        out.begin_object()
            .member("key_id", key.id)
            .member("status", state->status)
            .member("enclave_id", state->enclave_id)
            .member("created_at", state->created_at)
            .member("public_key", state->public_key.hex());
        std::cout << out.end_object().view() << std::endl;
    } else {
        std::cout << "key: " << key.id.text() << "\nstatus: " << state->status << "\nenclave: " << state->enclave_id
                  << "\npublic_key: " << state->public_key.hex() << std::endl;
    }
    co_return std::cout ? 0 : kFailed;
}

asio::awaitable<int> sign(KeyCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    Progress progress(executor, command.client.style());
    const auto message = parse_message(command.message);
    if (!message)
        co_return report(message.error());
    const auto type = bitcoin::parse_signature_type(command.type);
    if (!type)
        co_return report(type.error());
    auto tweak = parse_tweak(command.tweak, MissingValue::Error);
    if (!tweak)
        co_return report(tweak.error());
    auto opened = open(command, executor, true);
    if (!opened)
        co_return report(opened.error());
    progress.begin("sign");
    client::SingleKeys keys(*opened->session.rest, *opened->session.trust);
    client::SignOptions options;
    options.tweak = *tweak;
    const auto signature = co_await keys.sign(*opened->key, *message, *type, options);
    if (!signature)
        co_return co_await failed(signature.error());
    progress.done("verified under the key");
    if (command.client.json) {
        json::Writer out;
        out.begin_object()
            .member("signing_session_id", signature->id)
            .member("signature_type", command.type)
            .member("signature", hex_encode(signature->bytes))
            .member("public_key", opened->key->public_key.hex())
            .member("message", hex_encode(*message));
        std::cout << out.end_object().view() << std::endl;
    } else {
        std::cout << "session: " << signature->id.text() << "\nsignature: " << hex_encode(signature->bytes) << std::endl;
    }
    co_return std::cout ? 0 : kFailed;
}

asio::awaitable<int> remove(KeyCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    auto opened = open(command, executor, false);
    if (!opened)
        co_return report(opened.error());
    const client::OwnedKey& key = *opened->key;
    const auto gone = co_await opened->session.rest->delete_key(key.user_id, key.id, key.header());
    if (!gone)
        co_return co_await failed(gone.error());
    if (command.client.json) {
        json::Writer out;
        std::cout << out.begin_object().member("key_id", key.id).member("deleted", true).end_object().view() << std::endl;
    } else {
        std::cout << "deleted: " << key.id.text() << std::endl;
    }
    co_return std::cout ? 0 : kFailed;
}

void add_key_file_option(CLI::App& app, KeyCommand& command) {
    app.add_option("--key", command.key, "File that `key generate` or `key import` wrote")->required()->type_name("FILE");
}

void add_key_out_options(CLI::App& app, KeyCommand& command) {
    app.add_option("--key-out", command.key_out, "New file, mode 0600, for what is needed to use the key")->required()->type_name("FILE");
    app.add_option("--label", command.label, "Name of the key, public, at most 64 bytes");
}

template <class Body> Run runs(const std::shared_ptr<KeyCommand>& command, Body body) {
    return [command, body] { return run_command([command, body] { return body(*command); }); };
}

} // namespace

Run prepare_key_generate(CLI::App& app) {
    auto command = std::make_shared<KeyCommand>();
    add_connection_options(app, command->client);
    add_trust_options(app, command->client);
    add_key_out_options(app, *command);
    app.add_option("--key", command->key, "File of another key: the new one gets the same owner, and both are listed together")->type_name("FILE");
    app.add_option("--user", command->user, "User id (default: a new one)")->type_name("UUID");
    app.add_option("--allow", command->allowed, "What it may sign: ecdsa, schnorr_bip340; may be repeated (default: both)")
        ->check(CLI::IsMember({"ecdsa", "schnorr_bip340"}));
    app.footer("The key never exists outside the enclave, whose attestation is verified first.\n\n"
               "Example:\n  keymeld key generate --key-out hot.key --label 'hot wallet' --trust root.pem --pcrs pcrs.json");
    return runs(command, generate);
}

Run prepare_key_import(CLI::App& app) {
    auto command = std::make_shared<KeyCommand>();
    add_connection_options(app, command->client);
    add_trust_options(app, command->client);
    add_key_out_options(app, *command);
    app.add_option("--from", command->from, "File with the private key, as `keygen new-key` writes it")->required()->type_name("FILE");
    app.footer("The key is encrypted to an enclave whose attestation is verified first.\n\n"
               "Example:\n  keymeld key import --from alice.key --key-out imported.key --trust root.pem --pcrs pcrs.json");
    return runs(command, import);
}

Run prepare_key_list(CLI::App& app) {
    auto command = std::make_shared<KeyCommand>();
    add_connection_options(app, command->client);
    add_key_file_option(app, *command);
    app.footer("All keys with the same user and the same authentication key.\n\nExample:\n  keymeld key list --key hot.key");
    return runs(command, list);
}

Run prepare_key_status(CLI::App& app) {
    auto command = std::make_shared<KeyCommand>();
    add_connection_options(app, command->client);
    add_key_file_option(app, *command);
    app.footer("Example:\n  keymeld key status --key hot.key");
    return runs(command, status);
}

Run prepare_key_sign(CLI::App& app) {
    auto command = std::make_shared<KeyCommand>();
    add_connection_options(app, command->client);
    add_trust_options(app, command->client);
    add_key_file_option(app, *command);
    app.add_option("--message", command->message, "The 32 bytes to sign, as 64 hex characters")->required()->type_name("HEX");
    app.add_option("--type", command->type, "ecdsa (low S) or schnorr_bip340")
        ->check(CLI::IsMember({"ecdsa", "schnorr_bip340"}))
        ->capture_default_str();
    app.add_option("--taproot", command->tweak,
                   "Sign for the taproot output of the key (schnorr_bip340): unspendable_taproot or taproot_with_merkle_root=<64 hex>")
        ->capture_default_str();
    app.footer("The appliance sees neither the message nor the signature, which is verified here.\n\n"
               "Example:\n  keymeld key sign --key hot.key --message 4a5e1e4b... --type schnorr_bip340");
    return runs(command, sign);
}

Run prepare_key_delete(CLI::App& app) {
    auto command = std::make_shared<KeyCommand>();
    add_connection_options(app, command->client);
    add_key_file_option(app, *command);
    app.footer("Destroys the key in its enclave and in the database. The file stays.\n\nExample:\n  keymeld key delete --key hot.key");
    return runs(command, remove);
}

} // namespace keymeld::cli
