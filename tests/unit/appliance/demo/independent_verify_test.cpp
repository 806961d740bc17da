// The demo's second opinion against the vectors of BIP-340, BIP-341 and BIP-327, and against libsecp256k1 on random keys.
#include "appliance/demo/independent_verify.h"

#include "core/bitcoin/schnorr.h"
#include "core/musig/key_agg.h"
#include "core/secure/random.h"
#include "plugins/tweak-taproot/tweak_rules.h"
#include "tests/support/vectors.h"

namespace keymeld::demo::independent {
namespace {

using bitcoin::TweakConfig;
using bitcoin::TweakType;

TEST(IndependentVerify, Bip340Vectors) {
    KEYMELD_VECTORS_OR_SKIP(rows, test::load_csv("bip340.csv"));
    std::size_t accepted = 0;
    std::size_t refused = 0;
    for (std::size_t i = 1; i < rows.size(); ++i) {
        const auto& row = rows[i];
        if (row.size() < 7)
            continue;
        const bool valid = row[6] == "TRUE";
        const Status verdict = verify_bip340(test::unhex(row[5]), test::unhex(row[4]), test::unhex(row[2]));
        EXPECT_EQ(verdict.has_value(), valid) << "vector " << row[0] << " " << (row.size() > 7 ? row[7] : "");
        (valid ? accepted : refused) += 1;
    }
    EXPECT_EQ(accepted, 9u);
    EXPECT_EQ(refused, 10u);
}

ByteArray<33> key_of(const test::value& hex) { return test::unhex_array<33>(hex); }

TEST(IndependentVerify, Bip327KeyAggregationVectors) {
    KEYMELD_VECTORS_OR_SKIP(vectors, test::load_json("key_agg_vectors.json"));
    const auto& keys = vectors.at("pubkeys").as_array();
    for (const auto& item : vectors.at("valid_test_cases").as_array()) {
        std::vector<ByteArray<33>> chosen;
        for (const auto& i : item.at("key_indices").as_array())
            chosen.push_back(key_of(keys[test::index(i)]));
        const auto aggregate = aggregate_key(chosen, {});
        ASSERT_TRUE(aggregate);
        EXPECT_EQ(hex_encode(ByteView(*aggregate).subspan(1)), hex_encode(test::unhex(item.at("expected"))));
    }
    EXPECT_EQ(vectors.at("valid_test_cases").as_array().size(), 4u);
    std::size_t bad_keys = 0;
    for (const auto& item : vectors.at("error_test_cases").as_array()) {
        if (!item.at("tweak_indices").as_array().empty())
            continue; // tweaks of that file are not those of a REST session
        std::vector<ByteArray<33>> chosen;
        for (const auto& i : item.at("key_indices").as_array())
            chosen.push_back(key_of(keys[test::index(i)]));
        const auto aggregate = aggregate_key(chosen, {});
        ASSERT_FALSE(aggregate);
        EXPECT_EQ(aggregate.error().code, Errc::InvalidPoint);
        ++bad_keys;
    }
    EXPECT_GT(bad_keys, 0u);
}

TEST(IndependentVerify, Bip341TweakVectors) {
    KEYMELD_VECTORS_OR_SKIP(vectors, test::load_json("bip341_wallet.json"));
    std::size_t checked = 0;
    for (const auto& item : vectors.at("scriptPubKey").as_array()) {
        const auto& intermediary = item.at("intermediary");
        const auto internal = test::unhex(item.at("given").at("internalPubkey"));
        const auto output = test::unhex(intermediary.at("tweakedPubkey"));
        TweakConfig tweak{TweakType::UnspendableTaproot, {}};
        if (!intermediary.at("merkleRoot").is_null())
            tweak = {TweakType::TaprootWithMerkleRoot, test::unhex_array<32>(intermediary.at("merkleRoot"))};
        const auto tweaked = tweak_key(internal, tweak);
        ASSERT_TRUE(tweaked);
        EXPECT_EQ(hex_encode(ByteView(*tweaked).subspan(1)), hex_encode(output));
        ++checked;
    }
    EXPECT_EQ(checked, 7u);
}

class RandomKeys : public ::testing::TestWithParam<TweakType> {};

TEST_P(RandomKeys, AgreesWithLibsecp256k1) {
    bool odd = false;
    bool even = false;
    for (unsigned n = 2; n < 14; ++n) {
        std::vector<bitcoin::PlainPubKey> keys;
        std::vector<ByteArray<33>> raw;
        for (unsigned i = 0; i < n; ++i) {
            // Equal keys are allowed; the second distinct key has coefficient 1.
            keys.push_back(n % 3 == 0 && i == 1 ? keys.front() : bitcoin::SecretKey::generate().public_key());
            raw.push_back(keys.back().bytes());
        }
        TweakConfig tweak{GetParam(), {}};
        if (tweak.has_value()) {
            tweak.value32 = secure::random_array<32>();
            tweak.value32[0] &= 0x7f;
        }
        const auto plain = musig::KeyAggContext::create(keys);
        ASSERT_TRUE(plain);
        const auto tweaks = tweak_taproot::tweaks_for(plain->untweaked_key().bytes(), tweak);
        ASSERT_TRUE(tweaks);
        const auto expected = musig::KeyAggContext::create(keys, *tweaks);
        ASSERT_TRUE(expected);
        const auto mine = aggregate_key(raw, tweak);
        ASSERT_TRUE(mine);
        EXPECT_EQ(hex_encode(*mine), expected->key().hex());
        (plain->untweaked_key().has_even_y() ? even : odd) = true;
    }
    EXPECT_TRUE(odd && even) << "twelve random aggregates of one parity: 1 in 2048 runs";
}

INSTANTIATE_TEST_SUITE_P(AllTweaks, RandomKeys,
                         ::testing::Values(TweakType::None, TweakType::UnspendableTaproot, TweakType::TaprootWithMerkleRoot,
                                           TweakType::PlainTweak, TweakType::XOnlyTweak),
                         [](const auto& chosen) { return std::string(bitcoin::text(chosen.param)); });

TEST(IndependentVerify, RefusesEveryChangedBit) {
    const auto key = bitcoin::SecretKey::generate();
    const auto message = secure::random_array<32>();
    const auto signature = bitcoin::schnorr_sign(key, message);
    ASSERT_TRUE(signature);
    const ByteView x = key.public_key().x_coordinate();
    EXPECT_TRUE(verify_bip340(signature->bytes, message, x));
    for (std::size_t i = 0; i < 64; ++i) {
        auto changed = signature->bytes;
        changed[i] = static_cast<std::uint8_t>(changed[i] ^ (1u << (i % 8)));
        EXPECT_FALSE(verify_bip340(changed, message, x)) << "byte " << i;
    }
    auto other = message;
    other[31] ^= 1;
    EXPECT_FALSE(verify_bip340(signature->bytes, other, x));
    EXPECT_FALSE(verify_bip340(ByteView(signature->bytes).first(63), message, x));
    EXPECT_FALSE(verify_bip340(signature->bytes, message, key.public_key().bytes()));
}

TEST(IndependentVerify, RefusesWhatCannotBeAggregated) {
    const auto none = aggregate_key({}, {});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::InvalidArgument);
    const std::vector<ByteArray<33>> key{bitcoin::SecretKey::generate().public_key().bytes()};
    TweakConfig too_large{TweakType::PlainTweak, {}};
    too_large.value32.fill(0xff);
    const auto refused = aggregate_key(key, too_large);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::InvalidScalar);
    std::vector<ByteArray<33>> hybrid = key;
    hybrid[0][0] = 6;
    const auto bad = aggregate_key(hybrid, {});
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code, Errc::InvalidPoint);
}

} // namespace
} // namespace keymeld::demo::independent
