// `keymeld attest verify` as a process, over enclaves that run and over documents in files; and that no command that sends a key can be
// talked out of the same checks.
#include <sys/stat.h>

#include <fstream>

#include "appliance/json/document.h"
#include "core/base/base64.h"
#include "core/base/hex.h"
#include "core/secure/random.h"
#include "tests/e2e/harness.h"

namespace keymeld::e2e {
namespace {

namespace fs = std::filesystem;

class Attest : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { s_fleet = start_fleet({.enclaves = 2}); }
    static void TearDownTestSuite() {
        EXPECT_EQ(s_fleet->casualties(), "");
        s_fleet.reset();
    }

    fs::path file(std::string_view name) const { return m_folder.path() / name; }
    Outcome verify(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {"attest", "verify"});
        return run_program("keymeld", arguments);
    }
    Outcome verify_here(std::vector<std::string> arguments) const {
        arguments.insert(arguments.end(), {"--trust", s_fleet->trust_root().string(), "--pcrs", s_fleet->pcrs().string()});
        return verify(std::move(arguments));
    }
    std::string other_image() const {
        std::ofstream(file("other.json")) << R"({"allowed":[{"name":"another image","PCR0":")" << std::string(96, 'a') << "\"}]}";
        return file("other.json").string();
    }
    /// A fresh document of enclave 0 in a file.
    Bytes document(const ByteArray<32>& nonce) const {
        client::RestClient rest(loop().get_executor(), s_fleet->endpoint());
        return must(run(rest.attestation(0, nonce)), "asking for a document").document;
    }
    static void write(const fs::path& path, std::string_view content) {
        std::ofstream out(path, std::ios::binary);
        out << content;
    }

    static std::unique_ptr<fleet::SimFleet> s_fleet;
    fleet::TemporaryFolder m_folder = must(fleet::TemporaryFolder::make("keymeld-attest-test"), "making a folder");
};
std::unique_ptr<fleet::SimFleet> Attest::s_fleet;

/// The verdict on a check, in the text that a person reads.
bool says(const Outcome& outcome, const std::string& mark, const std::string& check) {
    for (const std::string& line : outcome.lines())
        if (line.starts_with("  " + mark) && line.find(check) != std::string::npos)
            return true;
    return false;
}

TEST_F(Attest, AsksEveryEnclaveOfAnAppliance) {
    const Outcome all = verify_here({"--enclave", s_fleet->endpoint().text()});
    EXPECT_EQ(all.exit_code, 0) << all.output << all.errors;
    EXPECT_NE(all.output.find("enclave 0\n"), std::string::npos) << all.output;
    EXPECT_NE(all.output.find("enclave 1\n"), std::string::npos) << all.output;
    EXPECT_TRUE(says(all, "ok", "nonce")) << all.output;
    EXPECT_TRUE(says(all, "ok", "signature")) << all.output;
    EXPECT_NE(all.output.find("a simulator, which protects nothing"), std::string::npos) << all.output;
    EXPECT_EQ(all.output.find("FAIL"), std::string::npos) << all.output;

    const Outcome one = verify_here({"--enclave", s_fleet->endpoint().text() + "/api/v1/enclaves/1"});
    EXPECT_EQ(one.exit_code, 0) << one.errors;
    EXPECT_EQ(one.output.find("enclave 0"), std::string::npos) << one.output;
    const Outcome none = verify_here({"--enclave", s_fleet->endpoint().text() + "/api/v1/enclaves/7"});
    EXPECT_EQ(none.exit_code, 1);
    EXPECT_NE(none.output.find("REFUSED"), std::string::npos) << none.output;
    const Outcome typo = verify_here({"--enclave", s_fleet->endpoint().text() + "/enclave/1"});
    EXPECT_EQ(typo.exit_code, 1);
    EXPECT_NE(typo.errors.find("/api/v1/enclaves/N"), std::string::npos) << typo.errors;
}

TEST_F(Attest, Json) {
    const Outcome outcome = verify_here({"--url", s_fleet->endpoint().text(), "--json"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.errors;
    const auto parsed = must(json::Document::parse(outcome.last_line()), "parsing");
    const auto object = must(parsed.object(), "parsing");
    EXPECT_TRUE(must(object.required_boolean("accepted"), "accepted"));
    EXPECT_EQ(must(object.text("evidence", 20), "evidence"), "live");
    const auto documents = must(object.objects("documents", 10), "documents");
    ASSERT_EQ(documents.size(), 2u);
    EXPECT_EQ(must(documents[0].text("public_key", 80), "public_key").size(), 66u);
    EXPECT_EQ(must(documents[0].objects("checks", 64), "checks").size(), attestation::all_checks().size());
}

TEST_F(Attest, NamesWhatFails) {
    const std::string url = s_fleet->endpoint().text();
    // A simulator never satisfies the AWS root, which is what a missing --trust means.
    const Outcome aws = verify({"--enclave", url, "--pcrs", s_fleet->pcrs().string()});
    EXPECT_EQ(aws.exit_code, 1);
    EXPECT_TRUE(says(aws, "FAIL", "trust_anchor")) << aws.output << "--- errors\n" << aws.errors;
    EXPECT_TRUE(says(aws, "ok", "pcr_policy")) << aws.output;
    const Outcome image = verify({"--enclave", url, "--trust", s_fleet->trust_root().string(), "--pcrs", other_image()});
    EXPECT_EQ(image.exit_code, 1);
    EXPECT_TRUE(says(image, "FAIL", "pcr_policy")) << image.output;
    EXPECT_NE(image.output.find("REFUSED"), std::string::npos);
    const Outcome json = verify({"--enclave", url, "--trust", s_fleet->trust_root().string(), "--pcrs", other_image(), "--json"});
    EXPECT_EQ(json.exit_code, 1);
    EXPECT_EQ(json.output.find("{\"accepted\":false"), 0u) << json.output;
    const Outcome nobody = verify_here({"--enclave", "http://127.0.0.1:9"});
    EXPECT_EQ(nobody.exit_code, 1);
    EXPECT_EQ(verify({"--enclave", url}).exit_code, 2) << "there is no verification without measurements";
}

TEST_F(Attest, ReadsDocumentsFromFiles) {
    const ByteArray<32> nonce = secure::random_array<32>();
    const Bytes bytes = document(nonce);
    write(file("raw"), as_text(bytes));
    write(file("base64"), base64_encode(bytes) + "\n");
    for (const char* name : {"raw", "base64"}) {
        SCOPED_TRACE(name);
        const Outcome with = verify_here({"--document", file(name).string(), "--nonce", hex_encode(nonce)});
        EXPECT_EQ(with.exit_code, 0) << with.output << with.errors;
        EXPECT_TRUE(says(with, "ok", "nonce")) << with.output;
        const Outcome without = verify_here({"--document", file(name).string()});
        EXPECT_EQ(without.exit_code, 0) << without.output;
        EXPECT_TRUE(says(without, "-", "nonce")) << without.output;
        EXPECT_NE(without.output.find("nothing shows that it was made for you"), std::string::npos) << without.output;
        const Outcome other = verify_here({"--document", file(name).string(), "--nonce", std::string(64, '0')});
        EXPECT_EQ(other.exit_code, 1);
        EXPECT_TRUE(says(other, "FAIL", "nonce")) << other.output;
        const Outcome key = verify_here({"--document", file(name).string(), "--public-key", std::string(66, '2')});
        EXPECT_EQ(key.exit_code, 1);
        EXPECT_TRUE(says(key, "FAIL", "public_key")) << key.output;
    }
    Bytes tampered = bytes;
    tampered[tampered.size() / 2] ^= 1;
    write(file("tampered"), as_text(tampered));
    EXPECT_EQ(verify_here({"--document", file("tampered").string()}).exit_code, 1);
    write(file("cut"), as_text(bytes).substr(0, 100));
    const Outcome cut = verify_here({"--document", file("cut").string()});
    EXPECT_EQ(cut.exit_code, 1);
    EXPECT_TRUE(says(cut, "FAIL", "encoding")) << cut.output;
    EXPECT_TRUE(says(cut, "?", "signature")) << "what cannot be reached did not pass\n" << cut.output;
    EXPECT_EQ(verify_here({"--document", file("missing").string()}).exit_code, 1);
    write(file("empty"), "");
    EXPECT_EQ(verify_here({"--document", file("empty").string()}).exit_code, 1);
    EXPECT_EQ(verify_here({"--document", file("raw").string(), "--enclave", s_fleet->endpoint().text()}).exit_code, 2);
    EXPECT_EQ(verify_here({"--enclave", s_fleet->endpoint().text(), "--archived"}).exit_code, 1) << "a live enclave is never judged by an old time";
}

TEST_F(Attest, TheGenuineDocumentIsGenuineAtItsOwnTimeOnly) {
    const char* const named = std::getenv("KEYMELD_NITRO_DIR");
    const char* const source = std::getenv("KEYMELD_SOURCE_DIR");
    const fs::path folder = named != nullptr ? fs::path(named) : fs::path(source != nullptr ? source : ".") / "../shared/nitro";
    const fs::path genuine = folder / "real-attestation-document.cbor";
    if (!fs::exists(genuine)) {
        ASSERT_EQ(named, nullptr) << "KEYMELD_NITRO_DIR is set, but the document is not there";
        GTEST_SKIP() << "NOT RUN: no genuine attestation document in " << folder << "; set KEYMELD_NITRO_DIR to the folder that has it";
    }
    write(file("pcrs.json"), R"({"allowed":[{"name":"the image of 2022","PCR0":"f8bb0133c427bc49aa39f6811a01077ce9ab7e635fa1f5439c9c8bf99754f8230e41b09426b0e595eebdc4d6ed4bc3b6"}]})");
    const std::string pcrs = file("pcrs.json").string();
    const Outcome then = verify({"--document", genuine.string(), "--pcrs", pcrs, "--archived"});
    EXPECT_EQ(then.exit_code, 0) << then.output << then.errors;
    EXPECT_TRUE(says(then, "ok", "trust_anchor")) << then.output;
    EXPECT_NE(then.output.find("made 2022-07-06T14:18:22Z"), std::string::npos) << then.output;
    EXPECT_NE(then.output.find("says nothing about today"), std::string::npos) << then.output;
    const Outcome now = verify({"--document", genuine.string(), "--pcrs", pcrs});
    EXPECT_EQ(now.exit_code, 1);
    EXPECT_TRUE(says(now, "FAIL", "chain_validity")) << now.output;
    EXPECT_TRUE(says(now, "FAIL", "freshness")) << now.output;
    const Outcome elsewhere = verify_here({"--document", genuine.string(), "--archived"});
    EXPECT_EQ(elsewhere.exit_code, 1);
    EXPECT_TRUE(says(elsewhere, "FAIL", "trust_anchor")) << elsewhere.output;
}

/// Every command that sends a key has to be told whom to trust, has no word for leaving it out, and stops at a refusal.
TEST_F(Attest, NoCommandThatSendsAKeyCanBeToldNotToVerify) {
    const std::string key = file("key").string();
    ASSERT_EQ(run_program("keymeld", {"keygen", "new-key", key}).exit_code, 0);
    const std::string url = s_fleet->endpoint().text();
    const std::string another = "019a3c1e-0000-7000-8000-000000000001";
    const std::string guest = file("guest").string();
    const Outcome invited = run_program("keymeld", {"keygen", "new-key", guest});
    ASSERT_EQ(invited.exit_code, 0);
    const std::string guest_id = invited.lines().front().substr(std::string("user_id: ").size());
    const Outcome made = run_program("keymeld", {"keygen", "create", "--url", url, "--key", key, "--participant", guest_id, "--invitation-out",
                                                 file("invitation").string(), "--trust", s_fleet->trust_root().string(), "--pcrs",
                                                 s_fleet->pcrs().string()});
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    const std::vector<std::vector<std::string>> senders = {
        {"keygen", "create", "--url", url, "--key", key, "--participant", another, "--invitation-out", file("unused").string()},
        {"keygen", "join", "--url", url, "--key", guest, "--invitation", file("invitation").string()},
        {"bench", "sign", "--url", url, "--sessions", "1", "--keys", "1"}};
    for (const auto& sender : senders) {
        SCOPED_TRACE(sender[0] + " " + sender[1]);
        const auto with = [&](std::initializer_list<std::string> more) {
            std::vector<std::string> arguments = sender;
            arguments.insert(arguments.end(), more);
            return run_program("keymeld", arguments);
        };
        EXPECT_NE(with({}).exit_code, 0);
        EXPECT_NE(with({"--trust", s_fleet->trust_root().string()}).exit_code, 0);
        EXPECT_NE(with({"--trust", "none", "--pcrs", s_fleet->pcrs().string()}).exit_code, 0);
        EXPECT_NE(with({"--trust", "", "--pcrs", s_fleet->pcrs().string()}).exit_code, 0);
        EXPECT_NE(with({"--insecure"}).exit_code, 0);
        const Outcome aws = with({"--trust", "aws", "--pcrs", s_fleet->pcrs().string()});
        EXPECT_EQ(aws.exit_code, 1);
        EXPECT_NE(aws.errors.find("trust_anchor"), std::string::npos) << aws.errors;
        const Outcome image = with({"--trust", s_fleet->trust_root().string(), "--pcrs", other_image()});
        EXPECT_EQ(image.exit_code, 1);
        EXPECT_NE(image.errors.find("pcr_policy"), std::string::npos) << image.errors;
    }
    EXPECT_FALSE(fs::exists(file("unused")));
}

} // namespace
} // namespace keymeld::e2e
