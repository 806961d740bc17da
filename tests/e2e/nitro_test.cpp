// The enclave image, booted three times under QEMU and reached over hybrid vsock, with config/nitro-qemu.yaml: the ceremonies, what the
// documents say, an enclave that dies under load, and what is the same for simulated enclaves. The security module is ours (nsm/vhost) and
// signs under a test root; everything inside the machines is the image.
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <regex>
#include <sstream>

#include <boost/asio/steady_timer.hpp>

#include "appliance/demo/independent_verify.h"
#include "appliance/fleet/virtual_enclave.h"
#include "core/attestation/document.h"
#include "core/attestation/eif/image.h"
#include "core/attestation/key_binding.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/secure/random.h"
#include "tests/e2e/harness.h"

namespace keymeld::e2e {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

fs::path source() {
    const char* const folder = std::getenv("KEYMELD_SOURCE_DIR");
    return folder != nullptr ? folder : ".";
}

fs::path from_environment(const char* name, const fs::path& otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? fs::path(text) : otherwise;
}

/// Image and QEMU, where scripts/test-nitro puts them.
fleet::MachineOptions machines() {
    return {from_environment("KEYMELD_NITRO_IMAGE", source() / "build/image/nitro-test"),
            from_environment("KEYMELD_QEMU", source() / ".cache/qemu")};
}

std::string read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Async<void> sleep_for(std::chrono::milliseconds time) {
    boost::asio::steady_timer timer(loop(), time);
    co_await timer.async_wait(boost::asio::use_awaitable);
}
void sleep(std::chrono::milliseconds time) {
    bool done = false;
    boost::asio::co_spawn(loop(), sleep_for(time), [&](std::exception_ptr) { done = true; });
    loop().restart();
    while (!done && loop().run_one() > 0) {
    }
}

class Nitro : public ::testing::Test {
  protected:
    void SetUp() override {
        if (const Status complete = machines().check(); !complete) {
            for (const char* name : {"KEYMELD_NITRO_IMAGE", "KEYMELD_QEMU"})
                ASSERT_EQ(std::getenv(name), nullptr) << name << " is set, but: " << complete.error().detail;
            GTEST_SKIP() << "NOT RUN: " << complete.error().detail << "; scripts/test-nitro makes both";
        }
        if (!s_fleet) {
            fleet::SimFleet::Options options;
            options.machines = machines();
            options.config = source() / "config/nitro-qemu.yaml";
            options.limits = {{"enclave_wait_max", "1s"}, {"enclave_retry_max", "2"}};
            s_fleet = start_fleet(std::move(options));
        }
    }
    void TearDown() override {
        if (HasFailure() && s_fleet)
            std::cerr << s_fleet->logs();
    }
    static void TearDownTestSuite() {
        if (!s_fleet)
            return;
        const Status stopped = s_fleet->shut_down();
        EXPECT_TRUE(stopped) << (stopped ? "" : explain(stopped.error()));
        s_fleet.reset();
    }

    static attestation::PcrSet measured() {
        const std::string file = read(machines().eif());
        return must(eif::Image::read(as_bytes(file)), "reading the image").measure();
    }

    static std::unique_ptr<fleet::SimFleet> s_fleet;
};
std::unique_ptr<fleet::SimFleet> Nitro::s_fleet;

/// The line that names the enclave in the configuration that the appliance runs with, with more keys after it.
void amend_enclave(const fs::path& config, std::uint32_t id, const std::string& more) {
    std::string yaml = read(config);
    const std::string line = "  - id: " + std::to_string(id) + "\n";
    const std::size_t at = yaml.find(line);
    ASSERT_NE(at, std::string::npos);
    yaml.insert(at + line.size(), "    " + more + "\n");
    std::ofstream(config, std::ios::trunc) << yaml;
}

TEST_F(Nitro, DocumentsComeFromTheImagesOwnModuleAndNameTheImage) {
    client::RestClient rest(loop().get_executor(), s_fleet->endpoint());
    const attestation::PcrSet image = measured();
    const auto policy = must(attestation::PcrPolicy::from_file(s_fleet->pcrs()), "reading pcrs.json");
    ASSERT_EQ(policy.entries().size(), 1u);
    for (const auto& [index, value] : image)
        EXPECT_EQ(policy.entries()[0].required.at(index), value) << index.name();
    const attestation::AttestationVerifier verifier(must(attestation::TrustAnchor::from_pem_file(s_fleet->trust_root()), "root"), policy);
    std::vector<std::string> modules;
    std::vector<Bytes> keys;
    for (std::uint32_t id = 0; id < 3; ++id) {
        const ByteArray<32> nonce = secure::random_array<32>();
        const Bytes document = must(run(rest.attestation(id, nonce)), "asking for a document").document;
        attestation::Expectations expected;
        expected.nonce = to_bytes(nonce);
        expected.now_ms = unix_millis();
        const auto verified = must(verifier.verify(document, expected), "verifying");
        for (const auto& [index, value] : image)
            EXPECT_EQ(verified.document().pcrs.at(index), value) << index.name();
        EXPECT_FALSE(verified.hardware());
        EXPECT_EQ(must(attestation::key_binding(verified), "binding").key_epoch, 1u);
        modules.push_back(verified.document().module_id);
        keys.push_back(*verified.document().public_key);
    }
    // Three machines, three modules, three keys.
    for (auto* list : {&modules})
        EXPECT_EQ(std::set<std::string>(list->begin(), list->end()).size(), 3u);
    EXPECT_EQ(std::set<Bytes>(keys.begin(), keys.end()).size(), 3u);
}

TEST_F(Nitro, NeitherAwsNorAnotherImageIsSatisfied) {
    const auto verify = [](std::vector<std::string> more) {
        more.insert(more.begin(), {"attest", "verify", "--enclave", s_fleet->endpoint().text()});
        return run_program("keymeld", more);
    };
    const std::string pcrs = s_fleet->pcrs().string();
    const std::string root = s_fleet->trust_root().string();
    const Outcome good = verify({"--trust", root, "--pcrs", pcrs});
    EXPECT_EQ(good.exit_code, 0) << good.output << good.errors;
    const Outcome aws = verify({"--trust", "aws", "--pcrs", pcrs});
    EXPECT_EQ(aws.exit_code, 1);
    EXPECT_NE(aws.output.find("FAIL  trust_anchor"), std::string::npos) << aws.output;
    // The same kernel and init with another signer: only PCR2 differs.
    const fs::path other = s_fleet->folder() / "other.json";
    std::ofstream(other) << R"({"allowed":[{"name":"next release","PCR1":")" << hex_encode(measured().at(attestation::PcrIndex::of<1>()))
                         << R"(","PCR2":")" << std::string(96, 'a') << "\"}]}";
    const Outcome image = verify({"--trust", root, "--pcrs", other.string()});
    EXPECT_EQ(image.exit_code, 1);
    EXPECT_NE(image.output.find("FAIL  pcr_policy"), std::string::npos) << image.output;
}

TEST_F(Nitro, KeysAreMadeAndSignedWith) {
    Client client(*s_fleet);
    Group group({.size = 4, .policies = {Approval::Header, Approval::Bound}});
    client.make_key(group);
    for (int i = 0; i < 3; ++i)
        client.sign(group);
}

TEST_F(Nitro, TheDatabaseIsThatOfSimulatedEnclaves) {
    const auto simulated = start_fleet({.enclaves = 1});
    const auto schema = [](const fs::path& database) {
        auto child = must(fleet::ChildProcess::start({.name = "sqlite3",
                                                      .program = "/usr/bin/env",
                                                      .arguments = {"sqlite3", database.string(), "pragma user_version", ".schema"},
                                                      .folder = {},
                                                      .log = s_fleet->folder() / "sqlite.log"}),
                          "starting sqlite3");
        EXPECT_TRUE(child.wait_until(steady_clock::now() + 20s));
        EXPECT_TRUE(child.succeeded()) << child.log_tail();
        std::string text = read(s_fleet->folder() / "sqlite.log");
        fs::remove(s_fleet->folder() / "sqlite.log");
        return text;
    };
    const std::string of_simulated = schema(simulated->database());
    EXPECT_NE(of_simulated.find("CREATE TABLE"), std::string::npos) << of_simulated;
    EXPECT_EQ(schema(s_fleet->database()), of_simulated);
}

/// An enclave that is killed and booted again has no disk to find its key on: its peers give it back. What was under way on it is signed, or
/// ends with a reason, and keys that were made before go on signing. Only when all were down at the same time the keys are gone.
TEST_F(Nitro, AnEnclaveThatDiesUnderLoadEndsNoSessionWithoutAReason) {
    Client client(*s_fleet);
    Group group({.policies = {Approval::Header}});
    client.make_key(group);
    client::Ceremony ceremony(client.rest());
    const auto listed = [&] {
        std::vector<std::string> keys;
        for (const auto& entry : must(run(client.rest().enclaves()), "listing the enclaves"))
            keys.push_back(entry.healthy ? entry.public_key_hex : "away");
        return keys;
    };
    const auto wait_for_all = [&] {
        for (int i = 0; i < 200 && std::ranges::count(listed(), "away") != 0; ++i)
            sleep(100ms);
        return listed();
    };
    const auto known = wait_for_all();
    ASSERT_EQ(std::set<std::string>(known.begin(), known.end()).size(), 3u);
    struct Session {
        SigningId id;
        ByteArray<32> message;
    };
    std::vector<Session> sessions;
    for (int i = 0; i < 6; ++i) {
        const auto message = secure::random_array<32>();
        sessions.push_back({must(run(ceremony.create_signing(*group.invitation, group.people[0].user_id, message, 30)), "creating"), message});
    }
    int approved = 0;
    for (std::size_t i = 0; i < sessions.size(); ++i) {
        if (i == 3)
            s_fleet->kill_enclave(1); // those before it may be done or under way, those after it start without it
        const Status status = run(ceremony.approve(*group.invitation, group.people[0], sessions[i].id, sessions[i].message, Approval::Header));
        approved += status ? 1 : 0;
    }
    EXPECT_GE(approved, 3);
    const SteadyTime killed = steady_clock::now();
    must(run(s_fleet->start_enclave(1)), "booting the enclave again");
    std::cout << "booted again in " << std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - killed).count() << " ms\n";

    int completed = 0;
    for (const Session& session : sessions) {
        const auto signature = client.fetch(group, session.id, session.message, 90s);
        if (signature) {
            ++completed;
            continue;
        }
        EXPECT_EQ(signature.error().code, Errc::WrongState) << explain(signature.error());
        const auto last = must(run(client.rest().signing_status(session.id, group.people[0].signing_header())), "status");
        EXPECT_EQ(last.status, "failed");
        ASSERT_TRUE(last.failure) << "a failure without a reason";
        EXPECT_TRUE(last.failure->type == "enclave_unavailable" || last.failure->type == "expired") << last.failure->type;
        EXPECT_FALSE(last.failure->message.empty());
    }
    std::cout << completed << " of " << sessions.size() << " sessions were signed, the others failed with a reason\n";

    // It is who it was, and says so in a line and a number.
    EXPECT_EQ(wait_for_all(), known);
    EXPECT_NE(s_fleet->logs().find("key_recovered enclave=1"), std::string::npos) << s_fleet->logs();
    const std::string metrics = must(run(client.rest().get_text("/metrics")), "metrics");
    EXPECT_NE(metrics.find("keymeld_enclave_key_recoveries_total{enclave_id=\"1\",success=\"true\"} 1"), std::string::npos) << metrics;
    client.sign(group);
    Group two({.size = 2});
    client.make_key(two);
    client.sign(two);

    // All at once: nobody is left who could give a key back, and none is taken for who it is not.
    for (std::uint32_t id = 0; id < 3; ++id)
        s_fleet->kill_enclave(id);
    for (std::uint32_t id = 0; id < 3; ++id)
        must(run(s_fleet->start_enclave(id)), "booting an enclave again");
    EXPECT_TRUE(s_fleet->stop_appliance());
    for (std::uint32_t id = 0; id < 3; ++id)
        ASSERT_NO_FATAL_FAILURE(amend_enclave(s_fleet->config_file(), id, "accept_key_epoch: 1"));
    must(run(s_fleet->start_appliance()), "starting the appliance again");
    must(run(s_fleet->wait_ready(steady_clock::now() + 60s)), "readiness");
    for (const std::string& key : wait_for_all())
        EXPECT_EQ(std::ranges::count(known, key), 0) << key;
    Client later(*s_fleet);
    client::Ceremony old_key(later.rest());
    EXPECT_FALSE(run(old_key.create_signing(*group.invitation, group.people[0].user_id, secure::random_array<32>(), 30)));
    Group fresh({.size = 3});
    later.make_key(fresh);
    later.sign(fresh);
}

/// `keymeld enclave boot` for a person's own appliance: what config/nitro-qemu.yaml names runs until Ctrl-C.
TEST_F(Nitro, EnclavesOfAConfigurationAreBootedByACommand) {
    TearDownTestSuite(); // its machines would run beside this one
    const auto folder = must(fleet::TemporaryFolder::make("keymeld-boot"), "making a folder");
    fs::create_directories(folder.path() / "config");
    fs::create_directories(folder.path() / "var");
    fs::copy(machines().image, folder.path() / "var/nitro-qemu", fs::copy_options::recursive);
    const fs::path config = folder.path() / "config/one.yaml";
    std::string yaml = read(source() / "config/nitro-qemu.yaml");
    for (const char* id : {"  - id: 1\n", "  - id: 2\n"})
        yaml.insert(yaml.find(id) + std::string_view(id).size(), "    enabled: false\n");
    std::ofstream(config) << yaml;
    const auto boot = [&](const std::string& file) {
        return must(fleet::ChildProcess::start({.name = "keymeld enclave boot",
                                                .program = programs() / "keymeld",
                                                .arguments = {"enclave", "boot", "--config", file, "--qemu", machines().qemu.string()},
                                                .folder = {},
                                                .log = folder.path() / "boot.log"}),
                    "starting");
    };
    auto child = boot(config.string());
    Outcome listed;
    for (int i = 0; i < 240 && listed.exit_code != 0; ++i) {
        ASSERT_FALSE(child.wait_until(steady_clock::now() + 250ms)) << child.log_tail();
        if (fs::exists(folder.path() / "var/nitro-qemu/enclave-0/v.sock"))
            listed = run_program("keymeld", {"enclave", "list", "--config", config.string()});
    }
    EXPECT_EQ(listed.exit_code, 0) << listed.output << child.log_tail();
    EXPECT_NE(listed.output.find("attested as \"keymeld-enclave-test"), std::string::npos) << listed.output;
    child.send_signal(SIGINT);
    ASSERT_TRUE(child.wait_until(steady_clock::now() + 15s)) << child.log_tail();
    EXPECT_TRUE(child.succeeded()) << child.status_text() << child.log_tail();
    EXPECT_EQ(processes_with(folder.path().string()), std::vector<std::string>());

    for (const auto& [file, reason] : {std::pair{"sim.yaml", "is not reached over vsock"}, std::pair{"nitro.yaml", "trusts the AWS root"}}) {
        auto refused = boot((source() / "config" / file).string());
        ASSERT_TRUE(refused.wait_until(steady_clock::now() + 15s));
        EXPECT_FALSE(refused.succeeded());
        EXPECT_NE(refused.log_tail().find(reason), std::string::npos) << refused.log_tail();
    }
}

/// `keymeld demo --image`, as scripts/demo --nitro-qemu runs it: with a Bitcoin node it ends in a mined transaction.
TEST_F(Nitro, TheDemoMinesASpend) {
    const fs::path node = from_environment("KEYMELD_BITCOIND", source() / ".cache/bitcoind/bitcoind");
    if (!fs::exists(node))
        GTEST_SKIP() << "NOT RUN: there is no bitcoind at " << node << "; scripts/get-bitcoind fetches one, or set KEYMELD_BITCOIND";
    TearDownTestSuite(); // its machines would run beside those of the demo
    const auto folder = must(fleet::TemporaryFolder::make("keymeld-nitro-demo"), "making a folder");
    const Outcome outcome = run_program("keymeld",
                                        {"demo", "--image", machines().image.string(), "--qemu", machines().qemu.string(), "--bitcoin",
                                         "--bitcoind", node.string()},
                                        {"TMPDIR=" + folder.path().string()});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.errors;
    static const std::regex kForm("DEMO OK signature=([0-9a-f]{128}) key=([0-9a-f]{64}) message=([0-9a-f]{64})");
    std::smatch parts;
    const std::string line = outcome.last_line();
    ASSERT_TRUE(std::regex_match(line, parts, kForm)) << outcome.output;
    EXPECT_TRUE(demo::independent::verify_bip340(must(hex_decode(parts[1].str()), "signature"), must(hex_decode(parts[3].str()), "message"),
                                                 must(hex_decode(parts[2].str()), "key")));
    EXPECT_NE(outcome.errors.find("3 enclave images in virtual machines"), std::string::npos) << outcome.errors;
    EXPECT_NE(outcome.errors.find("mined at height "), std::string::npos) << outcome.errors;
    EXPECT_TRUE(fs::is_empty(folder.path()));
    EXPECT_EQ(processes_with(folder.path().string()), std::vector<std::string>());
}

} // namespace
} // namespace keymeld::e2e
