// Enclaves as tests see them: a Signer in this process with a clock that the test sets, or a real
// keymeld-enclave process behind a socket.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "core/crypto/public_key.h"
#include "core/protocol/enclave.pb.h"
#include "enclave/signer/signer.h"

namespace keymeld::test {

/// A folder of its own, removed with its content.
class ScratchFolder {
  public:
    ScratchFolder();
    ~ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    const std::filesystem::path& path() const { return m_path; }

  private:
    std::filesystem::path m_path;
};

class TestEnclave {
  public:
    virtual ~TestEnclave() = default;
    /// One request on the current stream; throws if the stream breaks.
    virtual wire::Response call(const wire::Request& request) = 0;
    /// A new stream to the same signer, with its Hello.
    virtual void reconnect() = 0;
    /// As a crash and a start with the same key, or with peer sealing with a new one: everything in
    /// memory is gone.
    virtual void restart() = 0;
    /// Seconds since the Unix epoch by the enclave's clock.
    virtual std::uint64_t unix_seconds() const = 0;

    const crypto::PlainPubKey& public_key() const { return *m_public_key; }
    const Uuid& boot_id() const { return m_boot_id; }
    /// Of the latest Hello.
    bool may_take_over() const { return m_may_take_over; }
    std::uint64_t incarnation() const { return m_incarnation; }

  protected:
    /// Says Hello and takes key and boot id from the answer.
    void greet();

  private:
    std::optional<crypto::PlainPubKey> m_public_key;
    Uuid m_boot_id;
    bool m_may_take_over = false;
    std::uint64_t m_incarnation = 0;
};

/// A simulator's root and measurement that several LocalEnclaves share. `measurement` tells images
/// apart.
class LocalPki {
  public:
    LocalPki();
    ~LocalPki();
    struct Impl;
    Impl& impl() const { return *m_impl; }

  private:
    std::unique_ptr<Impl> m_impl;
};

class LocalEnclave final : public TestEnclave {
  public:
    struct Options {
        enclave::Limits limits = {};
        /// Another image than its peers accept, if not 1.
        std::uint8_t measurement = 1;
        /// The enclave's key; random if not given.
        std::optional<ByteArray<32>> secret = {};
        /// A key of its own at each start, which peers may replace.
        bool peer_sealing = false;
    };
    explicit LocalEnclave(const LocalPki& pki) : LocalEnclave(pki, Options()) {}
    LocalEnclave(const LocalPki& pki, Options options);

    wire::Response call(const wire::Request& request) override;
    void reconnect() override;
    void restart() override;
    std::uint64_t unix_seconds() const override { return m_now.unix_seconds(); }

    /// A request on another stream than the current one.
    wire::Response call_on(std::uint64_t stream, const wire::Request& request);
    std::uint64_t stream() const { return m_stream; }
    void advance(std::chrono::seconds time);
    enclave::Signer& signer() { return *m_signer; }

  private:
    void start();

    const LocalPki& m_pki;
    Options m_options;
    crypto::SecretKey m_key;
    enclave::Moment m_now;
    std::uint64_t m_stream = 0;
    std::unique_ptr<enclave::Signer> m_signer;
};

/// A running keymeld-enclave. `folder` holds the simulator's PKI (sim_init()) and this enclave's
/// identity file.
class ProcessEnclave final : public TestEnclave {
  public:
    /// Makes the PKI for all enclaves of a test in `folder`.
    static void sim_init(const std::filesystem::path& folder);

    /// `peer_sealing`: without an identity file.
    ProcessEnclave(const std::filesystem::path& folder, std::string name,
                   bool peer_sealing = false);
    ~ProcessEnclave() override;

    wire::Response call(const wire::Request& request) override;
    void reconnect() override;
    void restart() override;
    std::uint64_t unix_seconds() const override;

    std::uint16_t port() const { return m_port; }
    pid_t pid() const { return m_pid; }
    /// SIGTERM; the exit code.
    int terminate();
    /// Bytes as they are, on a connection of its own; true if the signer closed it.
    bool closes_on(ByteView bytes) const;

  private:
    void start();
    void stop();
    void disconnect();

    std::filesystem::path m_folder;
    std::string m_name;
    bool m_peer_sealing;
    pid_t m_pid = -1;
    std::uint16_t m_port = 0;
    int m_socket = -1;
    std::uint64_t m_next_id = 1;
};

} // namespace keymeld::test
