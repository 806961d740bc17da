#include "core/attestation/verifier.h"

#include <gtest/gtest.h>

#include "core/crypto/cbor.h"
#include "tests/unit/attestation/forge.h"
#include "tests/unit/attestation/refusal.h"

namespace keymeld::attestation::test {
namespace {

using Check = AttestationCheck;

const CheckResult& result_of(const AttestationReport& report, Check check) {
    return report.checks.at(static_cast<std::size_t>(check));
}

TEST(Verifier, AcceptsAGoodDocument) {
    const Forge forge = Forge::make();
    const AttestationDocument document = forge.document();
    const auto verified = forge.verifier().verify(forge.sign(document), Forge::expectations());
    ASSERT_TRUE(verified) << verified.error().detail;
    EXPECT_EQ(verified->image_name(), "the image");
    EXPECT_FALSE(verified->hardware());
    EXPECT_EQ(verified->document().module_id, document.module_id);
    EXPECT_EQ(verified->document().timestamp_ms, document.timestamp_ms);
    EXPECT_EQ(verified->document().pcrs, document.pcrs);
    EXPECT_EQ(verified->document().certificate, document.certificate);
    EXPECT_EQ(verified->document().cabundle, document.cabundle);
    EXPECT_EQ(verified->document().public_key, document.public_key);
    EXPECT_EQ(verified->document().user_data, document.user_data);
    EXPECT_EQ(verified->document().nonce, document.nonce);
}

TEST(Verifier, AcceptsTag18AndAnIndefinitePayloadMap) {
    const Forge forge = Forge::make();
    const Fields fields = fields_of(forge.document());
    Bytes tagged = {0xd2};
    const Bytes document = forge.sign_payload(encode_indefinite(fields));
    tagged.insert(tagged.end(), document.begin(), document.end());
    EXPECT_TRUE(forge.verifier().verify(document, Forge::expectations()));
    EXPECT_TRUE(forge.verifier().verify(tagged, Forge::expectations()));
}

TEST(Verifier, AcceptsFieldsOfLaterModulesAndAbsentOnes) {
    const Forge forge = Forge::make();
    Fields fields = fields_of(forge.document());
    fields.emplace_back("a later field", Bytes{0x82, 0xf5, 0xa1, 0x00, 0xf6});
    EXPECT_TRUE(forge.verifier().verify(forge.sign_payload(encode(fields)), Forge::expectations()));

    Expectations expected = Forge::expectations();
    expected.nonce = expected.public_key = std::nullopt;
    fields = fields_of(forge.document());
    std::erase_if(fields, [](const auto& entry) {
        return entry.first == "nonce" || entry.first == "public_key" || entry.first == "user_data";
    });
    ASSERT_EQ(fields.size(), 6u);
    const auto verified = forge.verifier().verify(forge.sign_payload(encode(fields)), expected);
    ASSERT_TRUE(verified) << verified.error().detail;
    EXPECT_EQ(verified->document().nonce, std::nullopt);
    EXPECT_EQ(verified->document().public_key, std::nullopt);
    EXPECT_EQ(verified->document().user_data, std::nullopt);
}

TEST(Verifier, ReportsEveryCheckOfAGoodDocument) {
    const Forge forge = Forge::make();
    const Bytes document = forge.sign(forge.document());
    const AttestationReport report = forge.verifier().report(document, Forge::expectations());
    EXPECT_TRUE(report.accepted());
    EXPECT_EQ(report.image_name, "the image");
    ASSERT_TRUE(report.document.has_value());
    ASSERT_EQ(report.checks.size(), all_checks().size());
    for (std::size_t i = 0; i < report.checks.size(); ++i) {
        EXPECT_EQ(report.checks[i].check, all_checks()[i]);
        EXPECT_EQ(report.checks[i].verdict, Verdict::Passed) << check_name(all_checks()[i]);
    }

    Expectations expected = Forge::expectations();
    expected.nonce = expected.public_key = std::nullopt;
    expected.evidence = Evidence::Archived;
    const AttestationReport archived = forge.verifier().report(document, expected);
    EXPECT_TRUE(archived.accepted());
    for (const Check check : {Check::Nonce, Check::PublicKey, Check::Freshness})
        EXPECT_EQ(result_of(archived, check).verdict, Verdict::NotRequested);
}

TEST(Verifier, ReportsWhatAnEarlyFailureLeftUnreached) {
    const Forge forge = Forge::make();
    const AttestationReport garbage =
        forge.verifier().report(as_bytes("not a document"), Forge::expectations());
    EXPECT_FALSE(garbage.accepted());
    EXPECT_FALSE(garbage.document.has_value());
    EXPECT_EQ(failed_names(garbage), std::vector{check_name(Check::Encoding)});
    for (const Check check : all_checks()) {
        const Verdict wanted = check == Check::Encoding ? Verdict::Failed : Verdict::NotReached;
        EXPECT_EQ(result_of(garbage, check).verdict, wanted) << check_name(check);
    }

    // Digest wrong: what stands before it in the order passed, what stands after it was not
    // reached.
    Fields fields = fields_of(forge.document());
    field(fields, "digest") = Bytes{0x66, 'S', 'H', 'A', '2', '5', '6'};
    const AttestationReport digest =
        forge.verifier().report(forge.sign_payload(encode(fields)), Forge::expectations());
    for (const Check check : all_checks()) {
        const Verdict expected = check < Check::Digest    ? Verdict::Passed
                                 : check == Check::Digest ? Verdict::Failed
                                                          : Verdict::NotReached;
        EXPECT_EQ(result_of(digest, check).verdict, expected) << check_name(check);
    }
}

TEST(Verifier, ReportsAllThatIsWrong) {
    Forge forge = Forge::make();
    forge.leaf.not_after = kNow - 1;
    AttestationDocument document = forge.document();
    document.pcrs[PcrIndex::of<0>()] = filled(0);
    Expectations expected = Forge::expectations();
    expected.nonce = Bytes(32, 8);
    const AttestationReport report = forge.verifier().report(forge.sign(document), expected);
    const std::vector<std::string_view> wanted = {
        check_name(Check::ChainValidity), check_name(Check::DebugMode),
        check_name(Check::PcrPolicy), check_name(Check::Nonce)};
    EXPECT_EQ(failed_names(report), wanted);
    for (const CheckResult& result : report.checks)
        EXPECT_EQ(result.verdict == Verdict::Failed && result.detail.empty(), false);
}

TEST(Verifier, NamesEveryCheckOnce) {
    std::set<std::string_view> names;
    for (const Check check : all_checks()) {
        EXPECT_TRUE(names.insert(check_name(check)).second) << check_name(check);
        EXPECT_NE(check_name(check), "unknown");
        EXPECT_NE(check_text(check), "unknown");
        EXPECT_EQ(failed_check(refuse(check, "why")), check);
    }
    EXPECT_EQ(names.size(), 23u);
    EXPECT_EQ(failed_check(fail(Errc::AttestationRefused, "without a check")), std::nullopt);
    EXPECT_EQ(failed_check(fail(Errc::Io, "another error")), std::nullopt);
    for (const Verdict verdict :
         {Verdict::Passed, Verdict::Failed, Verdict::NotRequested, Verdict::NotReached})
        EXPECT_NE(verdict_name(verdict), "unknown");
}

} // namespace
} // namespace keymeld::attestation::test
