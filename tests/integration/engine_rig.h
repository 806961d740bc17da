// An Engine over the real storage plugin, the real TCP transport and real keymeld-enclave processes, and clients that speak to it.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "appliance/fleet/child_process.h"
#include "core/bitcoin/ecies_aad.h"
#include "core/config/config.h"
#include "core/crypto/secret_key.h"
#include "core/engine/engine.h"

namespace keymeld::test {

namespace asio = boost::asio;
using engine::Async;

/// The enclave processes; several engines may use them one after another. Ends them all when destroyed.
class Signers {
  public:
    /// With identity files, or with peer sealing: then every start has a new key until a peer gives the old one back.
    explicit Signers(std::uint32_t count, bool peer_sealing = false);

    std::uint32_t count() const { return static_cast<std::uint32_t>(m_ports.size()); }
    void start(std::uint32_t index);
    /// With the same key, but under a root that nobody here trusts.
    void start_impostor(std::uint32_t index);
    void kill(std::uint32_t index);   ///< SIGKILL
    void freeze(std::uint32_t index); ///< SIGSTOP: it neither answers nor hangs up
    void thaw(std::uint32_t index);
    /// Forgets its key: the next start makes another, of epoch 1.
    void lose_key(std::uint32_t index);
    /// The same key comes with another epoch at the next start.
    void set_epoch(std::uint32_t index, std::uint8_t epoch);
    std::uint16_t port(std::uint32_t index) const { return m_ports[index].number(); }
    const std::filesystem::path& folder() const { return m_folder.path(); }

  private:
    void init(const std::string& pki);
    void start_under(const std::string& pki, std::uint32_t index);
    bool m_peer_sealing;
    fleet::TemporaryFolder m_folder;
    std::vector<fleet::ReservedPort> m_ports;
    std::vector<std::optional<fleet::ChildProcess>> m_children;
};

/// Counts for tests; deaf to the rest.
class KeyHolders final : public engine::Observer {
  public:
    void on_transition(engine::SessionType, std::string_view, std::string_view, bool) override {}
    void on_duration(engine::SessionType, std::string_view, double) override {}
    void on_active(engine::SessionType, std::string_view, std::int64_t) override {}
    void on_session_error(engine::SessionType, std::string_view) override {}
    void on_enclave_health(std::uint32_t, bool) override {}
    void on_enclave_recovery(std::uint32_t, bool) override {}
    void on_enclave_key_holders(std::uint32_t enclave_id, std::uint32_t count) override { counts[enclave_id] = count; }
    void on_quota_violation() override {}
    void on_musig(std::string_view, bool) override {}

    std::map<std::uint32_t, std::uint32_t> counts;
};

/// One engine on its own loop, with its own database.
class Rig {
  public:
    /// `limits`: lines of the configuration's limits mapping; `per_enclave`: more keys of each enclave entry, with leading comma.
    Rig(Signers& signers, std::uint32_t enclaves, std::map<std::string, std::string> limits = {}, std::string per_enclave = {});
    ~Rig();

    engine::Engine& operator*() { return *m_engine; }
    engine::Engine* operator->() { return m_engine.get(); }
    asio::io_context& loop() { return *m_loop; }

    /// Runs the loop until `task` is done; fails the test and throws after 60 s.
    template <class T> T run(Async<T> task) {
        std::optional<T> result;
        asio::co_spawn(*m_loop, std::move(task), [&result](std::exception_ptr problem, T value) {
            if (problem)
                std::rethrow_exception(problem);
            result = std::move(value);
        });
        spin([&] { return result.has_value(); });
        return std::move(*result);
    }
    /// Starts `task` without waiting for it.
    template <class T> std::shared_ptr<std::optional<T>> begin(Async<T> task) {
        auto result = std::make_shared<std::optional<T>>();
        asio::co_spawn(*m_loop, std::move(task), [result](std::exception_ptr problem, T value) {
            if (problem)
                std::rethrow_exception(problem);
            *result = std::move(value);
        });
        return result;
    }
    template <class T> T end(const std::shared_ptr<std::optional<T>>& begun) {
        spin([&] { return begun->has_value(); });
        return std::move(**begun);
    }
    void spin(const std::function<bool()>& until, std::chrono::seconds at_most = std::chrono::seconds(60));
    void sleep(std::chrono::milliseconds time);

    void wait_healthy(std::uint32_t count);
    /// Until every enclave's key is with each of `holders` others.
    void wait_escrowed(std::uint32_t holders);
    void stop();       ///< cleanly
    void crash();      ///< without a word: as if the process had died, but for what storage had taken
    void start();      ///< again, on the same database
    std::filesystem::path database() const;
    config::Config& config() { return m_config; }

  private:
    Signers& m_signers;
    std::uint32_t m_enclaves;
    fleet::TemporaryFolder m_folder;
    config::Config m_config;
    std::unique_ptr<asio::io_context> m_loop;
    KeyHolders m_key_holders;
    std::unique_ptr<engine::Engine> m_engine;
};

KeygenId fresh_keygen_id();
SigningId fresh_signing_id();
UserId fresh_user_id();
ByteArray<32> some_message(int number);

/// The clients of one keygen session: their keys, their session secret, what they send.
class Party {
  public:
    struct Options {
        std::uint32_t participants = 3;
        bitcoin::TweakConfig tweak = {};
        bitcoin::KeyOrder order = bitcoin::KeyOrder::UserId;
        bool ecies_aad = false;
        std::vector<session::ApprovalPolicy> policies = {}; ///< by signer_index; missing: None
        std::uint64_t timeout_secs = 600;
        std::optional<std::uint32_t> max_signings = 1000;
        std::uint32_t coordinator_enclave = 0;
    };
    Party(Rig& rig, Options options);

    Rig& rig;
    Options options;
    KeygenId id = fresh_keygen_id();
    secure::SecretArray<32> secret;
    std::vector<UserId> users;
    std::vector<crypto::SecretKey> keys;

    ByteArray<33> enclave_key(std::uint32_t enclave) const;
    session::ApprovalPolicy policy(std::size_t index) const;
    std::string session_header(std::size_t index) const;
    std::string signing_header(std::size_t index) const;

    engine::CreateKeygen creation();
    engine::RegisterParticipant registration(std::size_t index, std::uint32_t enclave);
    engine::CreateSigning signing(const ByteArray<32>& message, std::uint64_t timeout_secs = 600) const;
    engine::ApproveSigning approval(const SigningId& signing, std::size_t index) const;
    engine::ApproveSigning bound_approval(const SigningId& signing, std::size_t index, const ByteArray<32>& message,
                                          std::uint64_t expires_at) const;

    /// Creates the session and registers everybody; the view of the first participant, completed.
    engine::KeygenView complete();
    Result<engine::KeygenView> status(std::size_t index = 0);
    Result<engine::SigningView> status(const SigningId& signing, std::size_t index = 0);
    /// Polls as a client does, until the session has ended.
    engine::SigningView outcome(const SigningId& signing, std::chrono::seconds at_most = std::chrono::seconds(60));
    /// The BIP-340 signature inside a completed view verifies for `message` under the key of `keygen`.
    void expect_signature(const engine::SigningView& view, const engine::KeygenView& keygen, const ByteArray<32>& message) const;
    /// Tag and aggregate key are what the clients compute themselves (rest-v1.md 5.6).
    void expect_key(const engine::KeygenView& view) const;
};

} // namespace keymeld::test
