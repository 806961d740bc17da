#include "tests/integration/engine_rig.h"

#include <fstream>

#include <csignal>
#include <cstdlib>

#include <boost/asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include "core/crypto/aggregate_key_tag.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/ecies.h"
#include "core/crypto/encrypted_data.h"
#include "core/bitcoin/bound_approval.h"
#include "core/base/hex.h"
#include "core/musig/key_agg.h"
#include "core/plugin/loader.h"
#include "core/plugin/storage.h"
#include "core/plugin/transport.h"
#include "core/plugin/tweak.h"
#include "core/secure/random.h"
#include "core/secure/secret_hex.h"
#include "plugins/tweak-taproot/tweak_rules.h"

namespace keymeld::test {
namespace {

using std::chrono::steady_clock;

std::filesystem::path build_folder() {
    const char* const folder = std::getenv("KEYMELD_BUILD_DIR");
    if (folder == nullptr)
        throw std::runtime_error("KEYMELD_BUILD_DIR is not set");
    return folder;
}

template <class T> T need(Result<T> result) {
    if (!result)
        throw std::runtime_error(std::string(errc_name(result.error().code)) + ": " + result.error().detail);
    return std::move(*result);
}

/// Runs one task to its end on a loop of its own.
template <class T> T run_alone(Async<T> task) {
    asio::io_context loop;
    std::optional<T> result;
    asio::co_spawn(loop, std::move(task), [&](std::exception_ptr problem, T value) {
        if (problem)
            std::rethrow_exception(problem);
        result = std::move(value);
    });
    loop.run();
    return std::move(*result);
}

Uuid fresh_id() { return Uuid::make_v7(unix_millis(), secure::random_array<10>()); }

} // namespace

KeygenId fresh_keygen_id() { return KeygenId(fresh_id()); }
SigningId fresh_signing_id() { return SigningId(fresh_id()); }
UserId fresh_user_id() { return UserId(fresh_id()); }

ByteArray<32> some_message(int number) {
    return crypto::sha256({as_bytes("message"), as_bytes(std::to_string(number))});
}

// ---- Signers --------------------------------------------------------------------------------------------------------

Signers::Signers(std::uint32_t count, bool peer_sealing)
    : m_peer_sealing(peer_sealing), m_folder(need(fleet::TemporaryFolder::make("keymeld-engine-test"))) {
    init("pki");
    m_children.resize(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        m_ports.push_back(need(fleet::ReservedPort::take()));
        start(i);
    }
}

void Signers::init(const std::string& pki) {
    auto made = need(fleet::ChildProcess::start({.name = "sim-init",
                                                 .program = build_folder() / "bin/keymeld-enclave",
                                                 .arguments = {"--sim-init", (folder() / pki).string()},
                                                 .folder = folder(),
                                                 .log = folder() / "sim-init.log"}));
    if (!made.wait_until(steady_clock::now() + std::chrono::seconds(20)) || !made.succeeded())
        throw std::runtime_error("keymeld-enclave --sim-init failed: " + made.log_tail());
}

void Signers::start(std::uint32_t index) { start_under("pki", index); }

void Signers::start_impostor(std::uint32_t index) {
    if (!std::filesystem::exists(folder() / "other-pki"))
        init("other-pki");
    start_under("other-pki", index);
}

void Signers::start_under(const std::string& pki, std::uint32_t index) {
    const std::string name = "enclave-" + std::to_string(index);
    std::vector<std::string> arguments = {"--listen", "tcp:127.0.0.1:" + std::to_string(port(index)), "--print-port", "--sim-dir",
                                          (folder() / pki).string()};
    if (m_peer_sealing)
        arguments.insert(arguments.end(), {"--sealing", "peer"});
    else
        arguments.insert(arguments.end(), {"--sim-identity", (folder() / (name + ".identity")).string()});
    m_children[index] =
        need(fleet::ChildProcess::start({.name = name,
                                         .program = build_folder() / "bin/keymeld-enclave",
                                         .arguments = std::move(arguments),
                                         .folder = folder(),
                                         .log = folder() / (name + ".log"),
                                         .pipe_output = true}));
    const auto line = run_alone(m_children[index]->read_line(steady_clock::now() + std::chrono::seconds(20)));
    if (!line)
        throw std::runtime_error(name + " does not listen: " + m_children[index]->log_tail());
}

void Signers::kill(std::uint32_t index) { m_children[index]->kill(); }
void Signers::freeze(std::uint32_t index) { m_children[index]->send_signal(SIGSTOP); }
void Signers::thaw(std::uint32_t index) { m_children[index]->send_signal(SIGCONT); }

void Signers::lose_key(std::uint32_t index) {
    std::filesystem::remove(folder() / ("enclave-" + std::to_string(index) + ".identity"));
}

void Signers::set_epoch(std::uint32_t index, std::uint8_t epoch) {
    // "KMSIMKEY", the key, the epoch as eight bytes, the time as eight bytes: enclave/simulator/file_sealing.cpp.
    std::fstream file(folder() / ("enclave-" + std::to_string(index) + ".identity"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(8 + 32 + 7);
    file.put(static_cast<char>(epoch));
    file.close();
    if (!file)
        throw std::runtime_error("the identity file cannot be changed");
}

// ---- Rig ------------------------------------------------------------------------------------------------------------

Rig::Rig(Signers& signers, std::uint32_t enclaves, std::map<std::string, std::string> limits, std::string per_enclave)
    : m_signers(signers), m_enclaves(enclaves), m_folder(need(fleet::TemporaryFolder::make("keymeld-engine-rig"))) {
    std::string yaml = "plugins: { directory: " + (build_folder() / "lib/keymeld/plugins").string() +
                       " }\nstorage: { plugin: storage-sqlite, path: " + database().string() +
                       " }\ntweak: { plugin: tweak-taproot }\nlimits:\n  request_deadline: 20s\n";
    for (const auto& [name, value] : limits)
        yaml += "  " + name + ": " + value + "\n";
    yaml += "enclaves:\n";
    const std::string pki = (signers.folder() / "pki").string();
    for (std::uint32_t i = 0; i < enclaves; ++i)
        yaml += "  - { id: " + std::to_string(i) + ", transport: { plugin: transport-tcp-sim, host: 127.0.0.1, port: " +
                std::to_string(signers.port(i)) + " }, attestation: { trust: " + pki + "/root.pem, pcrs: " + pki +
                "/pcrs.json }" + per_enclave + " }\n";
    m_config = need(config::load_text(yaml, "rig.yaml", m_folder.path()));
    start();
}

Rig::~Rig() {
    if (m_engine)
        stop();
}

std::filesystem::path Rig::database() const { return m_folder.path() / "keymeld.db"; }

void Rig::start() {
    m_loop = std::make_unique<asio::io_context>(1);
    m_key_holders.counts.clear();
    const plugin::Loader loader(m_config.plugin_directory);
    engine::Parts parts;
    parts.storage = need(need(loader.storage(m_config.storage.plugin, {}))->open(m_config.storage.options));
    parts.tweak = need(loader.tweak(m_config.tweak.plugin, {}));
    for (const config::Enclave& enclave : m_config.enclaves)
        parts.transports[enclave.id] =
            need(need(loader.transport(enclave.transport.plugin, {}))->create(enclave.transport.options));
    m_engine = std::make_unique<engine::Engine>(*m_loop, m_config, std::move(parts), &m_key_holders);
    const Status started = run(m_engine->start());
    if (!started)
        throw std::runtime_error("the engine does not start: " + started.error().detail);
}

void Rig::stop() {
    bool stopped = false;
    asio::co_spawn(*m_loop, m_engine->stop(), [&](std::exception_ptr problem) {
        if (problem)
            std::rethrow_exception(problem);
        stopped = true;
    });
    spin([&] { return stopped; });
    m_engine.reset();
    m_loop->poll();
    m_loop.reset();
}

void Rig::crash() {
    m_engine.reset();
    m_loop->poll();
    m_loop.reset();
}

void Rig::spin(const std::function<bool()>& until, std::chrono::seconds at_most) {
    const SteadyTime deadline = steady_clock::now() + at_most;
    while (!until()) {
        if (steady_clock::now() >= deadline)
            throw std::runtime_error("this did not happen within " + std::to_string(at_most.count()) + " s");
        m_loop->run_one_for(std::chrono::milliseconds(100));
        m_loop->restart();
    }
}

void Rig::sleep(std::chrono::milliseconds time) {
    const SteadyTime until = steady_clock::now() + time;
    asio::steady_timer timer(*m_loop, until); // wakes the loop
    timer.async_wait([](const boost::system::error_code&) {});
    spin([&] { return steady_clock::now() >= until; });
}

void Rig::wait_healthy(std::uint32_t count) {
    spin([&] { return m_engine->health().healthy_enclaves == count; });
}

void Rig::wait_escrowed(std::uint32_t holders) {
    spin([&] {
        for (std::uint32_t id = 0; id < m_enclaves; ++id)
            if (m_key_holders.counts[id] != holders)
                return false;
        return true;
    });
}

// ---- Party ----------------------------------------------------------------------------------------------------------

Party::Party(Rig& the_rig, Options given)
    : rig(the_rig), options(std::move(given)), secret(secure::random_secret<32>()) {
    for (std::uint32_t i = 0; i < options.participants; ++i) {
        users.push_back(fresh_user_id());
        keys.push_back(crypto::SecretKey::generate());
    }
}

ByteArray<33> Party::enclave_key(std::uint32_t enclave) const { return need(rig->enclave(enclave)).public_key; }

session::ApprovalPolicy Party::policy(std::size_t index) const {
    return index < options.policies.size() ? options.policies[index] : session::ApprovalPolicy::None;
}

std::string Party::session_header(std::size_t index) const {
    return crypto::make_session_hmac(secret, id, users[index], crypto::make_header_nonce());
}

std::string Party::signing_header(std::size_t index) const {
    return need(crypto::make_signing_hmac(keys[index], users[index], crypto::make_header_nonce()));
}

namespace {

std::string params_of(const Party& party) {
    return bitcoin::params_id({party.users, party.options.tweak, party.options.order, party.options.max_signings.value_or(100)});
}

Bytes seal_to(const ByteArray<33>& enclave, ByteView plaintext, const std::string& aad) {
    return need(crypto::ecies_encrypt(need(crypto::PlainPubKey::parse(enclave)), plaintext, as_bytes(aad)));
}

} // namespace

engine::CreateKeygen Party::creation() {
    engine::CreateKeygen request;
    request.id = id;
    request.coordinator_pubkey = keys[0].public_key().bytes();
    request.coordinator_enclave_id = options.coordinator_enclave;
    request.expected_participants = users;
    request.timeout_secs = options.timeout_secs;
    request.max_signing_sessions = options.max_signings;
    request.tweak = options.tweak;
    request.key_order = options.order;
    request.ecies_aad = options.ecies_aad;
    const ByteArray<33> enclave = enclave_key(options.coordinator_enclave);
    request.coordinator_encrypted_private_key =
        seal_to(enclave, keys[0].expose(), options.ecies_aad ? bitcoin::coordinator_key_aad(id, users[0]) : "");
    const auto secret_text = secure::secret_to_hex(secret.expose());
    request.encrypted_session_secret_hex =
        hex_encode(seal_to(enclave, secret_text.expose(),
                           options.ecies_aad ? bitcoin::session_secret_aad(id, users[0], params_of(*this)) : ""));
    return request;
}

engine::RegisterParticipant Party::registration(std::size_t index, std::uint32_t enclave) {
    engine::RegisterParticipant request;
    request.keygen_id = id;
    request.user_id = users[index];
    request.session_header = session_header(index);
    request.public_key = keys[index].public_key().bytes();
    request.approval_policy = policy(index);
    request.require_signing_approval = policy(index) != session::ApprovalPolicy::None;
    request.encrypted_private_key =
        seal_to(enclave_key(enclave), keys[index].expose(),
                options.ecies_aad ? bitcoin::private_key_aad(id, users[index], session::text(policy(index)), params_of(*this),
                                                             bitcoin::secret_id(secret))
                                  : "");
    return request;
}

engine::CreateSigning Party::signing(const ByteArray<32>& message, std::uint64_t timeout_secs) const {
    engine::CreateSigning request;
    request.id = fresh_signing_id();
    request.keygen_id = id;
    request.session_header = session_header(0);
    request.message_hash = message;
    request.timeout_secs = timeout_secs;
    return request;
}

engine::ApproveSigning Party::approval(const SigningId& signing, std::size_t index) const {
    return {signing, signing_header(index), std::nullopt};
}

engine::ApproveSigning Party::bound_approval(const SigningId& signing, std::size_t index, const ByteArray<32>& message,
                                             std::uint64_t expires_at) const {
    const bitcoin::BoundApproval approval{id, signing, users[index], message, expires_at};
    const auto signature = need(approval.sign(keys[index]));
    return {signing, signing_header(index), engine::ApproveSigning::Bound{message, expires_at, signature.bytes}};
}

engine::KeygenView Party::complete() {
    const auto created = rig.run(rig->create_keygen(creation()));
    if (!created)
        throw std::runtime_error("create_keygen: " + created.error().detail);
    const auto slots = need(rig.run(rig->slots(id)));
    // Not in the order of the slots: the key must not depend on it.
    for (std::size_t k = slots.available.size(); k-- > 0;) {
        const auto registered = rig.run(rig->register_participant(registration(k, slots.available[k].enclave_id)));
        if (!registered)
            throw std::runtime_error("register: " + std::string(errc_name(registered.error().code)) + " " +
                                     registered.error().detail);
    }
    return need(status(0));
}

Result<engine::KeygenView> Party::status(std::size_t index) { return rig.run(rig->keygen_status(id, session_header(index))); }

Result<engine::SigningView> Party::status(const SigningId& signing, std::size_t index) {
    return rig.run(rig->signing_status(signing, signing_header(index)));
}

engine::SigningView Party::outcome(const SigningId& signing, std::chrono::seconds at_most) {
    const SteadyTime until = steady_clock::now() + at_most;
    while (true) {
        auto view = status(signing);
        if (view) {
            auto next = rig.run(rig->wait_signing_status(*view, std::min(until, steady_clock::now() + std::chrono::seconds(10))));
            if (next && session::is_terminal(next->status))
                return *next;
        } else if (view.error().code != Errc::EnclaveUnavailable && view.error().code != Errc::Overloaded) {
            throw std::runtime_error("status: " + view.error().detail);
        }
        if (steady_clock::now() > until)
            throw std::runtime_error("the signing session did not end; status " +
                                     (view ? std::string(session::text(view->status)) : view.error().detail));
    }
}

void Party::expect_signature(const engine::SigningView& view, const engine::KeygenView& keygen,
                             const ByteArray<32>& message) const {
    ASSERT_EQ(view.status, session::SigningStatus::Completed) << (view.failure ? view.failure->message : "");
    ASSERT_TRUE(view.final_signature && keygen.aggregate_public_key);
    const auto plaintext = crypto::encrypted_data_open(secret, crypto::DataContext::Signature, *view.final_signature);
    ASSERT_TRUE(plaintext.has_value());
    const auto signature = need(bitcoin::SchnorrSignature::parse(plaintext->expose()));
    const auto key = bitcoin::XOnlyPubKey::from(need(crypto::PlainPubKey::parse(*keygen.aggregate_public_key)));
    EXPECT_TRUE(bitcoin::schnorr_verify(signature, message, key).has_value());
}

void Party::expect_key(const engine::KeygenView& view) const {
    ASSERT_EQ(view.status, session::KeygenStatus::Completed);
    std::vector<crypto::PlainPubKey> public_keys;
    for (const crypto::SecretKey& key : keys)
        public_keys.push_back(key.public_key());
    std::vector<crypto::PlainPubKey> ordered;
    std::vector<crypto::AggregatedParticipant> listed;
    for (const std::size_t i : bitcoin::aggregation_order(users, public_keys, options.order)) {
        ordered.push_back(public_keys[i]);
        listed.push_back({users[i], public_keys[i]});
    }
    const auto untweaked = need(musig::KeyAggContext::create(ordered));
    const auto tweaks = need(tweak_taproot::tweaks_for(untweaked.key().bytes(), options.tweak));
    const auto aggregate = need(musig::KeyAggContext::create(ordered, tweaks));
    EXPECT_EQ(view.untweaked_public_key, untweaked.key().bytes());
    EXPECT_EQ(view.aggregate_public_key, aggregate.key().bytes());
    EXPECT_EQ(view.aggregate_key_tag, crypto::aggregate_key_tag(secret, id, aggregate.key(), listed));
}

} // namespace keymeld::test
