// The commands for people at a shell, as processes: files, output, exit codes, refusals.
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "appliance/demo/independent_verify.h"
#include "appliance/json/document.h"
#include "core/base/hex.h"
#include "tests/e2e/harness.h"

namespace keymeld::e2e {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr const char* kMessage = "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89";

/// A member of the JSON object on the last line.
std::string member(const Outcome& outcome, std::string_view name) {
    const auto document = must(json::Document::parse(outcome.last_line()), "parsing '" + outcome.last_line() + "' " + outcome.errors);
    return must(must(document.object(), "parsing").text(name, 4096), std::string(name));
}

class Cli : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { s_fleet = start_fleet(); }
    static void TearDownTestSuite() {
        EXPECT_EQ(s_fleet->casualties(), "");
        s_fleet.reset();
    }

    fs::path file(std::string_view name) const { return m_folder.path() / name; }
    Outcome keymeld(std::vector<std::string> arguments) const { return run_program("keymeld", arguments); }
    /// A command that talks to the fleet, with --json.
    Outcome ask(std::vector<std::string> arguments) const {
        arguments.insert(arguments.end(), {"--url", s_fleet->endpoint().text(), "--json"});
        return keymeld(std::move(arguments));
    }
    std::vector<std::string> trust() const { return {"--trust", s_fleet->trust_root().string(), "--pcrs", s_fleet->pcrs().string()}; }
    Outcome ask_with_trust(std::vector<std::string> arguments) const {
        for (std::string& word : trust())
            arguments.push_back(std::move(word));
        return ask(std::move(arguments));
    }
    std::string new_key(std::string_view name) const {
        const Outcome made = keymeld({"keygen", "new-key", file(name).string(), "--json"});
        EXPECT_EQ(made.exit_code, 0) << made.errors;
        return member(made, "user_id");
    }

    static std::unique_ptr<fleet::SimFleet> s_fleet;
    fleet::TemporaryFolder m_folder = must(fleet::TemporaryFolder::make("keymeld-cli-test"), "making a folder");
};
std::unique_ptr<fleet::SimFleet> Cli::s_fleet;

TEST_F(Cli, ThreePeopleMakeAKeyAndSign) {
    new_key("alice");
    const std::string bob = new_key("bob");
    const std::string carol = new_key("carol");
    struct stat info {};
    ASSERT_EQ(::stat(file("alice").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);

    const Outcome created =
        ask_with_trust({"keygen", "create", "--key", file("alice").string(), "--participant", bob, "--participant", carol, "--approval", "bound",
                        "--invitation-out", file("invitation").string()});
    ASSERT_EQ(created.exit_code, 0) << created.errors;
    EXPECT_EQ(member(created, "status"), "collecting_participants");
    ASSERT_EQ(::stat(file("invitation").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);

    const std::string invitation = file("invitation").string();
    const Outcome early = ask({"keygen", "status", "--key", file("bob").string(), "--invitation", invitation, "--wait", "1"});
    EXPECT_EQ(early.exit_code, 1) << "two of three have not registered";
    EXPECT_NE(early.errors.find("1 of 3"), std::string::npos) << early.errors;
    for (const char* who : {"bob", "carol"}) {
        const Outcome joined = ask_with_trust({"keygen", "join", "--key", file(who).string(), "--invitation", invitation, "--approval",
                                               std::string(who) == "bob" ? "header" : "none"});
        ASSERT_EQ(joined.exit_code, 0) << joined.errors;
    }
    const Outcome done = ask({"keygen", "status", "--key", file("alice").string(), "--invitation", invitation, "--wait", "30"});
    ASSERT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(member(done, "status"), "completed");
    const std::string key = member(done, "x_only_key");

    const Outcome asked = ask({"sign", "create", "--key", file("carol").string(), "--invitation", invitation, "--message", kMessage});
    ASSERT_EQ(asked.exit_code, 0) << asked.errors;
    const std::string session = member(asked, "signing_session_id");
    const Outcome waiting = ask({"sign", "status", "--key", file("carol").string(), "--session", session});
    EXPECT_EQ(waiting.exit_code, 0) << waiting.errors;
    EXPECT_EQ(member(waiting, "status"), "collecting_participants");
    const Outcome impatient = ask({"sign", "status", "--key", file("carol").string(), "--session", session, "--wait", "1"});
    EXPECT_EQ(impatient.exit_code, 1);

    // Alice asked for bound approvals: a header is not enough, nor is another message.
    EXPECT_EQ(ask({"sign", "approve", "--key", file("alice").string(), "--invitation", invitation, "--session", session, "--form", "header"}).exit_code, 1);
    EXPECT_EQ(ask({"sign", "approve", "--key", file("alice").string(), "--invitation", invitation, "--session", session, "--message",
                   std::string(64, '1')}).exit_code, 1);
    const Outcome bound =
        ask({"sign", "approve", "--key", file("alice").string(), "--invitation", invitation, "--session", session, "--message", kMessage});
    ASSERT_EQ(bound.exit_code, 0) << bound.errors;
    const Outcome header =
        ask({"sign", "approve", "--key", file("bob").string(), "--invitation", invitation, "--session", session, "--form", "header"});
    ASSERT_EQ(header.exit_code, 0) << header.errors;

    const Outcome signature = ask({"sign", "status", "--key", file("carol").string(), "--session", session, "--invitation", invitation,
                                   "--message", kMessage, "--wait", "30"});
    ASSERT_EQ(signature.exit_code, 0) << signature.errors;
    EXPECT_EQ(member(signature, "x_only_key"), key);
    EXPECT_TRUE(demo::independent::verify_bip340(must(hex_decode(member(signature, "signature")), "signature"),
                                                 must(hex_decode(kMessage), "message"), must(hex_decode(key), "key")));

    // Once more, in one command, while the approvals come from other shells.
    const Outcome second = ask({"sign", "create", "--key", file("carol").string(), "--invitation", invitation, "--message", kMessage});
    const std::string other = member(second, "signing_session_id");
    const Outcome rejected = ask({"sign", "reject", "--key", file("bob").string(), "--session", other});
    EXPECT_EQ(rejected.exit_code, 0) << rejected.errors;
    const Outcome failed = ask({"sign", "status", "--key", file("carol").string(), "--session", other});
    EXPECT_EQ(failed.exit_code, 1) << "a failed session is no success";
    EXPECT_EQ(member(failed, "status"), "failed");
}

TEST_F(Cli, SingleKeysFromGenerationToDeletion) {
    const Outcome made = ask_with_trust({"key", "generate", "--key-out", file("hot").string(), "--label", "hot wallet"});
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    struct stat info {};
    ASSERT_EQ(::stat(file("hot").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    const std::string key = member(made, "public_key");
    EXPECT_EQ(ask_with_trust({"key", "generate", "--key-out", file("hot").string()}).exit_code, 1) << "the file is there";
    EXPECT_NE(ask({"key", "generate", "--key-out", file("cold").string()}).exit_code, 0) << "no enclave is believed unasked";
    const Outcome doubted = ask({"key", "generate", "--key-out", file("cold").string(), "--trust", "aws", "--pcrs", s_fleet->pcrs().string()});
    EXPECT_EQ(doubted.exit_code, 1) << "a simulator is no AWS enclave";
    EXPECT_FALSE(fs::exists(file("cold")));

    // A disk that is full when the key is made: what cannot be used does not stay either.
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit full{0, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
    const Outcome lost = ask_with_trust({"key", "generate", "--key", file("hot").string(), "--key-out", file("lost").string()});
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(lost.exit_code, 1) << "its standard error is a file too, so it cannot say why";
    EXPECT_FALSE(fs::exists(file("lost")));
    EXPECT_EQ(keymeld({"key", "list", "--key", file("hot").string(), "--url", s_fleet->endpoint().text()}).lines().size(), 1u);

    const auto sign = [&](const char* name, std::vector<std::string> more) {
        std::vector<std::string> arguments{"key", "sign", "--key", file(name).string(), "--message", kMessage};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return ask_with_trust(arguments);
    };
    const Outcome ecdsa = sign("hot", {});
    ASSERT_EQ(ecdsa.exit_code, 0) << ecdsa.errors;
    EXPECT_EQ(member(ecdsa, "signature").size(), 128u);
    const Outcome schnorr = sign("hot", {"--type", "schnorr_bip340"});
    ASSERT_EQ(schnorr.exit_code, 0) << schnorr.errors;
    EXPECT_TRUE(demo::independent::verify_bip340(must(hex_decode(member(schnorr, "signature")), "signature"),
                                                 must(hex_decode(kMessage), "message"), must(hex_decode(key.substr(2)), "key")));
    EXPECT_EQ(sign("hot", {"--taproot", "unspendable_taproot"}).exit_code, 1) << "ECDSA has no taproot";
    EXPECT_EQ(sign("hot", {"--type", "schnorr_bip340", "--taproot", "unspendable_taproot"}).exit_code, 0);

    const Outcome second = ask_with_trust({"key", "generate", "--key", file("hot").string(), "--key-out", file("narrow").string(), "--allow", "ecdsa"});
    ASSERT_EQ(second.exit_code, 0) << second.errors;
    const Outcome refused = sign("narrow", {"--type", "schnorr_bip340"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.errors.find("not allowed"), std::string::npos) << refused.errors;
    new_key("alice");
    ASSERT_EQ(ask_with_trust({"key", "import", "--from", file("alice").string(), "--key-out", file("imported").string()}).exit_code, 0);
    EXPECT_EQ(sign("imported", {}).exit_code, 0);

    const Outcome listed = keymeld({"key", "list", "--key", file("hot").string(), "--url", s_fleet->endpoint().text()});
    ASSERT_EQ(listed.exit_code, 0) << listed.errors;
    EXPECT_EQ(listed.lines().size(), 2u) << "the second has the same owner, the imported one has not\n" << listed.output;
    EXPECT_NE(listed.output.find(key + "  ecdsa,schnorr_bip340  hot wallet"), std::string::npos) << listed.output;
    EXPECT_EQ(member(ask({"key", "status", "--key", file("hot").string()}), "status"), "completed");
    EXPECT_EQ(ask({"key", "delete", "--key", file("hot").string()}).exit_code, 0);
    EXPECT_EQ(ask({"key", "status", "--key", file("hot").string()}).exit_code, 1);
    EXPECT_EQ(sign("hot", {}).exit_code, 1);
    fs::permissions(file("narrow"), fs::perms::group_read, fs::perm_options::add);
    EXPECT_EQ(ask({"key", "status", "--key", file("narrow").string()}).exit_code, 1) << "others can read it";
}

TEST_F(Cli, TextOutputIsForPeople) {
    const std::string alice = new_key("alice");
    const std::string bob = new_key("bob");
    auto arguments = trust();
    arguments.insert(arguments.begin(),
                     {"keygen", "create", "--url", s_fleet->endpoint().text(), "--key", file("alice").string(), "--participant", bob,
                      "--invitation-out", file("invitation").string()});
    const Outcome created = keymeld(arguments);
    ASSERT_EQ(created.exit_code, 0) << created.errors;
    EXPECT_TRUE(std::regex_search(created.output, std::regex("session: [0-9a-f-]{36}\n"))) << created.output;
    EXPECT_NE(created.output.find("simulator"), std::string::npos) << "a simulated enclave must be called one";
    EXPECT_NE(created.errors.find("ok  register"), std::string::npos) << created.errors;
    auto join = trust();
    join.insert(join.begin(), {"keygen", "join", "--url", s_fleet->endpoint().text(), "--key", file("bob").string(), "--invitation",
                               file("invitation").string(), "--wait", "30"});
    const Outcome joined = keymeld(join);
    ASSERT_EQ(joined.exit_code, 0) << joined.errors;
    EXPECT_TRUE(std::regex_search(joined.output, std::regex("x_only_key: [0-9a-f]{64}\n"))) << joined.output;
    const Outcome signature =
        keymeld({"sign", "create", "--url", s_fleet->endpoint().text(), "--key", file("alice").string(), "--invitation",
                 file("invitation").string(), "--message", kMessage, "--wait", "30"});
    ASSERT_EQ(signature.exit_code, 0) << signature.errors;
    EXPECT_TRUE(std::regex_search(signature.output, std::regex("signature: [0-9a-f]{128}\n"))) << signature.output;
}

TEST_F(Cli, AttestationCannotBeSwitchedOff) {
    const std::string alice = new_key("alice");
    const std::string bob = new_key("bob");
    const std::vector<std::string> create{"keygen", "create", "--key", file("alice").string(), "--participant", bob, "--invitation-out",
                                          file("invitation").string()};
    const Outcome without = ask(create);
    EXPECT_EQ(without.exit_code, 2);
    EXPECT_NE(without.errors.find("--trust"), std::string::npos) << without.errors;

    auto aws = create;
    aws.insert(aws.end(), {"--trust", "aws", "--pcrs", s_fleet->pcrs().string()});
    const Outcome refused = ask(aws);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.errors.find("trust_anchor"), std::string::npos) << refused.errors;

    std::ofstream(file("pcrs.json")) << R"({"allowed":[{"name":"another image","PCR0":")" << std::string(96, 'a') << "\"}]}";
    auto other_image = create;
    other_image.insert(other_image.end(), {"--trust", s_fleet->trust_root().string(), "--pcrs", file("pcrs.json").string()});
    const Outcome wrong_image = ask(other_image);
    EXPECT_EQ(wrong_image.exit_code, 1);
    EXPECT_NE(wrong_image.errors.find("pcr_policy"), std::string::npos) << wrong_image.errors;
    EXPECT_FALSE(fs::exists(file("invitation"))) << "nothing was created";
}

TEST_F(Cli, KeyFilesAreKeptPrivate) {
    const std::string alice = new_key("alice");
    const std::string bob = new_key("bob");
    const Outcome again = keymeld({"keygen", "new-key", file("alice").string()});
    EXPECT_EQ(again.exit_code, 1) << "an existing key is never overwritten";
    ASSERT_EQ(::chmod(file("bob").c_str(), 0644), 0);
    const Outcome open = ask({"sign", "status", "--key", file("bob").string(), "--session", alice});
    EXPECT_EQ(open.exit_code, 1);
    EXPECT_NE(open.errors.find("chmod 600"), std::string::npos) << open.errors;
    // No secret in any output, nor is there an option that takes one.
    std::ostringstream content;
    content << std::ifstream(file("alice")).rdbuf();
    const std::string text = content.str();
    const auto at = text.find("private_key: ");
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ((again.output + again.errors).find(text.substr(at + 13, 64)), std::string::npos);
}

TEST_F(Cli, MistakesAreExplainedAndFail) {
    const std::string alice = new_key("alice");
    const auto fails = [&](std::vector<std::string> arguments, int code, std::string_view says) {
        const Outcome outcome = ask(std::move(arguments));
        EXPECT_EQ(outcome.exit_code, code) << outcome.errors;
        EXPECT_NE(outcome.errors.find(says), std::string::npos) << "wanted '" << says << "' in: " << outcome.errors;
    };
    fails({"sign", "status", "--key", file("alice").string(), "--session", "nonsense"}, 1, "is no UUID");
    fails({"sign", "status", "--key", file("alice").string(), "--session", alice}, 1, "");
    fails({"sign", "status", "--key", file("missing").string(), "--session", alice}, 1, "No such file");
    fails({"sign", "create", "--key", file("alice").string(), "--invitation", file("alice").string(), "--message", kMessage}, 1,
          "is not a keymeld-invitation-v1 file");
    fails({"sign", "create", "--key", file("alice").string(), "--invitation", file("alice").string(), "--message", "00"}, 1, "64 hex digits");
    fails({"sign", "create", "--key", file("alice").string()}, 2, "--invitation");
    const Outcome nobody = keymeld({"sign", "status", "--url", "http://127.0.0.1:1", "--key", file("alice").string(), "--session", alice});
    EXPECT_EQ(nobody.exit_code, 1);
    EXPECT_NE(nobody.errors.find("connecting to http://127.0.0.1:1"), std::string::npos) << nobody.errors;
    for (const char* command : {"demo", "keygen create", "keygen join", "keygen status", "keygen new-key", "sign create", "sign approve",
                                "sign reject", "sign status", "bench sign", "bench single", "bench idle", "enclave simulate"}) {
        std::vector<std::string> words;
        std::istringstream in(command);
        for (std::string word; in >> word;)
            words.push_back(word);
        words.push_back("--help");
        const Outcome help = keymeld(words);
        EXPECT_EQ(help.exit_code, 0) << command;
        EXPECT_NE(help.output.find("Example"), std::string::npos) << command << " --help has no example";
    }
}

TEST_F(Cli, BenchReportsWhatItMeasured) {
    const Outcome outcome = keymeld({"bench", "sign", "--sessions", "60", "--warm-up", "10", "--concurrency", "4", "--keys", "2",
                                     "--participants", "3", "--enclaves", "2", "--json"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.errors;
    const auto document = must(json::Document::parse(outcome.last_line()), "parsing");
    const auto object = must(document.object(), "parsing");
    EXPECT_EQ(must(object.number("sessions", 0, 1000), "sessions"), 60u);
    EXPECT_EQ(must(object.number("signatures_verified", 0, 1000), "verified"), 60u);
    for (const char* name : {"latency_ms", "cpu_us_per_session", "plain_libsecp256k1_cpu_us", "ratio"})
        EXPECT_TRUE(object.object(name)) << name;

    // Against an appliance that runs already; its CPU time is not seen, and a sample of the signatures is verified.
    auto remote = trust();
    remote.insert(remote.begin(), {"bench", "sign", "--url", s_fleet->endpoint().text(), "--sessions", "40", "--warm-up", "0",
                                   "--verify-every", "10", "--load", "0.5", "--json", "--quiet"});
    const Outcome there = keymeld(remote);
    ASSERT_EQ(there.exit_code, 0) << there.errors;
    EXPECT_NE(there.output.find("\"signatures_verified\":4,"), std::string::npos) << there.output;
    EXPECT_EQ(there.output.find("\"ratio\""), std::string::npos) << there.output;
    // And as many again by the clock, at half of the rate.
    EXPECT_NE(there.output.find("\"paced\":{\"sessions\":40,\"signatures_verified\":4,"), std::string::npos) << there.output;
    EXPECT_NE(there.output.find("\"share_of_saturated\":0.500,"), std::string::npos) << there.output;
    const Outcome both = keymeld({"bench", "sign", "--load", "0.5", "--rate", "100"});
    EXPECT_EQ(both.exit_code, 2) << both.output;

    const Outcome idle = keymeld({"bench", "idle", "--sessions", "5", "--seconds", "1", "--json", "--quiet"});
    ASSERT_EQ(idle.exit_code, 0) << idle.errors;
    EXPECT_NE(idle.output.find("\"with_sessions\""), std::string::npos) << idle.output;
}

TEST_F(Cli, BenchSignsWithSingleKeys) {
    const Outcome outcome = keymeld({"bench", "single", "--signatures", "40", "--warm-up", "5", "--concurrency", "4", "--keys", "3", "--batch", "8",
                                     "--enclaves", "2", "--json", "--quiet"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.errors;
    const auto document = must(json::Document::parse(outcome.last_line()), "parsing");
    const auto object = must(document.object(), "parsing");
    const auto rows = must(object.objects("measured", 16), "measured");
    ASSERT_EQ(rows.size(), 6u) << "two types of signature, three ways to ask for them";
    std::set<std::string> kinds;
    for (const json::Object& row : rows) {
        const std::string way = must(row.text("way", 16), "way");
        kinds.insert(must(row.text("signature_type", 32), "type") + " " + way);
        EXPECT_EQ(must(row.number("signatures_verified", 0, 1000), "verified"), 40u) << way;
        EXPECT_EQ(must(row.number("requests", 0, 1000), "requests"), way == "batch" ? 5u : 40u);
        EXPECT_TRUE(row.object("cpu_us_per_signature")) << way;
    }
    EXPECT_EQ(kinds.size(), 6u);
    const Outcome odd = keymeld({"bench", "single", "--batch", "101"});
    EXPECT_EQ(odd.exit_code, 2);
    EXPECT_NE(odd.errors.find("--batch"), std::string::npos) << odd.errors;
}

TEST_F(Cli, BenchOffersMoreThanIsDone) {
    const Outcome outcome = keymeld({"bench", "overload", "--sessions", "60", "--seconds", "1", "--factor", "4", "--in-flight", "128", "--enclaves",
                                     "2", "--json", "--quiet"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.errors;
    const auto document = must(json::Document::parse(outcome.last_line()), "parsing");
    const auto object = must(document.object(), "parsing");
    const auto count = [&](std::string_view name) { return must(object.number(name, 0, 1'000'000), name); };
    EXPECT_EQ(count("refused_otherwise"), 0u) << outcome.output;
    EXPECT_EQ(count("lost"), 0u) << outcome.output;
    EXPECT_GT(count("completed"), 0u);
    EXPECT_EQ(count("signatures_verified"), count("completed"));
    EXPECT_EQ(count("offered"), count("accepted") + count("refused_503_with_retry_after") + count("refused_429_with_retry_after"));
}

TEST_F(Cli, BenchComparesALargeDatabaseWithAnEmptyOne) {
    const Outcome outcome = keymeld({"bench", "scale", "--signers", "2,4", "--work", "40", "--stored", "700", "--alone", "10", "--enclaves", "2",
                                     "--json", "--quiet"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.errors;
    const auto document = must(json::Document::parse(outcome.last_line()), "parsing");
    const auto object = must(document.object(), "parsing");
    const auto points = must(object.objects("growth", 8), "growth");
    ASSERT_EQ(points.size(), 2u);
    EXPECT_EQ(must(points[1].number("signers", 0, 100), "signers"), 4u);
    const auto database = must(object.object("database"), "database");
    EXPECT_EQ(must(database.number("completed_keygens", 0, 10'000), "keygens"), 700u);
    for (const char* name : {"latency_alone_empty_ms", "latency_alone_full_ms", "latency_ratio"})
        EXPECT_TRUE(database.object(name)) << name;
}

/// The newcomer's start: `enclave simulate` in one shell, `serve` in another, with the example configuration.
TEST_F(Cli, SimulateAndServeAsTheExampleSays) {
    const char* const source = std::getenv("KEYMELD_SOURCE_DIR");
    ASSERT_NE(source, nullptr);
    std::ostringstream content;
    content << std::ifstream(fs::path(source) / "config/sim.yaml").rdbuf();
    std::string yaml = content.str();
    ASSERT_FALSE(yaml.empty());
    // Only the ports are changed: other tests run beside this one.
    std::vector<fleet::ReservedPort> ports;
    for (const char* fixed : {"port: 5000", "port: 5001", "port: 5002", "127.0.0.1:8080"}) {
        ports.push_back(must(fleet::ReservedPort::take(), "reserving a port"));
        const auto at = yaml.find(fixed);
        ASSERT_NE(at, std::string::npos) << fixed;
        const std::string text(fixed);
        yaml.replace(at, text.size(), text.substr(0, text.find(text.starts_with("port") ? "5" : "8080")) + std::to_string(ports.back().number()));
    }
    fs::create_directory(file("config"));
    std::ofstream(file("config") / "sim.yaml") << yaml;
    const std::string config = (file("config") / "sim.yaml").string();

    const auto start = [&](std::vector<std::string> arguments, std::string_view log) {
        return must(fleet::ChildProcess::start({.name = arguments.front(),
                                                .program = programs() / "keymeld",
                                                .arguments = arguments,
                                                .folder = m_folder.path(),
                                                .log = file(log)}),
                    "starting keymeld");
    };
    auto simulate = start({"enclave", "simulate", "--config", config}, "simulate.log");
    const SteadyTime limit = steady_clock::now() + 30s;
    while (simulate.log_tail().find("keymeld serve --config") == std::string::npos) {
        ASSERT_FALSE(simulate.wait_until(steady_clock::now() + 20ms)) << simulate.log_tail();
        ASSERT_LT(steady_clock::now(), limit) << simulate.log_tail();
    }
    EXPECT_TRUE(fs::exists(file("var/sim/root.pem")));
    EXPECT_TRUE(fs::exists(file("var/sim/enclave-2.identity")));
    auto serve = start({"serve", "--config", config}, "serve.log");
    client::Endpoint endpoint;
    endpoint.port = ports.back().number();
    client::RestClient rest(loop().get_executor(), endpoint);
    while (!run(rest.ready())) {
        ASSERT_FALSE(serve.wait_until(steady_clock::now() + 50ms)) << serve.log_tail();
        ASSERT_LT(steady_clock::now(), limit) << serve.log_tail();
    }
    const Outcome signed_there = keymeld({"bench", "sign", "--url", endpoint.text(), "--trust", file("var/sim/root.pem").string(), "--pcrs",
                                          file("var/sim/pcrs.json").string(), "--sessions", "3", "--warm-up", "0", "--keys", "1", "--quiet"});
    EXPECT_EQ(signed_there.exit_code, 0) << signed_there.errors;
    serve.stop(10s);
    EXPECT_TRUE(serve.succeeded()) << serve.status_text() << serve.log_tail();
    simulate.send_signal(SIGINT);
    ASSERT_TRUE(simulate.wait_until(steady_clock::now() + 10s));
    EXPECT_TRUE(simulate.succeeded()) << simulate.status_text();
    EXPECT_EQ(processes_with(m_folder.path().string()), std::vector<std::string>());
}

} // namespace
} // namespace keymeld::e2e
