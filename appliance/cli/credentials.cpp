// keymeld credentials …: the credential stores of the PKCS#11 module.
#include <fstream>
#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>
#include <boost/asio/this_coro.hpp>

#include "appliance/cli/client_options.h"
#include "appliance/cli/command.h"
#include "appliance/cli/command_loop.h"
#include "appliance/cli/pin_prompt.h"
#include "appliance/client/credential_store.h"
#include "appliance/client/local_crypto.h"
#include "appliance/client/self_signed.h"
#include "appliance/client/single_keys.h"
#include "appliance/json/writer.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/secure/process.h"
#include "core/secure/random.h"

namespace keymeld::cli {

namespace asio = boost::asio;
using client::CredentialStore;

namespace {

struct CredentialsCommand {
    ClientOptions client;
    std::filesystem::path store;
    std::filesystem::path pin_file;
    std::filesystem::path new_pin_file;
    std::filesystem::path certificate;
    std::filesystem::path single;
    std::string common_name;
    std::string label;
    unsigned log_n = client::KdfCost{}.log_n;
};

Result<std::string> read_text(const std::filesystem::path& path, std::size_t max_size) {
    std::ifstream in(path, std::ios::binary);
    std::string text(max_size + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (in.gcount() == 0 || !in.eof())
        return fail(Errc::Io, path.string() + ": cannot be read, is empty, or is too large");
    text.resize(static_cast<std::size_t>(in.gcount()));
    return text;
}

/// DER of a certificate file, which may be PEM.
Result<Bytes> read_certificate(const std::filesystem::path& path) {
    constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
    constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
    KEYMELD_TRY(const std::string text, read_text(path, 16 * 1024));
    const auto begin = text.find(kBegin);
    if (begin == std::string::npos)
        return to_bytes(as_bytes(text));
    const auto end = text.find(kEnd, begin);
    std::string base64;
    if (end != std::string::npos)
        for (const char c : text.substr(begin + kBegin.size(), end - begin - kBegin.size()))
            if (c != '\n' && c != '\r' && c != ' ')
                base64.push_back(c);
    auto der = base64_decode(base64);
    if (!der || der->empty())
        return fail(Errc::InvalidArgument, path.string() + ": is no certificate");
    return std::move(*der);
}

struct Opened {
    CredentialStore store;
    secure::SecretArray<32> key;
};

/// Asks for the PIN and proves it before anything else is done.
Result<Opened> open_store(const CredentialsCommand& command) {
    KEYMELD_CHECK(secure::harden_process());
    KEYMELD_TRY(CredentialStore store, CredentialStore::read(command.store));
    KEYMELD_TRY(const auto pin, ask_pin(command.pin_file, "PIN of " + command.store.string(), false));
    KEYMELD_TRY(auto key, store.derive_key(pin.expose()));
    KEYMELD_CHECK(store.open(key));
    return Opened{std::move(store), std::move(key)};
}

Status init(const CredentialsCommand& command) {
    KEYMELD_CHECK(secure::harden_process());
    KEYMELD_TRY(const auto endpoint, command.client.endpoint());
    client::StoreHeader header;
    header.label = command.label;
    header.url = command.client.url;
    header.certificate_sha256 = endpoint.certificate_sha256;
    header.trust = "aws";
    if (command.client.trust != "aws") {
        KEYMELD_TRY(header.trust, read_text(command.client.trust, 64 * 1024));
    }
    KEYMELD_TRY(header.pcrs, read_text(command.client.pcrs, 256 * 1024));
    KEYMELD_TRY(const auto pin, ask_pin(command.pin_file, "New PIN for " + command.store.string(), true));
    return CredentialStore::create(command.store, std::move(header), pin.expose(), {command.log_n});
}

asio::awaitable<int> add(CredentialsCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    auto opened = open_store(command);
    if (!opened)
        co_return report(opened.error());
    auto who = client::Participant::load(command.client.key);
    if (!who)
        co_return report(who.error());
    auto invitation = client::Invitation::load(command.client.invitation);
    if (!invitation)
        co_return report(invitation.error());
    auto endpoint = opened->store.header().endpoint();
    if (!endpoint)
        co_return report(endpoint.error());
    Progress progress(executor, command.client.style());
    progress.begin("verify the key");
    client::RestClient rest(executor, *endpoint);
    client::Ceremony ceremony(rest);
    const SteadyTime now = std::chrono::steady_clock::now();
    auto key = co_await ceremony.aggregate_key(*invitation, *who, now);
    if (!key) {
        co_await unless_interrupted();
        co_return report(key.error());
    }
    auto status = co_await rest.keygen_status(invitation->keygen_id, invitation->session_header(who->user_id));
    if (!status) {
        co_await unless_interrupted();
        co_return report(status.error());
    }
    client::StoredKey stored{.public_key = key->key};
    stored.label = command.label;
    stored.user_id = who->user_id;
    stored.id = invitation->keygen_id;
    stored.params = invitation->params;
    stored.schnorr = true;
    for (const auto& participant : status->participants)
        if (participant.user_id == who->user_id)
            stored.approves = participant.require_signing_approval;
    const Status saved = CredentialStore::update(command.store, opened->key, [&](CredentialStore::Content& content) -> Status {
        content.header.keys.push_back(stored);
        content.secrets.push_back(
            {invitation->session_secret.clone(), client::secret_copy(who->key)});
        return {};
    });
    if (!saved)
        co_return report(saved.error());
    progress.done("key " + key->x_only().hex());
    co_return 0;
}

/// A single key: what it may be used for is what the appliance says under the key's own authentication.
asio::awaitable<int> add_single(CredentialsCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    auto opened = open_store(command);
    if (!opened)
        co_return report(opened.error());
    auto owned = client::OwnedKey::load(command.single);
    if (!owned)
        co_return report(owned.error());
    auto endpoint = opened->store.header().endpoint();
    auto trust = opened->store.header().enclave_trust();
    if (!endpoint || !trust)
        co_return report(endpoint ? trust.error() : endpoint.error());
    client::RestClient rest(executor, *endpoint);
    client::SingleKeys keys(rest, *trust);
    auto listed = co_await keys.list(*owned);
    if (!listed) {
        co_await unless_interrupted();
        co_return report(listed.error());
    }
    client::StoredKey stored{.public_key = owned->public_key};
    stored.kind = client::KeyKind::Single;
    stored.label = command.label;
    stored.user_id = owned->user_id;
    stored.id = owned->id;
    stored.enclave_id = owned->enclave_id;
    bool found = false;
    for (const client::KeyEntry& entry : *listed) {
        if (entry.id != owned->id || entry.public_key != owned->public_key)
            continue;
        found = true;
        stored.ecdsa = entry.allowed.ecdsa;
        stored.schnorr = entry.allowed.schnorr_bip340;
    }
    if (!found)
        co_return report(fail(Errc::NotFound, command.single.string() + ": the appliance has no such key"));
    const Status saved = CredentialStore::update(command.store, opened->key, [&](CredentialStore::Content& content) -> Status {
        content.header.keys.push_back(stored);
        content.secrets.push_back({client::SessionSecret(), client::secret_copy(owned->auth_key)});
        return {};
    });
    co_return saved ? 0 : report(saved.error());
}

/// Changes the one key with the command's label.
Status change_key(const CredentialsCommand& command, const std::function<void(CredentialStore::Content&, std::size_t)>& change) {
    KEYMELD_TRY(const Opened opened, open_store(command));
    return CredentialStore::update(command.store, opened.key, [&](CredentialStore::Content& content) -> Status {
        for (std::size_t i = 0; i < content.header.keys.size(); ++i) {
            if (content.header.keys[i].label == command.label) {
                change(content, i);
                return {};
            }
        }
        return fail(Errc::InvalidArgument, "--label: there is no key \"" + command.label + "\" in the store");
    });
}

Status remove_key(const CredentialsCommand& command) {
    return change_key(command, [](CredentialStore::Content& content, std::size_t i) {
        content.header.keys.erase(content.header.keys.begin() + static_cast<std::ptrdiff_t>(i));
        content.secrets.erase(content.secrets.begin() + static_cast<std::ptrdiff_t>(i));
    });
}

Status set_certificate(const CredentialsCommand& command) {
    KEYMELD_TRY(const Bytes der, read_certificate(command.certificate));
    return change_key(command, [&der](CredentialStore::Content& content, std::size_t i) { content.header.keys[i].certificate = der; });
}

/// Ten years; a certificate of this kind ends with its key.
constexpr std::uint64_t kCertificateSeconds = 3650ull * 86400;

asio::awaitable<int> self_sign(CredentialsCommand command) {
    const auto executor = co_await asio::this_coro::executor;
    auto opened = open_store(command);
    if (!opened)
        co_return report(opened.error());
    const auto& keys = opened->store.header().keys;
    const auto at = std::find_if(keys.begin(), keys.end(), [&](const client::StoredKey& key) { return key.label == command.label; });
    if (at == keys.end() || at->kind != client::KeyKind::Single || !at->ecdsa)
        co_return report(fail(Errc::InvalidArgument, "--label: there is no single key \"" + command.label + "\" for ECDSA in the store"));
    auto secrets = opened->store.open(opened->key);
    if (!secrets)
        co_return report(secrets.error());
    auto auth_key = bitcoin::SecretKey::parse((*secrets)[static_cast<std::size_t>(at - keys.begin())].authentication.expose());
    auto endpoint = opened->store.header().endpoint();
    auto trust = opened->store.header().enclave_trust();
    const std::uint64_t now = unix_seconds();
    auto serial = secure::random_array<16>();
    serial[0] &= 0x7f;
    auto body = client::certificate_body(at->public_key, command.common_name, serial, now - 60, now + kCertificateSeconds);
    if (!auth_key || !endpoint || !trust || !body)
        co_return report(!body ? body.error() : fail(Errc::ConfigInvalid, command.store.string() + ": is damaged"));
    const client::OwnedKey owned{KeyId(at->id), at->user_id, at->enclave_id, at->public_key, std::move(*auth_key)};
    client::RestClient rest(executor, *endpoint);
    client::SingleKeys single(rest, *trust);
    const ByteArray<32> digest = client::sha256(*body);
    auto signature = co_await single.sign(owned, digest, bitcoin::SignatureType::Ecdsa);
    if (!signature) {
        co_await unless_interrupted();
        co_return report(signature.error());
    }
    const Bytes der = client::certificate_of(*body, signature->bytes);
    const Status saved = CredentialStore::update(command.store, opened->key, [&](CredentialStore::Content& content) -> Status {
        for (client::StoredKey& key : content.header.keys)
            if (key.label == command.label)
                key.certificate = der;
        return {};
    });
    co_return saved ? 0 : report(saved.error());
}

Status change_pin(const CredentialsCommand& command) {
    KEYMELD_CHECK(secure::harden_process());
    KEYMELD_TRY(const CredentialStore store, CredentialStore::read(command.store));
    KEYMELD_TRY(const auto old_pin, ask_pin(command.pin_file, "Present PIN of " + command.store.string(), false));
    KEYMELD_TRY(const auto new_pin, ask_pin(command.new_pin_file, "New PIN", true));
    return CredentialStore::change_pin(command.store, old_pin.expose(), new_pin.expose());
}

Status list(const CredentialsCommand& command) {
    KEYMELD_TRY(const CredentialStore store, CredentialStore::read(command.store));
    const client::StoreHeader& header = store.header();
    if (command.client.json) {
        json::Writer out;
        out.begin_object().member("label", header.label).member("url", header.url).key("keys").begin_array();
        for (const client::StoredKey& key : header.keys)
            out.begin_object()
                .member("label", key.label)
                .member("kind", key.kind == client::KeyKind::MuSig2 ? "musig2" : "single")
                .member("id", key.id)
                .member("user_id", key.user_id)
                .member("public_key", key.public_key.hex())
                .key("certificate").boolean(!key.certificate.empty())
                .end_object();
        std::cout << out.end_array().end_object().view() << std::endl;
        return {};
    }
    std::cout << header.label << " at " << header.url << ", " << header.keys.size() << (header.keys.size() == 1 ? " key" : " keys") << "\n";
    for (const client::StoredKey& key : header.keys)
        std::cout << "  " << key.label << "  " << (key.kind == client::KeyKind::MuSig2 ? "musig2" : "single") << "  " << key.public_key.hex()
                  << (key.certificate.empty() ? "" : "  with a certificate") << "\n";
    std::cout.flush();
    return {};
}

void add_store_options(CLI::App& app, CredentialsCommand& command, bool pin = true) {
    app.add_option("--store", command.store, "The credential store")->required()->type_name("FILE");
    if (pin)
        app.add_option("--pin-file", command.pin_file, "Read the PIN from this file (mode 0600) instead of asking for it")->type_name("FILE");
}

Run simple(const std::shared_ptr<CredentialsCommand>& command, Status (*work)(const CredentialsCommand&)) {
    return [command, work] {
        const Status done = work(*command);
        return done ? 0 : report(done.error());
    };
}

} // namespace

Run prepare_credentials_init(CLI::App& app) {
    auto command = std::make_shared<CredentialsCommand>();
    add_store_options(app, *command);
    add_connection_options(app, command->client);
    add_trust_options(app, command->client);
    app.add_option("--label", command->label, "Name of the token that tools will show")->required();
    app.add_option("--kdf-log-n", command->log_n, "Cost of trying a PIN: 2^N KiB of memory")
        ->check(CLI::Range(client::kMinKdfLogN, client::kMaxKdfLogN))
        ->capture_default_str();
    app.footer("Makes an empty store for the PKCS#11 module. What it says about the appliance and its enclaves is bound to the PIN.\n\n"
               "Example:\n"
               "  keymeld credentials init --store alice.credentials --label treasury --url https://appliance:8443 --tls-pin 3f0a... \\\n"
               "      --trust aws --pcrs pcrs.json");
    return simple(command, init);
}

Run prepare_credentials_add(CLI::App& app) {
    auto command = std::make_shared<CredentialsCommand>();
    add_store_options(app, *command);
    app.add_option("--label", command->label, "Name of the key that tools will show")->required();
    auto* key = app.add_option("--key", command->client.key, "A participant key, with --invitation")->type_name("FILE");
    auto* invitation = app.add_option("--invitation", command->client.invitation, "The invitation of its keygen session")->type_name("FILE");
    auto* single = app.add_option("--single", command->single, "A single key, as `keymeld key` saved it")->type_name("FILE");
    key->needs(invitation)->excludes(single);
    invitation->needs(key);
    app.add_flag("-q,--quiet", command->client.quiet, "Show no progress on standard error");
    app.footer("Puts a participant's credentials for a completed key into the store, after verifying the key.\n\n"
               "Example:\n"
               "  keymeld credentials add --store alice.credentials --label treasury-key --key alice.key --invitation treasury.invitation\n"
               "  keymeld credentials add --store alice.credentials --label hot --single hot.key");
    return [command] {
        if (command->single.empty() == command->client.key.empty()) {
            std::cerr << "keymeld: give --single, or --key and --invitation\n";
            return kUsage;
        }
        return run_command([command] { return command->single.empty() ? add(*command) : add_single(*command); });
    };
}

Run prepare_credentials_remove(CLI::App& app) {
    auto command = std::make_shared<CredentialsCommand>();
    add_store_options(app, *command);
    app.add_option("--label", command->label, "The key's name")->required();
    app.footer("Takes a key's credentials out of the store. The key itself stays where it is.");
    return simple(command, remove_key);
}

Run prepare_credentials_certificate(CLI::App& app) {
    auto command = std::make_shared<CredentialsCommand>();
    add_store_options(app, *command);
    app.add_option("--label", command->label, "The key's name")->required();
    auto* file = app.add_option("--file", command->certificate, "The certificate, PEM or DER")->type_name("FILE");
    app.add_option("--self-signed", command->common_name, "Make one with this name, signed by the key itself")->excludes(file)->type_name("NAME");
    app.footer("Puts a certificate beside a key, for tools such as Java's that show a key only with one.");
    return [command] {
        if (command->certificate.empty() == command->common_name.empty()) {
            std::cerr << "keymeld: give --file or --self-signed\n";
            return kUsage;
        }
        if (!command->common_name.empty())
            return run_command([command] { return self_sign(*command); });
        const Status done = set_certificate(*command);
        return done ? 0 : report(done.error());
    };
}

Run prepare_credentials_list(CLI::App& app) {
    auto command = std::make_shared<CredentialsCommand>();
    add_store_options(app, *command, false);
    app.add_flag("--json", command->client.json, "Print one JSON object");
    app.footer("Shows the public part of a store; no PIN is needed.");
    return simple(command, list);
}

Run prepare_credentials_passwd(CLI::App& app) {
    auto command = std::make_shared<CredentialsCommand>();
    add_store_options(app, *command);
    app.add_option("--new-pin-file", command->new_pin_file, "Read the new PIN from this file (mode 0600)")->type_name("FILE");
    app.footer("Encrypts the store under another PIN.");
    return simple(command, change_pin);
}

} // namespace keymeld::cli
