// A real node accepts and mines what KeyMeld signs: key-path spends on regtest, with and without a script tree.
#include <cstdlib>
#include <optional>

#include "appliance/demo/regtest_node.h"
#include "core/base/hex.h"
#include "core/bitcoin/address.h"
#include "core/bitcoin/taproot.h"
#include "tests/e2e/harness.h"

namespace keymeld::e2e {
namespace {

namespace fs = std::filesystem;
using bitcoin::TweakType;
using demo::RegtestNode;

/// Where scripts/get-bitcoind puts the node, or KEYMELD_BITCOIND.
fs::path node_program() {
    if (const char* const given = std::getenv("KEYMELD_BITCOIND"))
        return given;
    const char* const source = std::getenv("KEYMELD_SOURCE_DIR");
    return fs::path(source != nullptr ? source : ".") / ".cache/bitcoind/bitcoind";
}

class Bitcoin : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        if (!fs::exists(node_program()))
            return;
        s_node = must(run(RegtestNode::start(node_program())), "starting bitcoind");
        s_fleet = start_fleet();
    }
    static void TearDownTestSuite() {
        s_node.reset();
        s_fleet.reset();
    }
    void SetUp() override {
        if (!s_node)
            GTEST_SKIP() << "NOT RUN: there is no bitcoind at " << node_program()
                         << "; scripts/get-bitcoind fetches one, or set KEYMELD_BITCOIND";
    }

    /// Pays to the group's key, signs the spend through the REST API, and has it mined.
    demo::Confirmed spend(Group& group) {
        const auto coin = must(run(s_node->fund(group.key->x_only(), 250'000)), "funding");
        const auto destination = must(run(s_node->new_wallet_script()), "making an address");
        auto unsigned_spend = must(demo::make_spend(coin, destination), "making the transaction");
        Client client(*s_fleet);
        const auto signature = client.sign(group, unsigned_spend.sighash);

        // The node judges signatures: it refuses this one with a bit changed.
        auto wrong = signature.bytes;
        wrong[40] ^= 1;
        const auto refused = run(s_node->broadcast_and_mine(demo::with_signature(unsigned_spend.tx, wrong)));
        if (refused)
            throw std::runtime_error("the node takes a spoilt signature");
        EXPECT_EQ(refused.error().code, Errc::InvalidSignature) << explain(refused.error());

        auto confirmed = must(run(s_node->broadcast_and_mine(demo::with_signature(unsigned_spend.tx, signature.bytes))), "spending");
        EXPECT_EQ(confirmed.confirmations, 1u);
        return confirmed;
    }

    static std::unique_ptr<RegtestNode> s_node;
    static std::unique_ptr<fleet::SimFleet> s_fleet;
};
std::unique_ptr<RegtestNode> Bitcoin::s_node;
std::unique_ptr<fleet::SimFleet> Bitcoin::s_fleet;

TEST_F(Bitcoin, MinesAKeyPathSpendWithoutScriptTree) {
    Client client(*s_fleet);
    for (const std::size_t size : {2u, 3u, 10u}) {
        SCOPED_TRACE(size);
        Group group({.size = size, .policies = {Approval::Header, Approval::Bound}});
        client.make_key(group);
        // The node derives the same address from the aggregate before the tweak: our tweak is BIP-341's.
        const std::string internal = hex_encode(group.key->untweaked.x_coordinate());
        EXPECT_EQ(must(run(s_node->descriptor_address("tr(" + internal + ")")), "asking the node"),
                  bitcoin::p2tr_address(group.key->x_only(), bitcoin::Network::Regtest));
        spend(group);
    }
}

TEST_F(Bitcoin, MinesAKeyPathSpendWithAMerkleRoot) {
    Client client(*s_fleet);
    for (const std::size_t size : {2u, 3u, 10u}) {
        SCOPED_TRACE(size);
        // One leaf, <key> OP_CHECKSIG: what tr(internal,pk(key)) commits to.
        const auto leaf_key = bitcoin::XOnlyPubKey::from(bitcoin::SecretKey::generate().public_key());
        Bytes script{0x20};
        script.insert(script.end(), leaf_key.bytes().begin(), leaf_key.bytes().end());
        script.push_back(0xac);
        Group group({.size = size, .tweak = {TweakType::TaprootWithMerkleRoot, bitcoin::tap_leaf_hash(0xc0, script)}});
        client.make_key(group);
        const std::string internal = hex_encode(group.key->untweaked.x_coordinate());
        EXPECT_EQ(must(run(s_node->descriptor_address("tr(" + internal + ",pk(" + leaf_key.hex() + "))")), "asking the node"),
                  bitcoin::p2tr_address(group.key->x_only(), bitcoin::Network::Regtest));
        spend(group);
    }
}

TEST_F(Bitcoin, MinesForOddAndEvenAggregates) {
    Client client(*s_fleet);
    for (const bool odd : {false, true}) {
        SCOPED_TRACE(odd);
        Group group({.key_order = bitcoin::KeyOrder::Bip327Sorted, .odd_aggregate = odd});
        client.make_key(group);
        spend(group);
    }
}

} // namespace
} // namespace keymeld::e2e
