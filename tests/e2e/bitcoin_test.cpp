// A real node accepts and mines what KeyMeld signs: key-path spends on regtest, with and without a script tree.
#include <cstdlib>
#include <optional>

#include "appliance/client/single_keys.h"
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

/// BIP-143, SIGHASH_ALL, for one P2WPKH input and one output.
ByteArray<32> wpkh_sighash(const bitcoin::Transaction& tx, const bitcoin::TxOut& spent) {
    const auto number = [](Bytes& out, std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i)
            out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    };
    const auto add = [](Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
    const auto twice = [](const Bytes& bytes) { return crypto::sha256(crypto::sha256(bytes)); };
    const bitcoin::TxIn& input = tx.inputs.front();
    Bytes outpoint(input.previous.txid.begin(), input.previous.txid.end());
    number(outpoint, input.previous.index, 4);
    Bytes sequence;
    number(sequence, input.sequence, 4);
    Bytes outputs;
    number(outputs, tx.outputs.front().amount, 8);
    bitcoin::append_compact_size(outputs, tx.outputs.front().script_pub_key.size());
    add(outputs, tx.outputs.front().script_pub_key);
    Bytes message;
    number(message, tx.version, 4);
    add(message, twice(outpoint));
    add(message, twice(sequence));
    add(message, outpoint);
    add(message, Bytes{0x19, 0x76, 0xa9, 0x14}); // OP_DUP OP_HASH160 <hash> OP_EQUALVERIFY OP_CHECKSIG
    add(message, ByteView(spent.script_pub_key).subspan(2));
    add(message, Bytes{0x88, 0xac});
    number(message, spent.amount, 8);
    add(message, sequence);
    add(message, twice(outputs));
    number(message, tx.lock_time, 4);
    number(message, 1, 4);
    return twice(message);
}

/// DER with the byte of SIGHASH_ALL.
Bytes der(const ByteArray<64>& compact) {
    Bytes body;
    for (const std::size_t half : {0u, 32u}) {
        ByteView part = ByteView(compact).subspan(half, 32);
        while (part.size() > 1 && part.front() == 0)
            part = part.subspan(1);
        const bool padded = (part.front() & 0x80) != 0;
        body.push_back(0x02);
        body.push_back(static_cast<std::uint8_t>(part.size() + (padded ? 1 : 0)));
        if (padded)
            body.push_back(0);
        body.insert(body.end(), part.begin(), part.end());
    }
    Bytes out{0x30, static_cast<std::uint8_t>(body.size())};
    out.insert(out.end(), body.begin(), body.end());
    out.push_back(0x01);
    return out;
}

TEST_F(Bitcoin, MinesP2wpkhAndP2trSpendsOfSingleKeys) {
    Client client(*s_fleet);
    client::SingleKeys keys(client.rest(), client.trust());
    for (const bool imported : {false, true}) {
        SCOPED_TRACE(imported);
        const UserId user = client::new_user_id();
        const auto key = must(imported ? run(keys.import(user, bitcoin::SecretKey::generate()))
                                       : run(keys.generate(user, bitcoin::SecretKey::generate())),
                              "making a key");
        const auto destination = must(run(s_node->new_wallet_script()), "making an address");

        const auto coin = must(run(s_node->fund_descriptor("wpkh(" + key.public_key.hex() + ")", 250'000)), "funding");
        ASSERT_EQ(coin.output.script_pub_key.size(), 22u);
        auto spend = must(demo::make_spend(coin, destination), "making the transaction").tx;
        const auto signature = must(run(keys.sign(key, wpkh_sighash(spend, coin.output), bitcoin::SignatureType::Ecdsa)), "signing");
        const auto with = [&](ByteArray<64> bytes) {
            spend.inputs.front().witness = {der(bytes), to_bytes(key.public_key.bytes())};
            return run(s_node->broadcast_and_mine(spend));
        };
        auto wrong = signature.bytes;
        wrong[40] ^= 1;
        EXPECT_FALSE(with(wrong).has_value()) << "the node judges signatures";
        EXPECT_EQ(must(with(signature.bytes), "spending").confirmations, 1u);

        // BIP-86: the key's taproot output without a script tree, as tr() derives it.
        const std::string internal = hex_encode(key.public_key.x_coordinate());
        const auto taproot_coin = must(run(s_node->fund_descriptor("tr(" + internal + ")", 250'000)), "funding");
        auto unsigned_spend = must(demo::make_spend(taproot_coin, destination), "making the transaction");
        client::SignOptions options;
        options.tweak.type = TweakType::UnspendableTaproot;
        const auto schnorr =
            must(run(keys.sign(key, unsigned_spend.sighash, bitcoin::SignatureType::SchnorrBip340, options)), "signing");
        EXPECT_EQ(must(run(s_node->broadcast_and_mine(demo::with_signature(unsigned_spend.tx, schnorr.bytes))), "spending").confirmations, 1u);
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
