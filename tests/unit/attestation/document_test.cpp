#include "core/attestation/document.h"

#include <gtest/gtest.h>

#include "tests/unit/attestation/forge.h"

namespace keymeld::attestation::test {
namespace {

TEST(Document, ReadsBackWhatItWrites) {
    const Forge forge = Forge::make();
    AttestationDocument document = forge.document();
    for (const bool with_nonce : {true, false}) {
        if (!with_nonce)
            document.nonce = std::nullopt;
        const auto read = AttestationDocument::parse_payload(document.encode_payload());
        ASSERT_TRUE(read) << read.error().detail;
        EXPECT_EQ(read->module_id, document.module_id);
        EXPECT_EQ(read->pcrs, document.pcrs);
        EXPECT_EQ(read->cabundle, document.cabundle);
        EXPECT_EQ(read->nonce, document.nonce);
        EXPECT_EQ(read->encode_payload(), document.encode_payload());
    }
}

TEST(Document, ShowsWhatAnUnsignedOneClaims) {
    const Forge forge = Forge::make();
    Bytes bytes = forge.sign(forge.document());
    bytes.back() ^= 1;
    const auto claimed = AttestationDocument::parse_unverified(bytes);
    ASSERT_TRUE(claimed);
    EXPECT_EQ(claimed->module_id, forge.document().module_id);
    const auto garbage = AttestationDocument::parse_unverified(as_bytes("garbage"));
    ASSERT_FALSE(garbage);
    EXPECT_EQ(failed_check(garbage.error()), AttestationCheck::Encoding);
}

TEST(Document, TakesFieldsInAnyOrder) {
    const Forge forge = Forge::make();
    const AttestationDocument document = forge.document();
    Fields fields = fields_of(document);
    ASSERT_EQ(encode(fields), document.encode_payload());
    std::ranges::reverse(fields);
    const auto read = AttestationDocument::parse_payload(encode(fields));
    ASSERT_TRUE(read) << read.error().detail;
    EXPECT_EQ(read->encode_payload(), document.encode_payload());
}

} // namespace
} // namespace keymeld::attestation::test
