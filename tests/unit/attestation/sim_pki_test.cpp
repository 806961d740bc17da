#include "enclave/nsm/sim_pki.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "core/attestation/issuer/certificate_issuer.h"
#include "core/attestation/pcr_policy.h"
#include "core/attestation/trust_anchor.h"
#include "core/base/clock.h"
#include "tests/unit/attestation/forge.h"

namespace keymeld::nsm {
namespace {

using attestation::PcrPolicy;
using attestation::TrustAnchor;
using attestation::test::TempDir;

std::string content(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

X509* parse(const Bytes& der) {
    const unsigned char* at = der.data();
    return d2i_X509(nullptr, &at, static_cast<long>(der.size()));
}

class SimPkiTest : public testing::Test {
  protected:
    TempDir temp;
    std::filesystem::path directory = temp.path() / "made" / "pki";
    std::filesystem::path program = temp.write("program", "machine code");
};

TEST_F(SimPkiTest, MakesWhatVerifiersAndSimulatorsRead) {
    const auto made = SimPki::create(directory, program);
    ASSERT_TRUE(made) << made.error().detail;

    struct stat key {};
    ASSERT_EQ(::stat((directory / "root-key.pem").c_str(), &key), 0);
    EXPECT_EQ(key.st_mode & 0777, 0600u);
    const auto anchor = TrustAnchor::from_pem_file(directory / "root.pem");
    ASSERT_TRUE(anchor) << anchor.error().detail;
    EXPECT_FALSE(anchor->is_hardware());
    EXPECT_TRUE(anchor->is(made->root_der()));
    X509* root = parse(made->root_der());
    char name[128] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(root), NID_commonName, name, sizeof name);
    EXPECT_STREQ(name, "KeyMeld simulator root, not for production");
    X509_NAME_get_text_by_NID(X509_get_subject_name(root), NID_organizationName, name, sizeof name);
    EXPECT_STREQ(name, "KeyMeld simulator");
    X509_free(root);

    const auto policy = PcrPolicy::from_file(directory / "pcrs.json");
    ASSERT_TRUE(policy) << policy.error().detail;
    EXPECT_NE(policy->match(attestation::measure_executable(program).value()), nullptr);
    EXPECT_EQ(policy->entries().size(), 1u);
    EXPECT_EQ(policy->entries()[0].name, "simulator program");
    EXPECT_EQ(policy->entries()[0].required.size(), 3u);

    const auto loaded = SimPki::load(directory);
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(loaded->root_der(), made->root_der());
    std::vector<std::string> files;
    for (const auto& file : std::filesystem::directory_iterator(directory))
        files.push_back(file.path().filename().string());
    std::ranges::sort(files);
    EXPECT_EQ(files, (std::vector<std::string>{"pcrs.json", "root-key.pem", "root.pem"}));
}

TEST_F(SimPkiTest, NeverReplacesARoot) {
    ASSERT_TRUE(SimPki::create(directory, program));
    const std::string root = content(directory / "root.pem");
    const std::string key = content(directory / "root-key.pem");
    const auto again = SimPki::create(directory, program);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::InvalidArgument);
    std::filesystem::remove(directory / "root.pem");
    EXPECT_FALSE(SimPki::create(directory, program));
    EXPECT_EQ(content(directory / "root-key.pem"), key);
    EXPECT_NE(key.find("BEGIN PRIVATE KEY"), std::string::npos);
    EXPECT_NE(root, "");
}

TEST_F(SimPkiTest, MeasuresARebuiltProgramAgain) {
    ASSERT_TRUE(SimPki::create(directory, program));
    temp.write("program", "newer machine code");
    const auto now = attestation::measure_executable(program).value();
    EXPECT_EQ(PcrPolicy::from_file(directory / "pcrs.json")->match(now), nullptr);
    ASSERT_TRUE(SimPki::write_pcrs(directory, program));
    EXPECT_NE(PcrPolicy::from_file(directory / "pcrs.json")->match(now), nullptr);
    EXPECT_FALSE(SimPki::write_pcrs(directory, temp.path() / "missing"));
    EXPECT_FALSE(SimPki::write_pcrs(temp.path() / "missing", program));
}

TEST_F(SimPkiTest, RefusesFilesThatDoNotBelongTogether) {
    ASSERT_TRUE(SimPki::create(directory, program));
    ASSERT_TRUE(SimPki::create(temp.path() / "other", program));
    const auto invalid = [&] {
        const auto loaded = SimPki::load(directory);
        return !loaded && loaded.error().code == Errc::ConfigInvalid;
    };
    ASSERT_FALSE(invalid());
    std::filesystem::permissions(directory / "root-key.pem", std::filesystem::perms(0640));
    EXPECT_TRUE(invalid());
    std::filesystem::permissions(directory / "root-key.pem", std::filesystem::perms(0600));
    ASSERT_FALSE(invalid());

    std::filesystem::copy_file(temp.path() / "other" / "root.pem", directory / "root.pem",
                               std::filesystem::copy_options::overwrite_existing);
    EXPECT_TRUE(invalid());
    std::ofstream(directory / "root-key.pem") << "no key";
    EXPECT_TRUE(invalid());
    std::filesystem::remove(directory / "root-key.pem");
    const auto missing = SimPki::load(directory);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::Io);
}

TEST_F(SimPkiTest, FailsWhereItCannotWrite) {
    const auto under_a_file = SimPki::create(program / "below", program);
    ASSERT_FALSE(under_a_file);
    EXPECT_EQ(under_a_file.error().code, Errc::Io);
    const auto no_program = SimPki::create(directory, temp.path() / "missing");
    ASSERT_FALSE(no_program);
    EXPECT_EQ(no_program.error().code, Errc::Io);
    EXPECT_FALSE(std::filesystem::exists(directory / "root-key.pem"));
}

// Not by our own rules alone: OpenSSL's general path validation accepts the chain too.
TEST_F(SimPkiTest, IssuesChainsThatOpenSslAccepts) {
    const auto pki = SimPki::create(directory, program);
    ASSERT_TRUE(pki);
    const std::uint64_t now = unix_seconds();
    const auto leaf = pki->issue("i-0123-enc4567", now);
    ASSERT_TRUE(leaf) << leaf.error().detail;
    EXPECT_EQ(leaf->not_after, now + SimPki::kLeafSeconds);
    ASSERT_EQ(leaf->cabundle.size(), 2u);

    X509_STORE* store = X509_STORE_new();
    X509* root = parse(leaf->cabundle[0]);
    X509* instance = parse(leaf->cabundle[1]);
    X509* end = parse(leaf->certificate);
    STACK_OF(X509)* between = sk_X509_new_null();
    sk_X509_push(between, instance);
    X509_STORE_add_cert(store, root);
    const auto verify_at = [&](std::uint64_t seconds) {
        X509_STORE_CTX* context = X509_STORE_CTX_new();
        X509_STORE_CTX_init(context, store, end, between);
        X509_STORE_CTX_set_time(context, 0, static_cast<time_t>(seconds));
        const int good = X509_verify_cert(context);
        const int error = X509_STORE_CTX_get_error(context);
        X509_STORE_CTX_free(context);
        return good == 1 ? X509_V_OK : error;
    };
    EXPECT_EQ(verify_at(now), X509_V_OK);
    EXPECT_EQ(verify_at(now + SimPki::kLeafSeconds - 1), X509_V_OK);
    EXPECT_EQ(verify_at(now + SimPki::kLeafSeconds + 1), X509_V_ERR_CERT_HAS_EXPIRED);
    sk_X509_free(between);
    X509_free(root);
    X509_free(instance);
    X509_free(end);
    X509_STORE_free(store);
}

} // namespace
} // namespace keymeld::nsm
