// The example files of config/: they load, and differ in their enclave entries only.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "core/config/config.h"

namespace keymeld::test {
namespace {

std::filesystem::path example(const char* name) {
    const char* const root = std::getenv("KEYMELD_SOURCE_DIR");
    return std::filesystem::path(root ? root : ".") / "config" / name;
}

/// The file in two parts: all but the `enclaves:` section with its comment, and that section.
std::pair<std::string, std::string> split_at_enclaves(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string line, rest, section, comment;
    bool inside = false;
    while (std::getline(in, line)) {
        line += '\n';
        if (line.starts_with("enclaves:"))
            inside = true;
        else if (inside && !line.starts_with(" "))
            inside = false;
        if (inside) {
            section += comment + line;
            comment.clear();
        } else if (line.starts_with("#")) {
            comment += line;
        } else {
            rest += comment + line;
            comment.clear();
        }
    }
    return {rest + comment, section};
}

TEST(Examples, SimulatorLoads) {
    auto loaded = config::load_file(example("sim.yaml"));
    ASSERT_TRUE(loaded) << loaded.error().detail;
    const auto root = std::filesystem::absolute(example("sim.yaml")).parent_path().parent_path();
    EXPECT_EQ(loaded->storage.options.required_path("path").value(),
              (root / "var/keymeld.db").lexically_normal());
    ASSERT_EQ(loaded->enclaves.size(), 3u);
    for (std::uint32_t i = 0; i < 3; ++i) {
        config::Enclave& enclave = loaded->enclaves[i];
        EXPECT_EQ(enclave.id, i);
        EXPECT_EQ(enclave.transport.plugin, "transport-tcp-sim");
        EXPECT_EQ(enclave.transport.options.required_text("host").value(), "127.0.0.1");
        EXPECT_EQ(enclave.transport.options.required_number("port", 1, 65535).value(), 5000 + i);
        EXPECT_TRUE(enclave.transport.options.finish());
        EXPECT_EQ(enclave.attestation.root_pem, (root / "var/sim/root.pem").lexically_normal());
        EXPECT_EQ(enclave.attestation.pcrs, (root / "var/sim/pcrs.json").lexically_normal());
    }
}

TEST(Examples, NitroLoads) {
    auto loaded = config::load_file(example("nitro.yaml"));
    ASSERT_TRUE(loaded) << loaded.error().detail;
    ASSERT_EQ(loaded->enclaves.size(), 3u);
    for (std::uint32_t i = 0; i < 3; ++i) {
        config::Enclave& enclave = loaded->enclaves[i];
        EXPECT_EQ(enclave.transport.plugin, "transport-vsock");
        EXPECT_EQ(enclave.transport.options.required_number("cid", 3, 4294967295).value(), 16 + i);
        EXPECT_EQ(enclave.transport.options.required_number("port", 1, 4294967295).value(), 5000u);
        EXPECT_TRUE(enclave.transport.options.finish());
        EXPECT_TRUE(enclave.attestation.aws);
        EXPECT_EQ(enclave.attestation.pcrs, "/etc/keymeld/pcrs.json");
    }
}

TEST(Examples, NitroUnderQemuLoads) {
    auto loaded = config::load_file(example("nitro-qemu.yaml"));
    ASSERT_TRUE(loaded) << loaded.error().detail;
    const auto folder =
        (std::filesystem::absolute(example("nitro-qemu.yaml")).parent_path() / "../var/nitro-qemu")
            .lexically_normal();
    ASSERT_EQ(loaded->enclaves.size(), 3u);
    for (std::uint32_t i = 0; i < 3; ++i) {
        config::Enclave& enclave = loaded->enclaves[i];
        EXPECT_EQ(enclave.transport.plugin, "transport-vsock");
        EXPECT_EQ(enclave.transport.options.required_path("path").value(),
                  folder / ("enclave-" + std::to_string(i)) / "v.sock");
        EXPECT_EQ(enclave.transport.options.required_number("port", 1, 4294967295).value(), 5000u);
        EXPECT_TRUE(enclave.transport.options.finish());
        EXPECT_FALSE(enclave.attestation.aws);
        EXPECT_EQ(enclave.attestation.root_pem, folder / "pki/root.pem");
        EXPECT_EQ(enclave.attestation.pcrs, folder / "pcrs.json");
    }
}

TEST(Examples, DifferInTheirEnclavesOnly) {
    const auto [sim, sim_enclaves] = split_at_enclaves(example("sim.yaml"));
    for (const char* other : {"nitro.yaml", "nitro-qemu.yaml"}) {
        SCOPED_TRACE(other);
        const auto [rest, enclaves] = split_at_enclaves(example(other));
        EXPECT_EQ(sim, rest);
        EXPECT_NE(sim_enclaves, enclaves);
    }
    EXPECT_NE(sim.find("storage:"), std::string::npos);
    EXPECT_NE(sim.find("limits:"), std::string::npos);
    EXPECT_EQ(sim.find("trust"), std::string::npos);
}

/// One Nitro enclave between two simulated ones: refused, unless the file says that it is meant.
TEST(Examples, AMixtureOfThemIsRefused) {
    const auto [rest, sim_enclaves] = split_at_enclaves(example("sim.yaml"));
    const auto entry = [](const std::string& enclaves, int id) {
        const auto from = enclaves.find("  - id: " + std::to_string(id));
        const auto until = enclaves.find("\n  - id: ", from);
        return enclaves.substr(from, until == std::string::npos ? until : until + 1 - from);
    };
    for (const char* other : {"nitro.yaml", "nitro-qemu.yaml"}) {
        SCOPED_TRACE(other);
        const bool hardware = std::string(other) == "nitro.yaml";
        const auto enclaves = split_at_enclaves(example(other)).second;
        const std::string mixed =
            rest + "enclaves:\n" + entry(sim_enclaves, 0) + entry(enclaves, 1) + entry(sim_enclaves, 2);
        const auto refused = config::load_text(mixed, "mixed.yaml", "/etc/keymeld");
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::ConfigInvalid);
        EXPECT_NE(refused.error().detail.find("allow_mixed_fleet: true"), std::string::npos)
            << refused.error().detail;
        EXPECT_NE(refused.error().detail.find(hardware ? "others trust AWS" : "another root"),
                  std::string::npos)
            << refused.error().detail;
        const auto allowed =
            config::load_text(mixed + "allow_mixed_fleet: true\n", "mixed.yaml", "/etc/keymeld");
        EXPECT_TRUE(allowed) << allowed.error().detail;
    }
}

/// Every limit that a comment shows with its default really has that default.
TEST(Examples, CommentedDefaultsAreTheDefaults) {
    std::ifstream in(example("sim.yaml"));
    std::string line;
    std::string limits;
    int shown = 0;
    while (std::getline(in, line)) {
        if (!line.starts_with("  # ") || line.find(": ") == std::string::npos || line[4] < 'a' ||
            line[4] > 'z')
            continue;
        const std::string key = line.substr(4, line.find(':') - 4);
        if (key == "tls" || key == "cors_origins" || key == "keygen_token_file" ||
            key == "ops_listen" || key == "sha256" || key.find(' ') != std::string::npos)
            continue;
        std::string value;
        std::istringstream(line.substr(line.find(':') + 1)) >> value;
        limits += "  " + key + ": " + value + "\n";
        ++shown;
    }
    EXPECT_EQ(shown, 19);
    const auto with = config::load_text(
        "storage: { plugin: s }\ntweak: { plugin: t }\nenclaves: [ { id: 0, transport: { plugin: t "
        "}, attestation: { trust: aws, pcrs: p } } ]\nlimits:\n" +
            limits,
        "shown", "/");
    ASSERT_TRUE(with) << with.error().detail << "\n" << limits;
    const config::Limits standard;
    const config::Limits& l = with->limits;
    EXPECT_EQ(l.max_body_bytes, standard.max_body_bytes);
    EXPECT_EQ(l.max_participants, standard.max_participants);
    EXPECT_EQ(l.timeout_secs_max, standard.timeout_secs_max);
    EXPECT_EQ(l.default_max_signing_sessions, standard.default_max_signing_sessions);
    EXPECT_EQ(l.wait_max_secs, standard.wait_max_secs);
    EXPECT_EQ(l.event_streams_per_client, standard.event_streams_per_client);
    EXPECT_EQ(l.event_streams_total, standard.event_streams_total);
    EXPECT_EQ(l.rate_per_client, standard.rate_per_client);
    EXPECT_EQ(l.rate_burst, standard.rate_burst);
    EXPECT_EQ(l.rate_delay_max, standard.rate_delay_max);
    EXPECT_EQ(l.pending_keygen_sessions_per_client, standard.pending_keygen_sessions_per_client);
    EXPECT_EQ(l.pending_keygen_sessions_total, standard.pending_keygen_sessions_total);
    EXPECT_EQ(l.max_inflight_requests, standard.max_inflight_requests);
    EXPECT_EQ(l.request_deadline, standard.request_deadline);
    EXPECT_EQ(l.enclave_wait_max, standard.enclave_wait_max);
    EXPECT_EQ(l.enclave_retry_max, standard.enclave_retry_max);
    EXPECT_EQ(l.approval_max_validity, standard.approval_max_validity);
    EXPECT_EQ(l.canary_interval, standard.canary_interval);
    EXPECT_EQ(l.canary_max_age, standard.canary_max_age);
}

} // namespace
} // namespace keymeld::test
