// BIP-341: wallet-test-vectors.json.
#include "core/bitcoin/address.h"
#include "core/bitcoin/schnorr.h"
#include "core/bitcoin/sighash.h"
#include "core/bitcoin/taproot.h"
#include "tests/support/vectors.h"

namespace keymeld::test {
namespace {

using namespace bitcoin;

std::optional<MerkleRoot> optional_root(const value& v) {
    if (v.is_null())
        return std::nullopt;
    return unhex_array<32>(v);
}

// Root of a script tree: a leaf object or a pair of trees. Collects the leaf hashes in order.
MerkleRoot root_of(const value& tree, std::vector<std::string>& leaves) {
    if (const array* const pair = tree.if_array()) {
        const MerkleRoot left = root_of(pair->at(0), leaves);
        const MerkleRoot right = root_of(pair->at(1), leaves);
        return tap_branch_hash(left, right);
    }
    const auto hash =
        tap_leaf_hash(tree.at("leafVersion").to_number<std::uint8_t>(), unhex(tree.at("script")));
    leaves.push_back(hex_encode(hash));
    return hash;
}

TEST(Bip341Vectors, OutputKeys) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("bip341_wallet.json"));
    const array& cases = vectors.at("scriptPubKey").as_array();
    ASSERT_EQ(cases.size(), 7u);
    for (const value& v : cases) {
        const auto internal = InternalKey::parse(unhex(v.at("given").at("internalPubkey"))).value();
        const value& tree = v.at("given").at("scriptTree");
        std::optional<MerkleRoot> root;
        std::vector<std::string> leaves;
        if (!tree.is_null())
            root = root_of(tree, leaves);
        const object& steps = v.at("intermediary").as_object();
        EXPECT_EQ(root, optional_root(steps.at("merkleRoot")));
        if (const value* const hashes = steps.if_contains("leafHashes")) {
            ASSERT_EQ(leaves.size(), hashes->as_array().size());
            for (std::size_t i = 0; i < leaves.size(); ++i)
                EXPECT_EQ(leaves[i], text(hashes->at(i)));
        }
        EXPECT_EQ(hex_encode(tap_tweak_hash(internal, root)), text(steps.at("tweak")));
        const auto output = taproot_output(internal, root).value();
        EXPECT_EQ(output.key.hex(), text(steps.at("tweakedPubkey")));
        EXPECT_EQ(hex_encode(p2tr_script(output.key)), text(v.at("expected").at("scriptPubKey")));
        EXPECT_EQ(p2tr_address(output.key, Network::Mainnet),
                  text(v.at("expected").at("bip350Address")));
        if (const value* const blocks =
                v.at("expected").as_object().if_contains("scriptPathControlBlocks")) {
            for (const value& block : blocks->as_array())
                EXPECT_EQ((unhex(block).at(0) & 1) != 0, output.odd_y);
        }
    }
}

TEST(Bip341Vectors, KeyPathSpends) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("bip341_wallet.json"));
    std::size_t inputs = 0;
    for (const value& v : vectors.at("keyPathSpending").as_array()) {
        const Bytes raw = unhex(v.at("given").at("rawUnsignedTx"));
        const Transaction tx = Transaction::parse(raw).value();
        EXPECT_EQ(tx.serialise(), raw);
        std::vector<TxOut> spent;
        for (const value& utxo : v.at("given").at("utxosSpent").as_array())
            spent.push_back(
                {utxo.at("amountSats").to_number<std::uint64_t>(), unhex(utxo.at("scriptPubKey"))});

        std::map<std::size_t, Bytes> witnesses;
        for (const value& spend : v.at("inputSpending").as_array()) {
            const object& given = spend.at("given").as_object();
            const object& steps = spend.at("intermediary").as_object();
            const std::size_t at = index(given.at("txinIndex"));
            const auto type =
                parse_sighash_type(given.at("hashType").to_number<std::uint8_t>()).value();
            const auto root = optional_root(given.at("merkleRoot"));
            const auto internal = SecretKey::parse(unhex(given.at("internalPrivkey"))).value();
            EXPECT_EQ(XOnlyPubKey::from(internal.public_key()).hex(),
                      text(steps.at("internalPubkey")));
            const auto secret = taproot_output_secret(internal, root).value();
            EXPECT_EQ(hex_encode(secret.expose()), text(steps.at("tweakedPrivkey")));
            EXPECT_EQ(hex_encode(taproot_signature_message(tx, at, spent, type).value()),
                      text(steps.at("sigMsg")));
            const auto hash = taproot_sighash(tx, at, spent, type).value();
            EXPECT_EQ(hex_encode(hash), text(steps.at("sigHash")));
            const auto signature = schnorr_sign(secret, hash, ByteArray<32>{}).value();
            const Bytes witness = taproot_witness_item(signature.bytes, type);
            EXPECT_EQ(hex_encode(witness), text(spend.at("expected").at("witness").at(0)));
            witnesses.emplace(at, witness);
            ++inputs;
        }
        // The whole signed transaction carries these witnesses (it has inputs that are not taproot
        // too).
        const Bytes full = unhex(v.at("auxiliary").at("fullySignedTx"));
        const Transaction complete = Transaction::parse(full).value();
        EXPECT_EQ(complete.serialise(), full);
        for (const auto& [at, witness] : witnesses)
            EXPECT_EQ(complete.inputs.at(at).witness, std::vector<Bytes>{witness});
    }
    EXPECT_EQ(inputs, 7u);
}

} // namespace
} // namespace keymeld::test
