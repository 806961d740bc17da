// BIP-340: test-vectors.csv.
#include "core/bitcoin/schnorr.h"
#include "tests/support/vectors.h"

namespace keymeld::test {
namespace {

using namespace bitcoin;

enum Column : std::size_t {
    SecretColumn = 1,
    PublicColumn,
    AuxColumn,
    MessageColumn,
    SignatureColumn,
    ResultColumn
};

TEST(Bip340Vectors, SignAndVerify) {
    KEYMELD_VECTORS_OR_SKIP(rows, load_csv("bip340.csv"));
    std::size_t signed_count = 0;
    std::size_t verified = 0;
    std::size_t refused = 0;
    for (std::size_t i = 1; i < rows.size(); ++i) {
        const auto& row = rows[i];
        ASSERT_GT(row.size(), static_cast<std::size_t>(ResultColumn)) << i;
        const Bytes message = unhex(row[MessageColumn]);
        const auto signature = SchnorrSignature::parse(unhex(row[SignatureColumn])).value();
        const auto key = XOnlyPubKey::parse(unhex(row[PublicColumn]));
        const bool valid = key && schnorr_verify(signature, message, *key).has_value();
        ASSERT_EQ(valid, row[ResultColumn] == "TRUE") << i;
        ++(valid ? verified : refused);
        if (row[SecretColumn].empty())
            continue;
        const auto secret = SecretKey::parse(unhex(row[SecretColumn])).value();
        EXPECT_EQ(XOnlyPubKey::from(secret.public_key()), *key) << i;
        EXPECT_EQ(schnorr_sign(secret, message, unhex_array<32>(row[AuxColumn])).value(), signature)
            << i;
        ++signed_count;
    }
    EXPECT_EQ(signed_count, 8u);
    EXPECT_EQ(verified + refused, 19u);
    EXPECT_EQ(refused, 10u);
}

} // namespace
} // namespace keymeld::test
