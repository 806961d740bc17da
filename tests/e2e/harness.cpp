#include "tests/e2e/harness.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "appliance/demo/independent_verify.h"
#include "core/crypto/ecies.h"
#include "core/crypto/encrypted_data.h"
#include "core/secure/random.h"
#include "core/secure/secret_hex.h"

namespace keymeld::e2e {

namespace fs = std::filesystem;
namespace independent = demo::independent;
using namespace std::chrono_literals;

boost::asio::io_context& loop() {
    static boost::asio::io_context instance(1);
    return instance;
}

fs::path programs() {
    const char* const build = std::getenv("KEYMELD_BUILD_DIR");
    return build != nullptr ? fs::path(build) / "bin" : fleet::program_folder().parent_path();
}

std::string explain(const Error& error) { return std::string(errc_name(error.code)) + ": " + error.detail; }

std::unique_ptr<fleet::SimFleet> start_fleet(fleet::SimFleet::Options options) {
    options.programs = programs();
    if (options.limits.empty())
        options.limits = fleet::SimFleet::lifted_limits();
    return must(run(fleet::SimFleet::start(std::move(options))), "starting a fleet");
}

// ---- Group ----------------------------------------------------------------------------------------------------------

Group::Group(GroupOptions wanted) : options(std::move(wanted)) {
    do {
        people.clear();
        for (std::size_t i = 0; i < options.size; ++i)
            people.push_back(client::Participant::generate());
    } while (options.odd_aggregate &&
             must(independent::aggregate_key(ordered_keys(), {}), "aggregating")[0] != (*options.odd_aggregate ? 3 : 2));
}

std::vector<ByteArray<33>> Group::ordered_keys() const {
    std::vector<std::pair<UserId, ByteArray<33>>> all;
    for (const auto& who : people)
        all.emplace_back(who.user_id, who.key.public_key().bytes());
    std::sort(all.begin(), all.end(), [this](const auto& a, const auto& b) {
        if (options.key_order == bitcoin::KeyOrder::Bip327Sorted && a.second != b.second)
            return a.second < b.second;
        return a.first < b.first;
    });
    std::vector<ByteArray<33>> out;
    for (const auto& entry : all)
        out.push_back(entry.second);
    return out;
}

// ---- Client ---------------------------------------------------------------------------------------------------------

Client::Client(const fleet::SimFleet& fleet)
    : m_rest(loop().get_executor(), fleet.endpoint()),
      m_trust(must(client::Trust::load(fleet.trust_root().string(), fleet.pcrs()), "loading the trust anchor")) {}

void Client::make_key(Group& group) {
    client::Ceremony ceremony(m_rest, m_trust);
    std::vector<UserId> expected;
    for (const auto& who : group.people)
        expected.push_back(who.user_id);
    client::KeygenOptions options;
    options.tweak = group.options.tweak;
    options.key_order = group.options.key_order;
    options.max_signing_sessions = group.options.max_signing_sessions;
    group.invitation = must(run(ceremony.create_keygen(group.people[0], std::move(expected), options)), "creating a keygen");
    for (std::size_t i = 0; i < group.people.size(); ++i)
        must(run(ceremony.join_keygen(*group.invitation, group.people[i], group.policy(i))), "joining a keygen");
    for (const auto& who : group.people)
        group.key = must(run(ceremony.aggregate_key(*group.invitation, who, steady_clock::now() + 60s)), "reading the key");
    const auto recomputed = must(independent::aggregate_key(group.ordered_keys(), group.options.tweak), "recomputing the key");
    if (recomputed != group.key->key.bytes())
        throw std::runtime_error("the independent implementation computes another key");
}

Result<bitcoin::SchnorrSignature> Client::fetch(Group& group, SigningId id, const ByteArray<32>& message, std::chrono::seconds patience) {
    client::Ceremony ceremony(m_rest);
    auto signature =
        run(ceremony.signature(*group.invitation, group.people[0], id, message, *group.key, steady_clock::now() + patience));
    if (!signature)
        return signature;
    const auto recomputed = must(independent::aggregate_key(group.ordered_keys(), group.options.tweak), "recomputing the key");
    must(independent::verify_bip340(signature->bytes, message, ByteView(recomputed).subspan(1)), "independent verification");
    return signature;
}

bitcoin::SchnorrSignature Client::sign(Group& group, const ByteArray<32>& message) {
    client::Ceremony ceremony(m_rest);
    const SigningId id =
        must(run(ceremony.create_signing(*group.invitation, group.people[0].user_id, message, 120)), "creating a signing session");
    for (std::size_t i = 0; i < group.people.size(); ++i)
        if (group.policy(i) != Approval::None)
            must(run(ceremony.approve(*group.invitation, group.people[i], id, message, group.policy(i))), "approving");
    return must(fetch(group, id, message), "waiting for the signature");
}

bitcoin::SchnorrSignature Client::sign(Group& group) { return sign(group, secure::random_array<32>()); }

// ---- Bodies ---------------------------------------------------------------------------------------------------------

namespace {

template <class Id> Id random_id() {
    return Id(Uuid::make_v7(unix_millis(), secure::random_array<10>()));
}

Bytes sealed(const client::VerifiedEnclave& enclave, ByteView plaintext, const std::string& aad) {
    return must(crypto::ecies_encrypt(enclave.key(), plaintext, as_bytes(aad)), "encrypting to an enclave");
}

} // namespace

client::CreateKeygenBody keygen_body(Client& client, Group& group) {
    client::CreateKeygenBody body;
    body.keygen_id = random_id<KeygenId>();
    for (const auto& who : group.people)
        body.params.expected_participants.push_back(who.user_id);
    body.params.tweak = group.options.tweak;
    body.params.key_order = group.options.key_order;
    body.params.max_signing_sessions = group.options.max_signing_sessions;
    group.invitation = client::Invitation{body.keygen_id, secure::random_secret<32>(), body.params};
    const auto enclave = must(run(client.trust().verify(client.rest(), 0)), "verifying enclave 0");
    const UserId coordinator = group.people[0].user_id;
    body.coordinator_pubkey = group.people[0].key.public_key().bytes();
    body.coordinator_enclave_id = enclave.id();
    body.coordinator_encrypted_private_key =
        sealed(enclave, group.people[0].key.expose(), bitcoin::coordinator_key_aad(body.keygen_id, coordinator));
    const auto secret_hex = secure::secret_to_hex(group.invitation->session_secret.expose());
    body.encrypted_session_secret = sealed(
        enclave, secret_hex.expose(), bitcoin::session_secret_aad(body.keygen_id, coordinator, bitcoin::params_id(body.params)));
    return body;
}

client::RegisterBody register_body(Client& client, Group& group, std::size_t who) {
    const auto& person = group.people[who];
    const auto slots = must(run(client.rest().slots(group.invitation->keygen_id)), "reading the slots");
    const auto slot = std::find_if(slots.begin(), slots.end(), [&](const auto& s) { return s.user_id == person.user_id; });
    if (slot == slots.end())
        throw std::runtime_error("no open slot for a participant");
    const auto enclave = must(run(client.trust().verify(client.rest(), slot->enclave_id)), "verifying an enclave");
    client::RegisterBody body;
    body.keygen_id = group.invitation->keygen_id;
    body.user_id = person.user_id;
    body.public_key = person.key.public_key().bytes();
    body.approval_policy = client::text(group.policy(who));
    body.encrypted_private_key =
        sealed(enclave, person.key.expose(),
               bitcoin::private_key_aad(body.keygen_id, body.user_id, body.approval_policy, bitcoin::params_id(group.invitation->params),
                                        bitcoin::secret_id(group.invitation->session_secret)));
    return body;
}

client::CreateSigningBody signing_body(const Group& group, const ByteArray<32>& message) {
    client::CreateSigningBody body;
    body.signing_id = random_id<SigningId>();
    body.keygen_id = group.invitation->keygen_id;
    body.message_hash = message;
    body.encrypted_message = crypto::encrypted_data_seal(group.invitation->session_secret, crypto::DataContext::Message, message);
    body.timeout_secs = 300;
    return body;
}

// ---- Programs -------------------------------------------------------------------------------------------------------

std::vector<std::string> Outcome::lines() const {
    std::vector<std::string> out;
    std::istringstream in(output);
    for (std::string line; std::getline(in, line);)
        out.push_back(std::move(line));
    return out;
}

std::string Outcome::last_line() const {
    const auto all = lines();
    return all.empty() ? std::string() : all.back();
}

Outcome run_program(const std::string& name, const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
    const auto folder = must(fleet::TemporaryFolder::make("keymeld-e2e"), "making a folder");
    std::vector<std::string> words = environment;
    words.push_back((programs() / name).string());
    words.insert(words.end(), arguments.begin(), arguments.end());
    auto child = must(fleet::ChildProcess::start({.name = name,
                                                  .program = "/usr/bin/env",
                                                  .arguments = words,
                                                  .folder = {},
                                                  .log = folder.path() / "errors",
                                                  .pipe_output = true}),
                      "starting " + name);
    Outcome out;
    for (;;) {
        auto line = run(child.read_line(steady_clock::now() + 300s));
        if (!line) {
            if (line.error().code != Errc::Disconnected)
                throw std::runtime_error(name + ": " + explain(line.error()) + child.log_tail(30));
            break;
        }
        out.output += *line + "\n";
    }
    must(run(child.ended(steady_clock::now() + 60s)), "waiting for " + name);
    const std::string status = child.status_text();
    const bool by_signal = status.starts_with("killed");
    out.exit_code = (by_signal ? 128 : 0) + std::stoi(status.substr(status.rfind(' ') + 1));
    std::ostringstream errors;
    errors << std::ifstream(folder.path() / "errors").rdbuf();
    out.errors = errors.str();
    return out;
}

std::vector<std::string> processes_with(const std::string& text) {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const std::string pid = entry.path().filename();
        if (pid.find_first_not_of("0123456789") != std::string::npos || pid == std::to_string(::getpid()))
            continue;
        std::ostringstream line;
        line << std::ifstream(entry.path() / "cmdline", std::ios::binary).rdbuf();
        std::string words = line.str();
        std::replace(words.begin(), words.end(), '\0', ' ');
        if (words.find(text) != std::string::npos)
            out.push_back(pid + ": " + words);
    }
    return out;
}

} // namespace keymeld::e2e
