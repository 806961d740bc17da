#include "core/bitcoin/taproot.h"

#include <gtest/gtest.h>

namespace keymeld::bitcoin {
namespace {

TEST(Taproot, SecretOfTheOutputSignsForTheOutput) {
    // Several keys, so that both parities of internal and output key occur.
    bool seen[2][2] = {};
    for (int i = 0; i < 40; ++i) {
        const SecretKey key = SecretKey::generate();
        std::optional<MerkleRoot> root;
        if (i % 2 == 1)
            root = MerkleRoot{static_cast<std::uint8_t>(i)};
        const TaprootOutput output =
            taproot_output(XOnlyPubKey::from(key.public_key()), root).value();
        const SecretKey secret = taproot_output_secret(key, root).value();
        EXPECT_EQ(XOnlyPubKey::from(secret.public_key()), output.key);
        EXPECT_EQ(!secret.public_key().has_even_y(), output.odd_y);
        seen[key.public_key().has_even_y()][output.odd_y] = true;
    }
    EXPECT_TRUE(seen[0][0] && seen[0][1] && seen[1][0] && seen[1][1]);
}

TEST(Taproot, BranchDoesNotDependOnTheOrderOfItsChildren) {
    const ByteArray<32> a{1};
    const ByteArray<32> b{2};
    EXPECT_EQ(tap_branch_hash(a, b), tap_branch_hash(b, a));
    EXPECT_NE(tap_branch_hash(a, b), tap_branch_hash(a, a));
}

TEST(Taproot, NoRootAppendsNothing) {
    const XOnlyPubKey key = XOnlyPubKey::from(SecretKey::generate().public_key());
    EXPECT_NE(tap_tweak_hash(key, std::nullopt), tap_tweak_hash(key, MerkleRoot{}));
}

} // namespace
} // namespace keymeld::bitcoin
