// The appliance's configuration: one YAML file, read once at start, as typed and validated values.
//
// Reading is strict. An unknown, repeated or out-of-range key stops the start with one line "file:line: what is wrong; what is allowed".
// Values may contain ${NAME}: the environment variable NAME (unset: an error; `$${` stands for a literal `${`). Durations are written 30s,
// 15m, 2h, 7d or as whole seconds, sizes 64KiB, 2MiB or as bytes. Relative paths stand against the folder of the configuration file.
// Nothing in here is a secret: what is secret (tokens, TLS keys) is a path to a file.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/log.h"
#include "core/base/result.h"
#include "core/plugin/options.h"

namespace keymeld::config {

using std::chrono::seconds;

/// Which plugin, and what it is given. Every key of its mapping but `plugin` and `sha256` is an option of the plugin itself.
struct PluginChoice {
    std::string plugin;                    ///< "storage-sqlite": a plain file name without .so
    plugin::Options options;
    std::optional<ByteArray<32>> sha256;   ///< pins the plugin's file
    std::string where;                     ///< "config/sim.yaml:12", for messages
};

/// What an enclave must prove before it is spoken to, and before it may hold a key.
struct AttestationChoice {
    bool aws = false;                      ///< trust the pinned AWS Nitro root
    std::filesystem::path root_pem;        ///< absolute; empty exactly if `aws`
    std::filesystem::path pcrs;            ///< absolute; allow-list of measurements (core/attestation/pcr_policy.h)

    /// As TrustAnchor::from_config takes it: "aws" or the absolute path.
    std::string trust() const { return aws ? "aws" : root_pem.string(); }
};

struct Enclave {
    std::uint32_t id = 0;                  ///< unique; what REST clients see
    PluginChoice transport;
    AttestationChoice attestation;
    bool enabled = true;                   ///< false: listed, never connected
    bool required = true;                  ///< /ready waits for its canary
    /// An enclave is held to the key that it first showed. Naming an epoch here lets it come with another key once: what was sealed for the
    /// old one is lost.
    std::optional<std::uint64_t> accept_key_epoch;
    std::string where;
};

/// An address literal and a port. `host` is never a name: a name could resolve to something that is not loopback.
struct Listen {
    std::string host = "127.0.0.1";        ///< "127.0.0.1", "::1", "0.0.0.0"
    std::uint16_t port = 8080;             ///< 0: any free port (tests)

    bool loopback() const;
    /// "127.0.0.1:8080", "[::1]:8080".
    std::string text() const;
};

/// TLS 1.3. Absolute paths of PEM files.
struct Tls {
    std::filesystem::path certificate;     ///< chain, leaf first
    std::filesystem::path key;
    std::optional<std::filesystem::path> client_ca; ///< set: clients must show a certificate under it
};

struct Server {
    Listen listen;
    std::optional<Tls> tls;
    bool allow_plain_http = false;         ///< needed for a non-loopback address without `tls`
    std::vector<std::string> cors_origins; ///< exact origins, "https://app.example"; empty: CORS off
    std::optional<std::filesystem::path> keygen_token_file; ///< absolute; set: POST /keygen needs that bearer token
    /// Separate plain HTTP listener: /metrics and /docs move there, /health, /ready, /version and /openapi.json are on both.
    std::optional<Listen> ops_listen;
};

/// rest-v1.md section 9: names, defaults and ranges are those of the specification.
struct Limits {
    std::uint64_t max_body_bytes = 2u * 1024 * 1024;              ///< 64 KiB..16 MiB
    std::uint32_t max_participants = 1000;                        ///< 2..1000
    std::uint64_t timeout_secs_max = 86400;                       ///< 1..86400; longest `timeout_secs` a session may ask for
    std::uint32_t default_max_signing_sessions = 100;             ///< 0..2^32-1
    seconds wait_max_secs{60};                                    ///< 0..60
    std::uint32_t event_streams_per_client = 32;                  ///< >= 1
    std::uint32_t event_streams_total = 4096;                     ///< >= 1
    std::uint32_t rate_per_client = 200;                          ///< requests per second, >= 1
    std::uint32_t rate_burst = 400;                               ///< requests, >= rate_per_client
    seconds rate_delay_max{2};                                    ///< 0..10 s
    std::uint32_t pending_keygen_sessions_per_client = 64;        ///< >= 1
    std::uint32_t pending_keygen_sessions_total = 10000;          ///< >= 1
    std::uint32_t max_inflight_requests = 4096;                   ///< >= 1
    seconds request_deadline{30};                                 ///< 1..300 s
    seconds enclave_wait_max{10};                                 ///< 0..request_deadline
    std::uint32_t enclave_retry_max = 5;                          ///< 1..100
    seconds approval_max_validity{86400};                         ///< 60..604800 s
    std::optional<seconds> completed_keygen_retention;            ///< none (keep for ever), or >= 1 day
    seconds finished_signing_retention{7 * 86400};                ///< >= 1 h
    seconds failed_retention{7 * 86400};                          ///< >= 1 h
    seconds canary_interval{30};                                  ///< >= 5 s
    seconds canary_max_age{90};                                   ///< >= 5 s, >= canary_interval
};

struct Config {
    std::filesystem::path file;            ///< what was read, for messages
    std::filesystem::path plugin_directory; ///< absolute
    PluginChoice storage;
    PluginChoice tweak;
    std::vector<Enclave> enclaves;         ///< at least one enabled; by id
    /// Enclaves under different roots in the same file: refused without this, because a session spread over both is only as good as the
    /// weaker, which next to AWS is a simulator.
    bool allow_mixed_fleet = false;
    Server server;
    Limits limits;
    log::Level log_level = log::Level::Info;
};

/// Looks up an environment variable; nullopt: unset.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
std::optional<std::string> process_environment(std::string_view name);

/// Where plugins are when the file does not say: ../lib/keymeld/plugins from the folder of the running program, in a build folder and
/// when installed alike.
std::filesystem::path default_plugin_directory();

/// Reads at most 1 MiB. `Errc::Io` if it cannot be read, `Errc::ConfigInvalid` for anything wrong in it. [startup]
Result<Config> load_file(const std::filesystem::path& file);
/// The same from memory; `name` stands for the file in messages, relative paths stand against `base` (absolute). [any-thread]
Result<Config> load_text(std::string_view yaml, const std::filesystem::path& name, const std::filesystem::path& base,
                         const Environment& environment = process_environment);

} // namespace keymeld::config
