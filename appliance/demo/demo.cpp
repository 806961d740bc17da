#include "appliance/demo/demo.h"

#include <algorithm>

#include <boost/asio/this_coro.hpp>

#include "appliance/cli/progress.h"
#include "appliance/client/ceremony.h"
#include "appliance/demo/independent_verify.h"
#include "appliance/demo/regtest_node.h"
#include "appliance/fleet/sim_fleet.h"
#include "appliance/json/writer.h"
#include "core/base/hex.h"
#include "core/bitcoin/address.h"
#include "core/secure/random.h"

namespace keymeld::demo {

namespace asio = boost::asio;
using client::Approval;
using std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr std::uint64_t kCoin = 100'000; ///< satoshi paid to the aggregate key
constexpr std::size_t kMaxListed = 8;    ///< lines of one kind on the screen

std::string shortened(std::string_view hex) { return std::string(hex.substr(0, 16)) + ".."; }

/// One of the people in the play, with a connection of their own.
struct Player {
    client::Participant identity = client::Participant::generate();
    std::unique_ptr<client::RestClient> rest;
    Approval policy = Approval::None;
    std::uint32_t enclave = 0;
};

class Demo {
  public:
    Demo(DemoOptions options, const asio::any_io_executor& executor)
        : m_options(std::move(options)), m_executor(executor),
          m_progress(executor, m_options.quiet ? cli::Progress::Style::Silent : cli::Progress::Style::Shown) {}

    Async<Status> play() {
        for (const auto step : {&Demo::start, &Demo::attest, &Demo::create_key, &Demo::register_players, &Demo::check_key,
                                &Demo::start_node, &Demo::choose_message, &Demo::start_signing, &Demo::approve, &Demo::fetch_signature,
                                &Demo::verify, &Demo::spend, &Demo::clean_up}) {
            Status done = co_await (this->*step)();
            if (!done) {
                m_progress.failed();
                co_return done;
            }
        }
        co_return Status();
    }

    std::string result_line() const {
        return "DEMO OK signature=" + m_signature->hex() + " key=" + m_key->x_only().hex() + " message=" + hex_encode(m_message);
    }

    std::string result_json() const {
        json::Writer out;
        out.begin_object()
            .key("ok").boolean(true)
            .member("signature", m_signature->hex())
            .member("key", m_key->x_only().hex())
            .member("message", hex_encode(m_message))
            .member("keygen_session_id", m_invitation->keygen_id)
            .member("signing_session_id", m_signing)
            .member("tweak", m_options.tweak.params_text())
            .member("untweaked_key", m_key->untweaked.hex())
            .key("participants").begin_array();
        for (const Player& player : m_players)
            out.begin_object()
                .member("user_id", player.identity.user_id)
                .member("public_key", player.identity.key.public_key().hex())
                .member("enclave_id", player.enclave)
                .member("approval", client::text(player.policy))
                .end_object();
        out.end_array().member("enclaves", m_options.enclaves);
        if (m_confirmed)
            out.key("bitcoin").begin_object()
                .member("node", m_node_version)
                .member("address", bitcoin::p2tr_address(m_key->x_only(), bitcoin::Network::Regtest))
                .member("txid", m_confirmed->txid)
                .member("block_hash", m_confirmed->block_hash)
                .member("height", m_confirmed->height)
                .member("confirmations", m_confirmed->confirmations)
                .end_object();
        out.key("timings_us").begin_object();
        for (auto [title, time] : m_progress.timings()) {
            std::replace(title.begin(), title.end(), ' ', '_');
            out.member(title, static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count()));
        }
        out.end_object().key("cpu_us").begin_object();
        for (fleet::ProcessUsage process : m_usage) {
            std::replace(process.name.begin(), process.name.end(), ' ', '_');
            out.member(process.name,
                       static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(process.cpu).count()));
        }
        return out.end_object().end_object().take();
    }

    /// What a failure may have to do with: processes that died.
    std::string casualties() { return m_fleet ? m_fleet->casualties() : std::string(); }

  private:
    Async<Status> start() {
        m_progress.line("KeyMeld demo: " + std::to_string(m_options.participants) + " participants, " +
                        std::to_string(m_options.enclaves) +
                        (m_options.machines ? " enclave images in virtual machines, tweak " : " simulated enclaves, tweak ") + m_options.tweak.params_text());
        m_progress.begin("start");
        fleet::SimFleet::Options options;
        options.enclaves = m_options.enclaves;
        options.limits = {{"max_participants", "1000"}};
        options.machines = m_options.machines;
        options.progress = [this](std::string_view what) { m_progress.at(what); };
        auto fleet = co_await fleet::SimFleet::start(std::move(options));
        if (!fleet)
            co_return std::move(fleet).error();
        m_fleet = std::move(*fleet);
        auto trust = client::Trust::load(m_fleet->trust_root().string(), m_fleet->pcrs());
        if (!trust)
            co_return std::move(trust).error();
        m_trust = std::move(*trust);
        for (unsigned i = 0; i < m_options.participants; ++i) {
            m_players.emplace_back();
            m_players.back().rest = std::make_unique<client::RestClient>(m_executor, m_fleet->endpoint());
        }
        // Two of them insist on being asked: one by a header of its own, one by a signature over exactly this message.
        m_players[0].policy = Approval::Header;
        m_players[1].policy = Approval::Bound;
        m_progress.done("appliance at " + m_fleet->endpoint().text() + ", SQLite, canary signature made on every enclave");
        co_return Status();
    }

    Async<Status> attest() {
        m_progress.begin("attestation");
        for (std::uint32_t id = 0; id < m_options.enclaves; ++id) {
            m_progress.part(id, m_options.enclaves);
            auto enclave = co_await m_trust->verify(*m_players[0].rest, id);
            if (!enclave)
                co_return std::move(enclave).error();
            note(id, "enclave " + std::to_string(id) + ": " + (enclave->hardware() ? "hardware" : m_options.machines ? "virtual machine" : "simulator") + ", image \"" +
                         enclave->image() + "\", key " + shortened(enclave->key().hex()) + ", epoch " +
                         std::to_string(enclave->key_epoch()));
        }
        m_progress.done("every document verified over a fresh nonce under " + m_trust->verifier().anchor().name());
        co_return Status();
    }

    Async<Status> create_key() {
        m_progress.begin("keygen");
        std::vector<UserId> expected;
        for (const Player& player : m_players)
            expected.push_back(player.identity.user_id);
        client::KeygenOptions options;
        options.tweak = m_options.tweak;
        client::Ceremony ceremony(*m_players[0].rest, *m_trust);
        auto invitation = co_await ceremony.create_keygen(m_players[0].identity, std::move(expected), options);
        if (!invitation)
            co_return std::move(invitation).error();
        m_invitation = std::move(*invitation);
        m_progress.done("session " + m_invitation->keygen_id.text());
        co_return Status();
    }

    Async<Status> register_players() {
        m_progress.begin("registration");
        for (std::size_t i = 0; i < m_players.size(); ++i) {
            Player& player = m_players[i];
            m_progress.part(i, m_players.size());
            client::Ceremony ceremony(*player.rest, *m_trust);
            auto enclave = co_await ceremony.join_keygen(*m_invitation, player.identity, player.policy);
            if (!enclave)
                co_return std::move(enclave).error();
            player.enclave = enclave->id();
            note(i, name_of(i) + ": key encrypted to enclave " + std::to_string(enclave->id()) + ", approval " +
                        std::string(client::text(player.policy)));
        }
        m_progress.done(std::to_string(m_players.size()) + " keys registered");
        co_return Status();
    }

    /// Every participant checks the key for itself; then the second implementation computes it from the public keys alone.
    Async<Status> check_key() {
        m_progress.begin("aggregate key");
        for (std::size_t i = 0; i < m_players.size(); ++i) {
            m_progress.part(i, m_players.size());
            client::Ceremony ceremony(*m_players[i].rest, *m_trust);
            auto key = co_await ceremony.aggregate_key(*m_invitation, m_players[i].identity, steady_clock::now() + kPatience);
            if (!key)
                co_return std::move(key).error();
            if (m_key && m_key->key != key->key)
                co_return fail(Errc::RosterMismatch, "two participants see different keys");
            m_key = *key;
        }
        std::vector<std::pair<UserId, ByteArray<33>>> by_user;
        for (const Player& player : m_players)
            by_user.emplace_back(player.identity.user_id, player.identity.key.public_key().bytes());
        std::sort(by_user.begin(), by_user.end()); // rest-v1.md 5.4, key_order "user_id"
        std::vector<ByteArray<33>> keys;
        for (const auto& [user, key] : by_user)
            keys.push_back(key);
        auto recomputed = independent::aggregate_key(keys, m_options.tweak);
        if (!recomputed)
            co_return std::move(recomputed).error();
        if (*recomputed != m_key->key.bytes())
            co_return fail(Errc::RosterMismatch, "the key computed by OpenSSL is another one");
        std::copy(recomputed->begin() + 1, recomputed->end(), m_recomputed_x.begin());
        m_progress.note("x-only output key " + m_key->x_only().hex());
        m_progress.done("tag and key checked by every participant, recomputed with OpenSSL");
        co_return Status();
    }

    Async<Status> start_node() {
        if (!m_options.bitcoin)
            co_return Status();
        m_progress.begin("bitcoin node");
        auto program = RegtestNode::find_program(m_options.bitcoind);
        if (!program)
            co_return std::move(program).error();
        auto node = co_await RegtestNode::start(std::move(*program));
        if (!node)
            co_return std::move(node).error();
        m_node = std::move(*node);
        m_node_version = m_node->version();
        m_progress.done(m_node_version + " on regtest");
        co_return Status();
    }

    Async<Status> choose_message() {
        if (!m_node) {
            m_message = secure::random_array<32>();
            co_return Status();
        }
        m_progress.begin("funding");
        auto coin = co_await m_node->fund(m_key->x_only(), kCoin);
        if (!coin)
            co_return std::move(coin).error();
        auto destination = co_await m_node->new_wallet_script();
        if (!destination)
            co_return std::move(destination).error();
        auto spend = make_spend(*coin, *destination);
        if (!spend)
            co_return std::move(spend).error();
        m_spend = std::move(spend->tx);
        m_message = spend->sighash;
        m_progress.note("spent by a transaction whose BIP-341 sighash is to be signed");
        m_progress.done(std::to_string(kCoin) + " sat to " + bitcoin::p2tr_address(m_key->x_only(), bitcoin::Network::Regtest));
        co_return Status();
    }

    Async<Status> start_signing() {
        m_progress.begin("signing session");
        client::Ceremony ceremony(*m_players[0].rest, *m_trust);
        auto id = co_await ceremony.create_signing(*m_invitation, m_players[0].identity.user_id, m_message,
                                                   static_cast<std::uint64_t>(kPatience.count()));
        if (!id)
            co_return std::move(id).error();
        m_signing = *id;
        m_progress.done("message encrypted for the enclaves: " + hex_encode(m_message));
        co_return Status();
    }

    Async<Status> approve() {
        m_progress.begin("approvals");
        for (std::size_t i = 0; i < m_players.size(); ++i) {
            const Player& player = m_players[i];
            if (player.policy == Approval::None)
                continue;
            client::Ceremony ceremony(*player.rest, *m_trust);
            Status approved = co_await ceremony.approve(*m_invitation, player.identity, m_signing, m_message, player.policy);
            if (!approved)
                co_return approved;
            m_progress.note(name_of(i) + ": " + std::string(client::text(player.policy)) +
                            (player.policy == Approval::Bound ? ", a signature over session, message and expiry" : ""));
        }
        m_progress.done("2 of " + std::to_string(m_players.size()) + " were asked");
        co_return Status();
    }

    Async<Status> fetch_signature() {
        m_progress.begin("signature");
        for (std::size_t i = 0; i < m_players.size(); ++i) {
            client::Ceremony ceremony(*m_players[i].rest, *m_trust);
            auto signature = co_await ceremony.signature(*m_invitation, m_players[i].identity, m_signing, m_message, *m_key,
                                                         steady_clock::now() + kPatience);
            if (!signature)
                co_return std::move(signature).error();
            if (m_signature && *m_signature != *signature)
                co_return fail(Errc::InvalidSignature, "two participants received different signatures");
            m_signature = *signature;
        }
        m_progress.note(m_signature->hex());
        m_progress.done("decrypted with the session secret by every participant");
        co_return Status();
    }

    Async<Status> verify() {
        m_progress.begin("verification");
        Status verified = independent::verify_bip340(m_signature->bytes, m_message, m_recomputed_x);
        if (!verified)
            co_return verified;
        m_progress.done("BIP-340 holds by OpenSSL's arithmetic, under the key recomputed from the participants' keys");
        co_return Status();
    }

    Async<Status> spend() {
        if (!m_node)
            co_return Status();
        m_progress.begin("broadcast");
        auto confirmed = co_await m_node->broadcast_and_mine(with_signature(std::move(m_spend), m_signature->bytes));
        if (!confirmed)
            co_return std::move(confirmed).error();
        m_confirmed = std::move(*confirmed);
        m_progress.note("txid " + m_confirmed->txid);
        m_progress.note("block " + m_confirmed->block_hash);
        m_progress.done("mined at height " + std::to_string(m_confirmed->height));
        co_return Status();
    }

    Async<Status> clean_up() {
        m_progress.begin("clean-up");
        m_usage = m_fleet->usage();
        for (Player& player : m_players)
            player.rest.reset();
        m_node.reset();
        Status stopped = m_fleet->shut_down();
        m_fleet.reset();
        if (!stopped)
            co_return stopped;
        m_progress.done("processes stopped, files removed");
        co_return Status();
    }

    void note(std::size_t index, const std::string& text) {
        if (index < kMaxListed)
            m_progress.note(text);
        else if (index == kMaxListed)
            m_progress.note("...");
    }
    static std::string name_of(std::size_t i) { return i == 0 ? "coordinator" : "participant " + std::to_string(i); }

    DemoOptions m_options;
    asio::any_io_executor m_executor;
    cli::Progress m_progress;
    std::unique_ptr<fleet::SimFleet> m_fleet;
    std::unique_ptr<RegtestNode> m_node;
    std::optional<client::Trust> m_trust;
    std::vector<Player> m_players;
    std::optional<client::Invitation> m_invitation;
    std::optional<client::AggregateKey> m_key;
    ByteArray<32> m_recomputed_x{};
    ByteArray<32> m_message{};
    SigningId m_signing;
    std::optional<bitcoin::SchnorrSignature> m_signature;
    bitcoin::Transaction m_spend;
    std::optional<Confirmed> m_confirmed;
    std::string m_node_version;
    std::vector<fleet::ProcessUsage> m_usage;
};

} // namespace

asio::awaitable<Result<std::string>> run_demo(DemoOptions options) {
    const bool as_json = options.json;
    Demo demo(std::move(options), co_await asio::this_coro::executor);
    Status played = co_await demo.play();
    if (!played) {
        Error error = std::move(played).error();
        if (const std::string casualties = demo.casualties(); !casualties.empty())
            error.detail += "\n" + casualties;
        co_return error;
    }
    co_return as_json ? demo.result_json() : demo.result_line();
}

} // namespace keymeld::demo
