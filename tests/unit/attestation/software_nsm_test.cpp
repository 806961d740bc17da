#include "enclave/nsm/software_nsm.h"

#include <limits>
#include <thread>

#include <gtest/gtest.h>

#include "core/attestation/key_binding.h"
#include "core/attestation/verifier.h"
#include "core/base/hex.h"
#include "core/secure/secret.h"
#include "enclave/nsm/nsm_client.h"
#include "tests/unit/attestation/forge.h"

namespace keymeld::nsm {
namespace {

using namespace attestation;
using attestation::test::filled;
using attestation::test::TempDir;

constexpr std::uint64_t kHour = 3'600'000;

class SoftwareNsmTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(SimPki::create(temp.path() / "pki", "/proc/self/exe"));
        now_ms = std::make_shared<std::uint64_t>(
            static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                           std::chrono::system_clock::now().time_since_epoch())
                                           .count()));
    }

    SimPki pki() const { return SimPki::load(temp.path() / "pki").value(); }
    std::unique_ptr<SoftwareNsm> module() const {
        return SoftwareNsm::create(pki(), {.pcrs = {{PcrIndex::of<0>(), filled(1)}},
                                           .clock_ms = [clock = now_ms] { return *clock; }})
            .value();
    }
    AttestationVerifier verifier() const {
        return {TrustAnchor::from_pem_file(temp.path() / "pki" / "root.pem").value(),
                PcrPolicy::make({{.name = "it", .required = {{PcrIndex::of<0>(), filled(1)}}}})
                    .value()};
    }
    Expectations now() const {
        Expectations expected;
        expected.now_ms = *now_ms;
        return expected;
    }

    TempDir temp;
    std::shared_ptr<std::uint64_t> now_ms;
};

/// The answer to a raw request as hex; empty if the module refused the transfer.
std::string raw(SoftwareNsm& module, std::string_view hex) {
    const auto answer = module.process(hex_decode(hex).value());
    return answer ? hex_encode(*answer) : "";
}

std::string error(std::string_view name) {
    return "a1654572726f72" + hex_encode(Bytes{static_cast<std::uint8_t>(0x60 + name.size())}) +
           hex_encode(as_bytes(name));
}

// The whole way: this very program, measured by both sides, under the files that configuration
// names.
TEST_F(SoftwareNsmTest, MakesDocumentsThatTheOneVerifierAccepts) {
    NsmClient client(SoftwareNsm::create(pki()).value());
    const Bytes nonce(32, 5);
    const Bytes key(33, 3);
    const auto document = client.attest(key, to_bytes(as_bytes(make_user_data(4))), nonce);
    ASSERT_TRUE(document) << document.error().detail;

    const AttestationVerifier verifier(
        TrustAnchor::from_config("root.pem", temp.path() / "pki").value(),
        PcrPolicy::from_file(temp.path() / "pki" / "pcrs.json").value());
    Expectations expected = now();
    expected.nonce = nonce;
    expected.public_key = key;
    const auto verified = verifier.verify(*document, expected);
    ASSERT_TRUE(verified) << verified.error().detail;
    EXPECT_FALSE(verified->hardware());
    EXPECT_EQ(verified->document().pcrs.size(), 16u);
    const auto binding = key_binding(*verified);
    ASSERT_TRUE(binding) << binding.error().detail;
    EXPECT_EQ(to_bytes(binding->public_key), key);
    EXPECT_EQ(binding->key_epoch, 4u);

    const auto under_aws =
        AttestationVerifier(TrustAnchor::aws(), verifier.policy()).verify(*document, expected);
    ASSERT_FALSE(under_aws);
    EXPECT_EQ(failed_check(under_aws.error()), AttestationCheck::TrustAnchor);
}

TEST_F(SoftwareNsmTest, LeavesFieldsOutThatWereNotGiven) {
    NsmClient client(module());
    const auto document = client.attest(std::nullopt, std::nullopt, std::nullopt);
    ASSERT_TRUE(document);
    const auto verified = verifier().verify(*document, now());
    ASSERT_TRUE(verified) << verified.error().detail;
    EXPECT_EQ(verified->document().nonce, std::nullopt);
    EXPECT_EQ(verified->document().public_key, std::nullopt);
    EXPECT_EQ(verified->document().user_data, std::nullopt);
    EXPECT_EQ(verified->document().timestamp_ms, *now_ms);
}

TEST_F(SoftwareNsmTest, RenewsItsLeafBeforeItExpires) {
    NsmClient client(module());
    const auto certificate = [&] {
        const auto document = client.attest(std::nullopt, std::nullopt, Bytes{1});
        EXPECT_TRUE(document);
        // Valid now, and for at least the freshness window after it was made.
        for (const std::uint64_t later : {std::uint64_t{0}, std::uint64_t{5 * 60'000}}) {
            Expectations expected = now();
            expected.now_ms += later;
            const auto verified = verifier().verify(*document, expected);
            EXPECT_TRUE(verified) << verified.error().detail;
        }
        return AttestationDocument::parse_unverified(*document)->certificate;
    };
    const Bytes first = certificate();
    *now_ms += 2 * kHour;
    EXPECT_EQ(certificate(), first);
    *now_ms += kHour / 2;
    const Bytes second = certificate();
    EXPECT_NE(second, first);
    *now_ms += 100 * 24 * kHour;
    EXPECT_NE(certificate(), second);
    *now_ms -= 50 * 24 * kHour; // the clock was set back
    certificate();
}

TEST_F(SoftwareNsmTest, DescribesItself) {
    NsmClient client(module());
    const auto description = client.describe();
    ASSERT_TRUE(description) << description.error().detail;
    EXPECT_EQ(description->digest, "SHA384");
    EXPECT_EQ(description->max_pcrs, 32);
    EXPECT_EQ(description->locked_pcrs.size(), 16u);
    EXPECT_TRUE(description->locked_pcrs.contains(PcrIndex::of<15>()));
    EXPECT_EQ(description->version_major, 1);
    const auto document = client.attest(std::nullopt, std::nullopt, std::nullopt);
    EXPECT_EQ(AttestationDocument::parse_unverified(*document)->module_id, description->module_id);
    NsmClient other(module());
    EXPECT_NE(other.describe()->module_id, description->module_id);
}

TEST_F(SoftwareNsmTest, ExtendsAndLocksRegistersAsNitroDoes) {
    NsmClient client(module());
    const PcrIndex open = PcrIndex::of<16>();
    EXPECT_EQ(client.describe_pcr(PcrIndex::of<0>())->value, filled(1));
    EXPECT_TRUE(client.describe_pcr(PcrIndex::of<0>())->locked);
    EXPECT_FALSE(client.describe_pcr(open)->locked);
    EXPECT_EQ(client.describe_pcr(open)->value, filled(0));

    const PcrValue once = extend_pcr(PcrValue{}, as_bytes("hello"));
    const auto extended = client.extend_pcr(open, as_bytes("hello"));
    ASSERT_TRUE(extended) << extended.error().detail;
    EXPECT_EQ(*extended, once);
    EXPECT_EQ(*client.extend_pcr(open, as_bytes("more")), extend_pcr(once, as_bytes("more")));
    EXPECT_FALSE(client.extend_pcr(PcrIndex::of<0>(), as_bytes("hello")));
    EXPECT_EQ(client.describe_pcr(PcrIndex::of<0>())->value, filled(1));

    ASSERT_TRUE(client.lock_pcr(open));
    EXPECT_TRUE(client.describe_pcr(open)->locked);
    EXPECT_FALSE(client.lock_pcr(open));
    EXPECT_FALSE(client.extend_pcr(open, as_bytes("late")));
    EXPECT_EQ(AttestationDocument::parse_unverified(
                  *client.attest(std::nullopt, std::nullopt, std::nullopt))
                  ->pcrs.at(open),
              extend_pcr(once, as_bytes("more")));
    ASSERT_TRUE(client.lock_pcrs(32));
    EXPECT_EQ(client.describe()->locked_pcrs.size(), 32u);
}

TEST_F(SoftwareNsmTest, GivesRandomBytes) {
    NsmClient client(module());
    secure::SecretArray<600> first;
    secure::SecretArray<600> second;
    ASSERT_TRUE(client.get_random(first.expose_mut()));
    ASSERT_TRUE(client.get_random(second.expose_mut()));
    EXPECT_FALSE(std::ranges::equal(first.expose(), second.expose()));
    // Three answers of 256 bytes make one of 600: no part repeats another and none was left out.
    const auto part = [&](std::size_t from) { return to_bytes(first.expose().subspan(from, 80)); };
    EXPECT_NE(part(0), part(256));
    EXPECT_NE(part(256), part(512));
    EXPECT_NE(part(512), Bytes(80, 0));
    EXPECT_TRUE(client.get_random({}));
}

TEST_F(SoftwareNsmTest, AnswersBadRequestsWithTheErrorsOfTheApi) {
    const auto nsm = module();
    for (const char* garbage : {"ff", "00", "f6", "80", "a0", "6161", "a1616100",
                                "a16b446573637269626550435200", "a16b4465736372696265504352a0",
                                "6b4465736372696265504352", "a16b4174746573746174696f6e00"})
        EXPECT_EQ(raw(*nsm, garbage), error("InvalidOperation")) << garbage;
    const std::string describe = "a16b4465736372696265504352a165696e646578"; // DescribePCR, index
    EXPECT_EQ(raw(*nsm, describe + "1820"), error("InvalidIndex"));
    EXPECT_EQ(raw(*nsm, describe + "1bffffffffffffffff"), error("InvalidIndex"));
    EXPECT_EQ(raw(*nsm, describe + "190000"), error("InvalidOperation")); // not the shortest form
    EXPECT_EQ(raw(*nsm, describe + "20"), error("InvalidOperation"));
    const std::string lock = "a1674c6f636b504352a165696e646578"; // LockPCR, index
    EXPECT_EQ(raw(*nsm, lock + "00"), error("ReadOnlyIndex"));
    EXPECT_EQ(raw(*nsm, lock + "1820"), error("InvalidIndex"));
    const std::string range = "a1684c6f636b50435273a16572616e6765"; // LockPCRs, range
    EXPECT_EQ(raw(*nsm, range + "1821"), error("InvalidIndex"));
    const std::string extend = "a169457874656e64504352a265696e646578"; // ExtendPCR, index
    EXPECT_EQ(raw(*nsm, extend + "00" + "646461746140"), error("ReadOnlyIndex"));
    EXPECT_EQ(raw(*nsm, extend + "1820" + "646461746140"), error("InvalidIndex"));
    // Attestation with a nonce of 513 bytes.
    EXPECT_EQ(raw(*nsm, "a16b4174746573746174696f6ea1656e6f6e6365590201" + std::string(1026, '0')),
              error("InputTooLarge"));
    EXPECT_EQ(raw(*nsm, ""), "");
    EXPECT_EQ(raw(*nsm, std::string(2 * (kMaxRequest + 1), '0')), "");
}

TEST_F(SoftwareNsmTest, ServesSeveralThreads) {
    NsmClient client(module());
    std::vector<std::thread> threads;
    std::array<bool, 4> good{};
    for (std::size_t i = 0; i < good.size(); ++i)
        threads.emplace_back([&, i] {
            bool all = true;
            for (int round = 0; round < 5; ++round) {
                const Bytes nonce(16, static_cast<std::uint8_t>(i + 1));
                const auto document = client.attest(std::nullopt, std::nullopt, nonce);
                Expectations expected = now();
                expected.nonce = nonce;
                all = all && document && verifier().verify(*document, expected).has_value();
            }
            good[i] = all;
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(good, (std::array<bool, 4>{true, true, true, true}));
}

} // namespace
} // namespace keymeld::nsm
