#include "core/bitcoin/address.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"

namespace keymeld::bitcoin {
namespace {

TEST(Address, AgreesWithBip350) {
    // BIP-350: segwit version 1 address of the base point's x-coordinate, and its script.
    const auto key =
        XOnlyPubKey::parse(
            hex_decode("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798").value())
            .value();
    EXPECT_EQ(p2tr_address(key, Network::Mainnet),
              "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0");
    EXPECT_EQ(hex_encode(p2tr_script(key)),
              "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
}

TEST(Address, NamesItsNetwork) {
    const XOnlyPubKey key = XOnlyPubKey::from(SecretKey::generate().public_key());
    EXPECT_TRUE(p2tr_address(key, Network::Testnet).starts_with("tb1p"));
    EXPECT_EQ(p2tr_address(key, Network::Testnet), p2tr_address(key, Network::Signet));
    EXPECT_TRUE(p2tr_address(key, Network::Regtest).starts_with("bcrt1p"));
    EXPECT_EQ(p2tr_address(key, Network::Regtest).size(), 64u);
}

} // namespace
} // namespace keymeld::bitcoin
