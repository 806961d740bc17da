#include "core/bitcoin/transaction.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"

namespace keymeld::bitcoin {
namespace {

Bytes unhex(std::string_view text) {
    return hex_decode(text).value();
}

// The coinbase transaction of Bitcoin's first block.
constexpr std::string_view kGenesis = "010000000100000000000000000000000000000000000000000000000000"
                                      "00000000000000ffffffff4d04ffff001d0104455468652054696d6573"
                                      "2030332f4a616e2f32303039204368616e63656c6c6f72206f6e20627269"
                                      "6e6b206f66207365636f6e64206261696c6f757420666f722062616e6b"
                                      "73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a671"
                                      "30b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f355"
                                      "04e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";

Transaction example() {
    Transaction tx;
    tx.inputs.push_back({{ByteArray<32>{1, 2, 3}, 7}, {}, 0xfffffffd, {Bytes(64, 0xaa)}});
    tx.inputs.push_back({{ByteArray<32>{4}, 0}, Bytes{0x51}, 0xffffffff, {}});
    tx.outputs.push_back({5'000'000'000, Bytes(34, 0x20)});
    tx.outputs.push_back({0, Bytes(300, 0x6a)});
    tx.lock_time = 800'000;
    return tx;
}

TEST(Transaction, ReadsAndNamesAKnownOne) {
    const auto tx = Transaction::parse(unhex(kGenesis));
    ASSERT_TRUE(tx);
    EXPECT_EQ(txid_text(tx->txid()),
              "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b");
    EXPECT_EQ(tx->outputs.at(0).amount, 5'000'000'000u);
    EXPECT_EQ(hex_encode(tx->serialise()), kGenesis);
}

TEST(Transaction, WritesWitnessesOnlyIfThereAreAny) {
    Transaction tx = example();
    const Bytes with = tx.serialise();
    EXPECT_EQ(hex_encode(ByteView(with).subspan(4, 2)), "0001");
    EXPECT_EQ(Transaction::parse(with).value(), tx);
    const auto id = tx.txid();
    tx.inputs[0].witness.clear();
    EXPECT_EQ(tx.serialise(), tx.serialise_without_witness());
    EXPECT_EQ(tx.txid(), id);
    EXPECT_EQ(Transaction::parse(tx.serialise()).value(), tx);
}

TEST(Transaction, RefusesEveryTruncationAndAnythingAfterIt) {
    for (const Bytes& whole : {example().serialise(), example().serialise_without_witness()}) {
        for (std::size_t length = 0; length < whole.size(); ++length) {
            const auto parsed = Transaction::parse(ByteView(whole).first(length));
            ASSERT_FALSE(parsed) << length;
            EXPECT_EQ(parsed.error().code, Errc::InvalidArgument);
        }
        Bytes longer = whole;
        longer.push_back(0);
        EXPECT_FALSE(Transaction::parse(longer));
    }
}

TEST(Transaction, RefusesCountsThatDoNotFit) {
    // version, then a count of inputs of 2^64-1, 2^32-1 and 2^16-1 with nothing behind it
    for (const std::string_view text :
         {"02000000ffffffffffffffffff", "02000000feffffffff", "02000000fdffff"})
        EXPECT_FALSE(Transaction::parse(unhex(text)));
    EXPECT_FALSE(Transaction::parse(Bytes(4'000'001)));
}

TEST(Transaction, RefusesSizesThatAreNotMinimal) {
    // An input and an output count written with three bytes instead of one.
    const std::string head = "02000000";
    const std::string input = std::string(64, '0') + "00000000" + "00" + "ffffffff";
    const std::string output = "0000000000000000"
                               "00";
    EXPECT_TRUE(Transaction::parse(unhex(head + "01" + input + "01" + output + "00000000")));
    EXPECT_FALSE(Transaction::parse(unhex(head + "fd0100" + input + "01" + output + "00000000")));
    EXPECT_FALSE(
        Transaction::parse(unhex(head + "01" + input + "fe01000000" + output + "00000000")));
}

TEST(Transaction, RefusesAnEmptyWitnessInWitnessForm) {
    const std::string input = std::string(64, '0') + "00000000" + "00" + "ffffffff";
    EXPECT_TRUE(Transaction::parse(unhex("02000000"
                                         "0001"
                                         "01" +
                                         input +
                                         "00"
                                         "0100"
                                         "00000000")));
    EXPECT_FALSE(Transaction::parse(unhex("02000000"
                                          "0001"
                                          "01" +
                                          input +
                                          "00"
                                          "00"
                                          "00000000")));
}

TEST(CompactSize, UsesTheShortestForm) {
    const auto text = [](std::uint64_t value) {
        Bytes out;
        append_compact_size(out, value);
        return hex_encode(out);
    };
    EXPECT_EQ(text(0), "00");
    EXPECT_EQ(text(0xfc), "fc");
    EXPECT_EQ(text(0xfd), "fdfd00");
    EXPECT_EQ(text(0xffff), "fdffff");
    EXPECT_EQ(text(0x10000), "fe00000100");
    EXPECT_EQ(text(0xffffffff), "feffffffff");
    EXPECT_EQ(text(0x100000000), "ff0000000001000000");
}

TEST(Txid, IsShownReversed) {
    const std::string shown = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";
    const auto internal = parse_txid(shown).value();
    EXPECT_EQ(internal[0], 0x3b);
    EXPECT_EQ(txid_text(internal), shown);
    EXPECT_FALSE(parse_txid("4a"));
}

} // namespace
} // namespace keymeld::bitcoin
