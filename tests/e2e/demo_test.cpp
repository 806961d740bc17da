// What scripts/demo runs, as a person runs it: its last line holds a signature that verifies, and it leaves nothing behind.
#include <signal.h>

#include <cstdlib>
#include <regex>

#include "appliance/demo/independent_verify.h"
#include "appliance/json/document.h"
#include "core/base/hex.h"
#include "tests/e2e/harness.h"

namespace keymeld::e2e {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

void expect_valid(const std::string& signature, const std::string& key, const std::string& message) {
    const Status verified = demo::independent::verify_bip340(must(hex_decode(signature), "signature"), must(hex_decode(message), "message"),
                                                             must(hex_decode(key), "key"));
    EXPECT_TRUE(verified) << signature << " " << key << " " << message;
}

void expect_good_last_line(const Outcome& outcome) {
    ASSERT_EQ(outcome.exit_code, 0) << outcome.errors;
    static const std::regex kForm("DEMO OK signature=([0-9a-f]{128}) key=([0-9a-f]{64}) message=([0-9a-f]{64})");
    std::smatch parts;
    const std::string line = outcome.last_line();
    ASSERT_TRUE(std::regex_match(line, parts, kForm)) << outcome.output;
    expect_valid(parts[1], parts[2], parts[3]);
}

/// A place for temporary files of one test, which must be empty in the end.
class DemoTest : public ::testing::Test {
  protected:
    std::string environment() const { return "TMPDIR=" + m_folder.path().string(); }
    void expect_nothing_left() const {
        EXPECT_TRUE(fs::is_empty(m_folder.path()));
        EXPECT_EQ(processes_with(m_folder.path().string()), std::vector<std::string>());
    }
    Outcome demo(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), "demo");
        return run_program("keymeld", arguments, {environment()});
    }

    fleet::TemporaryFolder m_folder = must(fleet::TemporaryFolder::make("keymeld-demo-test"), "making a folder");
};

TEST_F(DemoTest, DefaultsShowEachPhaseAndEndInASignature) {
    const Outcome outcome = demo({});
    expect_good_last_line(outcome);
    EXPECT_EQ(outcome.lines().size(), 1u) << "progress belongs on standard error";
    for (const char* phase : {"start", "attestation", "keygen", "registration", "aggregate key", "signing session", "approvals", "signature",
                              "verification", "clean-up"})
        EXPECT_NE(outcome.errors.find(std::string("ok  ") + phase), std::string::npos) << phase << " is not shown:\n" << outcome.errors;
    expect_nothing_left();
}

TEST_F(DemoTest, OtherSizesAndTweaks) {
    expect_good_last_line(demo({"--participants", "2", "--enclaves", "1", "--quiet"}));
    expect_good_last_line(demo({"--participants", "10", "--enclaves", "5", "--tweak", "none"}));
    expect_good_last_line(demo({"--participants", "4", "--enclaves", "2", "--tweak", "plain_tweak"}));
    expect_nothing_left();
}

TEST_F(DemoTest, Json) {
    const Outcome outcome = demo({"--json", "--tweak", "x_only_tweak"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.errors;
    ASSERT_EQ(outcome.lines().size(), 1u) << outcome.output;
    const auto document = must(json::Document::parse(outcome.last_line()), "parsing");
    const auto object = must(document.object(), "parsing");
    EXPECT_TRUE(must(object.required_boolean("ok"), "ok"));
    expect_valid(must(object.text("signature", 200), "signature"), must(object.text("key", 200), "key"),
                 must(object.text("message", 200), "message"));
    EXPECT_EQ(must(object.objects("participants", 10), "participants").size(), 3u);
    expect_nothing_left();
}

TEST_F(DemoTest, ABadOptionIsExplained) {
    const Outcome tweak = demo({"--tweak", "sideways"});
    EXPECT_EQ(tweak.exit_code, 1);
    EXPECT_NE(tweak.errors.find("unspendable_taproot"), std::string::npos) << tweak.errors;
    const Outcome count = demo({"--participants", "1"});
    EXPECT_EQ(count.exit_code, 2);
    const Outcome node = demo({"--bitcoin", "--bitcoind", "/nonexistent/bitcoind"});
    EXPECT_EQ(node.exit_code, 1);
    EXPECT_NE(node.errors.find("scripts/get-bitcoind"), std::string::npos) << node.errors;
    EXPECT_EQ(node.output, "");
    expect_nothing_left();
}

TEST_F(DemoTest, CtrlCLeavesNothing) {
    // At moments spread over its life, start-up included.
    for (const auto moment : {30ms, 120ms, 300ms, 700ms, 1100ms}) {
        SCOPED_TRACE(moment.count());
        auto child = must(fleet::ChildProcess::start({.name = "demo",
                                                      .program = "/usr/bin/env",
                                                      .arguments = {environment(), (programs() / "keymeld").string(), "demo", "--participants", "200"},
                                                      .folder = {},
                                                      .log = m_folder.path() / "log"}),
                          "starting the demo");
        EXPECT_FALSE(child.wait_until(steady_clock::now() + moment)) << "it was too fast to be interrupted\n" << child.log_tail();
        child.send_signal(SIGINT);
        ASSERT_TRUE(child.wait_until(steady_clock::now() + 15s)) << child.log_tail();
        // Very early the signal finds the default action.
        EXPECT_TRUE(child.status_text() == "exit code 130" || child.status_text() == "killed by signal 2") << child.status_text();
        fs::remove(m_folder.path() / "log");
        expect_nothing_left();
    }
}

TEST_F(DemoTest, EvenKillMinusNineLeavesNoProcess) {
    auto child = must(fleet::ChildProcess::start({.name = "demo",
                                                  .program = "/usr/bin/env",
                                                  .arguments = {environment(), (programs() / "keymeld").string(), "demo", "--participants", "200"},
                                                  .folder = {},
                                                  .log = m_folder.path() / "log"}),
                      "starting the demo");
    const SteadyTime limit = steady_clock::now() + 30s;
    while (processes_with("serve --config " + m_folder.path().string()).empty() && steady_clock::now() < limit)
        ASSERT_FALSE(child.wait_until(steady_clock::now() + 20ms)) << child.log_tail();
    child.kill();
    // The kernel has been told; give it a moment.
    for (int i = 0; i < 100 && !processes_with(m_folder.path().string()).empty(); ++i)
        ::usleep(20'000);
    EXPECT_EQ(processes_with(m_folder.path().string()), std::vector<std::string>());
}

TEST_F(DemoTest, MinesARealTransaction) {
    const char* const given = std::getenv("KEYMELD_BITCOIND");
    const char* const source = std::getenv("KEYMELD_SOURCE_DIR");
    const fs::path node = given != nullptr ? fs::path(given) : fs::path(source != nullptr ? source : ".") / ".cache/bitcoind/bitcoind";
    if (!fs::exists(node))
        GTEST_SKIP() << "NOT RUN: there is no bitcoind at " << node << "; scripts/get-bitcoind fetches one, or set KEYMELD_BITCOIND";
    const Outcome outcome = demo({"--bitcoin", "--bitcoind", node.string()});
    expect_good_last_line(outcome);
    EXPECT_NE(outcome.errors.find("txid "), std::string::npos) << outcome.errors;
    EXPECT_NE(outcome.errors.find("mined at height "), std::string::npos) << outcome.errors;
    expect_nothing_left();
}

} // namespace
} // namespace keymeld::e2e
