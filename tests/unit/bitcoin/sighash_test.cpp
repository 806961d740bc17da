#include "core/bitcoin/sighash.h"

#include <set>

#include <gtest/gtest.h>

namespace keymeld::bitcoin {
namespace {

constexpr SighashType kTypes[] = {SighashType::Default,
                                  SighashType::All,
                                  SighashType::None,
                                  SighashType::Single,
                                  SighashType::AllAnyoneCanPay,
                                  SighashType::NoneAnyoneCanPay,
                                  SighashType::SingleAnyoneCanPay};

struct Spend {
    Spend() {
        tx.inputs = {{{ByteArray<32>{1}, 0}}, {{ByteArray<32>{2}, 1}}};
        tx.outputs = {{1000, Bytes(34, 1)}, {2000, Bytes(34, 2)}};
        spent = {{1500, Bytes(34, 3)}, {1700, Bytes(34, 4)}};
    }
    crypto::Hash256 hash(SighashType type, std::size_t input = 0) const {
        return taproot_sighash(tx, input, spent, type).value();
    }
    Transaction tx;
    std::vector<TxOut> spent;
};
struct Sighash : testing::Test, Spend {};

TEST_F(Sighash, EveryTypeAndInputSignsSomethingElse) {
    std::set<crypto::Hash256> hashes;
    for (const SighashType type : kTypes) {
        hashes.insert(hash(type, 0));
        hashes.insert(hash(type, 1));
    }
    EXPECT_EQ(hashes.size(), 14u);
}

TEST_F(Sighash, CommitsToWhatItsTypeSays) {
    // For each change: the types whose hash of input 0 changes with it.
    const auto changed = [&](auto change) {
        Spend other;
        change(other);
        std::string types;
        for (const SighashType type : kTypes)
            types += hash(type) != other.hash(type) ? '1' : '0';
        return types;
    };
    // order: DEFAULT ALL NONE SINGLE ALL|ACP NONE|ACP SINGLE|ACP
    EXPECT_EQ(changed([](Spend& s) { s.spent[0].amount = 1; }), "1111111");
    EXPECT_EQ(changed([](Spend& s) { s.spent[1].amount = 1; }), "1111000");
    EXPECT_EQ(changed([](Spend& s) { s.spent[0].script_pub_key[3] = 9; }), "1111111");
    EXPECT_EQ(changed([](Spend& s) { s.spent[1].script_pub_key[3] = 9; }), "1111000");
    EXPECT_EQ(changed([](Spend& s) { s.tx.inputs[0].sequence = 9; }), "1111111");
    EXPECT_EQ(changed([](Spend& s) { s.tx.inputs[1].sequence = 9; }), "1111000");
    EXPECT_EQ(changed([](Spend& s) { s.tx.inputs[1].previous.index = 9; }), "1111000");
    EXPECT_EQ(changed([](Spend& s) { s.tx.outputs[0].amount = 9; }), "1101101");
    EXPECT_EQ(changed([](Spend& s) { s.tx.outputs[1].amount = 9; }), "1100100");
    EXPECT_EQ(changed([](Spend& s) { s.tx.version = 1; }), "1111111");
    EXPECT_EQ(changed([](Spend& s) { s.tx.lock_time = 1; }), "1111111");
    EXPECT_EQ(changed([](Spend& s) { s.tx.inputs[0].script_sig = {1}; }), "0000000");
    EXPECT_EQ(changed([](Spend& s) { s.tx.inputs[0].witness = {{1}}; }), "0000000");
}

TEST_F(Sighash, RefusesWhatCannotBeSigned) {
    EXPECT_EQ(taproot_sighash(tx, 2, spent, SighashType::Default).error().code,
              Errc::InvalidArgument);
    EXPECT_FALSE(taproot_sighash(tx, 0, std::span(spent).first(1), SighashType::Default));
    tx.outputs.pop_back();
    EXPECT_FALSE(taproot_sighash(tx, 1, spent, SighashType::Single));
    EXPECT_FALSE(taproot_sighash(tx, 1, spent, SighashType::SingleAnyoneCanPay));
    EXPECT_TRUE(taproot_sighash(tx, 0, spent, SighashType::Single));
    EXPECT_TRUE(taproot_sighash(tx, 1, spent, SighashType::All));
}

TEST(SighashType, ExactlySevenBytesAreTypes) {
    std::set<int> accepted;
    for (int byte = 0; byte < 256; ++byte) {
        const auto type = parse_sighash_type(static_cast<std::uint8_t>(byte));
        if (type) {
            accepted.insert(byte);
            EXPECT_EQ(static_cast<int>(*type), byte);
        }
    }
    EXPECT_EQ(accepted, (std::set<int>{0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83}));
}

TEST(WitnessItem, AppendsTheTypeUnlessDefault) {
    const ByteArray<64> signature{1};
    EXPECT_EQ(taproot_witness_item(signature, SighashType::Default).size(), 64u);
    const Bytes all = taproot_witness_item(signature, SighashType::SingleAnyoneCanPay);
    ASSERT_EQ(all.size(), 65u);
    EXPECT_EQ(all.back(), 0x83);
}

} // namespace
} // namespace keymeld::bitcoin
