#include "tests/unit/config/config_fixture.h"

#include <filesystem>
#include <fstream>

namespace keymeld::test {
namespace {

using config::seconds;

TEST(Config, SmallestFileHasTheDefaultsOfTheSpecification) {
    const auto loaded = load(yaml_with(""));
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(loaded->file, "k.yaml");
    EXPECT_EQ(loaded->plugin_directory, config::default_plugin_directory());
    EXPECT_TRUE(loaded->plugin_directory.is_absolute());
    EXPECT_EQ(loaded->server.listen.text(), "127.0.0.1:8080");
    EXPECT_FALSE(loaded->server.tls);
    EXPECT_TRUE(loaded->server.cors_origins.empty());
    EXPECT_FALSE(loaded->server.ops_listen);
    EXPECT_EQ(loaded->log_level, log::Level::Info);
    const config::Limits& l = loaded->limits;
    EXPECT_EQ(l.max_body_bytes, 2u * 1024 * 1024);
    EXPECT_EQ(l.max_participants, 1000u);
    EXPECT_EQ(l.timeout_secs_max, 86400u);
    EXPECT_EQ(l.default_max_signing_sessions, 100u);
    EXPECT_EQ(l.wait_max_secs, seconds(60));
    EXPECT_EQ(l.event_streams_per_client, 32u);
    EXPECT_EQ(l.event_streams_total, 4096u);
    EXPECT_EQ(l.rate_per_client, 200u);
    EXPECT_EQ(l.rate_burst, 400u);
    EXPECT_EQ(l.rate_delay_max, seconds(2));
    EXPECT_EQ(l.pending_keygen_sessions_per_client, 64u);
    EXPECT_EQ(l.pending_keygen_sessions_total, 10000u);
    EXPECT_EQ(l.max_inflight_requests, 4096u);
    EXPECT_EQ(l.request_deadline, seconds(30));
    EXPECT_EQ(l.enclave_wait_max, seconds(10));
    EXPECT_EQ(l.enclave_retry_max, 5u);
    EXPECT_EQ(l.approval_max_validity, seconds(86400));
    EXPECT_FALSE(l.completed_keygen_retention);
    EXPECT_EQ(l.finished_signing_retention, seconds(7 * 86400));
    EXPECT_EQ(l.failed_retention, seconds(7 * 86400));
    EXPECT_EQ(l.canary_interval, seconds(30));
    EXPECT_EQ(l.canary_max_age, seconds(90));
}

TEST(Config, PluginsKeepTheirOwnOptionsWithPlaceAndBase) {
    auto loaded = load(yaml_with("plugins: { directory: ../plugins }\n"));
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(loaded->plugin_directory, "/etc/plugins");
    EXPECT_EQ(loaded->storage.plugin, "storage-sqlite");
    EXPECT_FALSE(loaded->storage.sha256);
    EXPECT_EQ(loaded->storage.options.required_path("path").value(),
              "/etc/keymeld/data/keymeld.db");
    EXPECT_TRUE(loaded->storage.options.finish());
    ASSERT_EQ(loaded->enclaves.size(), 1u);
    config::Enclave& enclave = loaded->enclaves[0];
    EXPECT_EQ(enclave.id, 7u);
    EXPECT_EQ(enclave.where, "k.yaml:4");
    EXPECT_TRUE(enclave.enabled);
    EXPECT_TRUE(enclave.required);
    EXPECT_FALSE(enclave.accept_key_epoch);
    EXPECT_EQ(enclave.transport.plugin, "transport-tcp-sim");
    EXPECT_EQ(enclave.transport.options.required_text("host").value(), "127.0.0.1");
    const auto left = enclave.transport.options.finish();
    ASSERT_FALSE(left);
    EXPECT_EQ(left.error().detail, "k.yaml:5: unknown option 'port'; known: host");
    EXPECT_FALSE(enclave.attestation.aws);
    EXPECT_EQ(enclave.attestation.trust(), "/etc/keymeld/root.pem");
    EXPECT_EQ(enclave.attestation.pcrs, "/etc/keymeld/pcrs.json");
}

TEST(Config, ReadsEveryKey) {
    const auto loaded = load(
        "storage: { plugin: storage-sqlite, path: /var/k.db, sha256: "
        "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff }\n"
        "tweak: { plugin: tweak-taproot }\n"
        "allow_mixed_fleet: true\n"
        "enclaves:\n"
        "  - { id: 2, enabled: true, required: false, transport: { plugin: transport-vsock, cid: "
        "16 }, attestation: { trust: aws, pcrs: /etc/pcrs.json } }\n"
        "  - { id: 1, transport: { plugin: transport-tcp-sim }, attestation: { trust: r.pem, pcrs: "
        "p.json } }\n"
        "server:\n"
        "  listen: '[::]:443'\n"
        "  tls: { certificate: c.pem, key: k.pem, client_ca: ca.pem }\n"
        "  cors_origins: [ 'https://a.example', 'http://localhost:3000' ]\n"
        "  keygen_token_file: token\n"
        "  ops_listen: 127.0.0.2:9090\n"
        "limits:\n"
        "  max_body_bytes: 64KiB\n"
        "  max_participants: 2\n"
        "  timeout_secs_max: 3600\n"
        "  default_max_signing_sessions: 4294967295\n"
        "  wait_max_secs: 0\n"
        "  event_streams_per_client: 1\n"
        "  event_streams_total: 2\n"
        "  rate_per_client: 1000\n"
        "  rate_burst: 1001\n"
        "  rate_delay_max: 10s\n"
        "  pending_keygen_sessions_per_client: 3\n"
        "  pending_keygen_sessions_total: 4\n"
        "  max_inflight_requests: 5\n"
        "  request_deadline: 5m\n"
        "  enclave_wait_max: 300\n"
        "  enclave_retry_max: 100\n"
        "  approval_max_validity: 7d\n"
        "  completed_keygen_retention: 1d\n"
        "  finished_signing_retention: 1h\n"
        "  failed_retention: 60m\n"
        "  canary_interval: 5s\n"
        "  canary_max_age: 6s\n"
        "log: { level: debug }\n");
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ((*loaded->storage.sha256)[8], 0x88);
    ASSERT_EQ(loaded->enclaves.size(), 2u);
    EXPECT_EQ(loaded->enclaves[0].id, 1u); // sorted
    EXPECT_TRUE(loaded->enclaves[1].attestation.aws);
    EXPECT_EQ(loaded->enclaves[1].attestation.trust(), "aws");
    EXPECT_FALSE(loaded->enclaves[1].required);
    EXPECT_EQ(loaded->server.listen.text(), "[::]:443");
    EXPECT_FALSE(loaded->server.listen.loopback());
    ASSERT_TRUE(loaded->server.tls);
    EXPECT_EQ(loaded->server.tls->certificate, "/etc/keymeld/c.pem");
    EXPECT_EQ(loaded->server.tls->client_ca, "/etc/keymeld/ca.pem");
    EXPECT_EQ(loaded->server.cors_origins.size(), 2u);
    EXPECT_EQ(loaded->server.keygen_token_file, "/etc/keymeld/token");
    EXPECT_EQ(loaded->server.ops_listen->text(), "127.0.0.2:9090");
    EXPECT_EQ(loaded->limits.max_body_bytes, 65536u);
    EXPECT_EQ(loaded->limits.default_max_signing_sessions, 4294967295u);
    EXPECT_EQ(loaded->limits.request_deadline, seconds(300));
    EXPECT_EQ(loaded->limits.enclave_wait_max, seconds(300));
    EXPECT_EQ(loaded->limits.completed_keygen_retention, seconds(86400));
    EXPECT_EQ(loaded->limits.failed_retention, seconds(3600));
    EXPECT_EQ(loaded->limits.canary_max_age, seconds(6));
    EXPECT_EQ(loaded->log_level, log::Level::Debug);
}

TEST(Config, RefusesUnknownKeysAtEveryLevel) {
    EXPECT_EQ(refusal_with("storag: 1\n"),
              "k.yaml:7: unknown key 'storag' in the file; known keys: plugins, storage, tweak, "
              "enclaves, allow_mixed_fleet, server, limits, log");
    EXPECT_EQ(refusal_with("server: { lisen: 1 }\n"),
              "k.yaml:7: unknown key 'lisen' in server; known keys: listen, tls, "
              "allow_plain_http, cors_origins, keygen_token_file, ops_listen");
    EXPECT_NE(refusal_with("server: { tls: { cert: x } }\n").find("in server.tls"),
              std::string::npos);
    EXPECT_NE(refusal_with("limits:\n  max_body: 1\n").find("k.yaml:8: unknown key 'max_body'"),
              std::string::npos);
    EXPECT_NE(refusal_with("log: { file: x }\n").find("unknown key 'file' in log"),
              std::string::npos);
    EXPECT_NE(refusal_with("plugins: { dir: x }\n").find("unknown key 'dir' in plugins"),
              std::string::npos);
    EXPECT_NE(refusal(std::string(kStorage) + kTweak + "enclaves:\n  - { id: 1, x: 2 }\n")
                  .find("k.yaml:4: unknown key 'x' in enclave"),
              std::string::npos);
    EXPECT_NE(refusal(std::string(kStorage) + kTweak +
                      "enclaves: [ { id: 1, transport: { plugin: t }, attestation: { trust: aws, "
                      "pcr: x } } ]\n")
                  .find("unknown key 'pcr' in attestation"),
              std::string::npos);
}

TEST(Config, RefusesWhatIsMissing) {
    EXPECT_EQ(refusal("tweak: { plugin: t }\n"), "k.yaml:1: the file.storage is missing");
    EXPECT_EQ(refusal(std::string(kStorage) + kEnclave), "k.yaml:1: the file.tweak is missing");
    EXPECT_EQ(refusal(std::string(kStorage) + kTweak), "k.yaml:1: the file.enclaves is missing");
    EXPECT_EQ(refusal("storage: { path: x }\n" + std::string(kTweak) + kEnclave),
              "k.yaml:1: storage.plugin is missing; it is the name of a plugin's file without .so");
    const std::string start = std::string(kStorage) + kTweak;
    EXPECT_EQ(refusal(start + "enclaves: [ { transport: { plugin: t } } ]\n"),
              "k.yaml:3: enclave.id is missing");
    EXPECT_EQ(refusal(start + "enclaves: [ { id: 1 } ]\n"),
              "k.yaml:3: enclave.transport is missing");
    EXPECT_EQ(refusal(start + "enclaves: [ { id: 1, transport: { plugin: t } } ]\n"),
              "k.yaml:3: enclave.attestation is missing");
    EXPECT_EQ(refusal(start + "enclaves: [ { id: 1, transport: { plugin: t }, attestation: { "
                              "trust: aws } } ]\n"),
              "k.yaml:3: attestation.pcrs is missing");
    EXPECT_EQ(refusal_with("server: { tls: { certificate: x } }\n"),
              "k.yaml:7: server.tls.key is missing");
}

TEST(Config, RefusesWrongShapes) {
    const std::string start = std::string(kStorage) + kTweak;
    EXPECT_EQ(refusal(start + "enclaves: {}\n"),
              "k.yaml:3: enclaves must be a list of 1 to 1024 enclaves");
    EXPECT_EQ(refusal(start + "enclaves: []\n"),
              "k.yaml:3: enclaves must be a list of 1 to 1024 enclaves");
    EXPECT_EQ(refusal_with("server: 1\n").find("k.yaml:7: server must be a mapping; its keys are"),
              0u);
    EXPECT_EQ(refusal_with("server: { listen: [ 1 ] }\n"),
              "k.yaml:7: server.listen must be a single value");
    EXPECT_EQ(refusal_with("server: { listen: }\n"),
              "k.yaml:7: server.listen must be a single value");
    EXPECT_EQ(refusal("storage: { plugin: s, path: { a: b } }\n"),
              "k.yaml:1: storage.path must be a single value");
    EXPECT_EQ(refusal("storage: sqlite\n"),
              "k.yaml:1: storage must be a mapping with the key 'plugin'");
}

TEST(Config, RefusesTwoEnclavesWithOneId) {
    const std::string enclave =
        "  - { id: 3, transport: { plugin: t }, attestation: { trust: aws, pcrs: p } }\n";
    EXPECT_EQ(refusal(std::string(kStorage) + kTweak + "enclaves:\n" + enclave + enclave),
              "k.yaml:5: enclave.id 3 is there twice (first at k.yaml:4); ids must differ");
}

TEST(Config, ReadsTheKeyEpochThatAnOperatorAccepts) {
    const auto with = [](const std::string& epoch) {
        return std::string(kStorage) + kTweak +
               "enclaves: [ { id: 3, accept_key_epoch: " + epoch +
               ", transport: { plugin: t }, attestation: { trust: aws, pcrs: p } } ]\n";
    };
    EXPECT_EQ(load(with("1"))->enclaves[0].accept_key_epoch, 1u);
    EXPECT_EQ(load(with("18446744073709551615"))->enclaves[0].accept_key_epoch, UINT64_MAX);
    for (const char* bad : {"0", "-1", "any", "18446744073709551616"})
        EXPECT_NE(refusal(with(bad)).find("enclave.accept_key_epoch must be a whole number from 1"),
                  std::string::npos)
            << bad;
}

TEST(Config, RefusesAFleetWithoutAnEnabledEnclave) {
    EXPECT_EQ(refusal(std::string(kStorage) + kTweak +
                      "enclaves: [ { id: 3, enabled: false, transport: { plugin: t }, attestation: "
                      "{ trust: aws, pcrs: p } } ]\n"),
              "k.yaml:3: every enclave is disabled; at least one must be enabled");
}

TEST(Config, RefusesAMixedFleetUnlessAsked) {
    const auto fleet = [](const std::string& first_enabled) {
        return std::string(kStorage) + kTweak +
               "enclaves:\n  - { id: 1, enabled: " + first_enabled +
               ", transport: { plugin: t }, attestation: { trust: sim.pem, pcrs: p } }\n"
               "  - { id: 2, transport: { plugin: t }, attestation: { trust: aws, pcrs: p } }\n";
    };
    EXPECT_EQ(refusal(fleet("true")).find("k.yaml:4: enclave 1 trusts a root of its own"), 0u);
    EXPECT_TRUE(load(fleet("true") + "allow_mixed_fleet: true\n"));
    EXPECT_FALSE(load(fleet("true") + "allow_mixed_fleet: false\n"));
    EXPECT_TRUE(load(fleet("false"))); // a disabled enclave never holds a key
}

TEST(Config, RefusesPlainHttpBeyondLoopbackUnlessAsked) {
    const std::string reason =
        " is not loopback and would be plain HTTP; configure server.tls, listen on 127.0.0.1, or "
        "set allow_plain_http: true";
    EXPECT_EQ(refusal_with("server: { listen: 0.0.0.0:8080 }\n"),
              "k.yaml:7: server.listen 0.0.0.0:8080" + reason);
    EXPECT_EQ(refusal_with("server: { listen: '[::]:1' }\n"),
              "k.yaml:7: server.listen [::]:1" + reason);
    EXPECT_EQ(refusal_with("server: { listen: '[::ffff:127.0.0.1]:1' }\n"),
              "k.yaml:7: server.listen [::ffff:127.0.0.1]:1" + reason);
    EXPECT_EQ(refusal_with("server: { ops_listen: 10.0.0.1:9 }\n"),
              "k.yaml:7: server.ops_listen 10.0.0.1:9" + reason);
    // TLS is not for the operations listener.
    EXPECT_EQ(refusal_with("server: { ops_listen: 10.0.0.1:9, tls: { certificate: c, key: k } }\n"),
              "k.yaml:7: server.ops_listen 10.0.0.1:9" + reason);
    EXPECT_TRUE(load(yaml_with("server: { listen: 0.0.0.0:1, allow_plain_http: true }\n")));
    EXPECT_TRUE(
        load(yaml_with("server: { listen: 0.0.0.0:1, tls: { certificate: c, key: k } }\n")));
    EXPECT_TRUE(load(yaml_with("server: { listen: 127.1.2.3:1 }\n")));
    EXPECT_TRUE(load(yaml_with("server: { listen: '[::1]:1' }\n")));
}

TEST(Config, RefusesListenAddressesThatAreNotLiteral) {
    for (const char* text : {"localhost:8080", "127.0.0.1", "'127.0.0.1:'", "127.0.0.1:65536",
                             "127.0.0.1:-1", "'::1:8080'", "'[127.0.0.1]:80'", "1.2.3:80", "':80'"})
        EXPECT_NE(refusal_with("server: { listen: " + std::string(text) + " }\n")
                      .find("must be a literal address and port"),
                  std::string::npos)
            << text;
}

TEST(Config, RefusesOriginsThatABrowserWouldNotSend) {
    for (const char* text : {"'*'", "https://a.example/", "ftp://a.example", "https://",
                             "https://A.example", "'https://a b'", "null"})
        EXPECT_NE(refusal_with("server: { cors_origins: [ " + std::string(text) + " ] }\n"),
                  "(accepted)")
            << text;
    EXPECT_NE(refusal_with("server: { cors_origins: 'https://a.example' }\n")
                  .find("must be a list of at most 64 origins"),
              std::string::npos);
}

TEST(Config, RefusesABadPin) {
    EXPECT_EQ(refusal("storage: { plugin: s, sha256: 0011 }\n"),
              "k.yaml:1: storage.sha256 must be the SHA-256 of the plugin's file: 64 hex digits");
}

TEST(Config, ReadsFiles) {
    const std::filesystem::path folder =
        std::filesystem::path(testing::TempDir()) / "keymeld_config_test";
    std::filesystem::create_directories(folder);
    const auto file = folder / "k.yaml";
    std::ofstream(file) << yaml_with("");
    const auto loaded = config::load_file(file);
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(loaded->enclaves[0].attestation.pcrs, folder / "pcrs.json");
    std::ofstream(file) << "x: 1\n";
    EXPECT_EQ(config::load_file(file).error().detail.find(file.string() + ":1: unknown key 'x'"),
              0u);
    std::filesystem::remove_all(folder);
    EXPECT_EQ(config::load_file(file).error().code, Errc::Io);
    EXPECT_EQ(config::load_file("/proc/self").error().code, Errc::Io);
}

} // namespace
} // namespace keymeld::test
