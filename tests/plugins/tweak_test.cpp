// The tweak plugin against the vectors of BIP-341 and of REST v1.
#include <cstdlib>

#include <gtest/gtest.h>

#include "core/musig/key_agg.h"
#include "core/plugin/loader.h"
#include "core/plugin/tweak.h"
#include "tests/support/vectors.h"

namespace keymeld::test {
namespace {

using bitcoin::TweakConfig;
using bitcoin::TweakType;
using musig::TweakMode;

std::unique_ptr<plugin::TweakPlugin> tweak_plugin() {
    const plugin::Loader loader(std::string(std::getenv("KEYMELD_BUILD_DIR")) +
                                "/lib/keymeld/plugins");
    return std::move(loader.tweak("tweak-taproot", std::nullopt)).value();
}

ByteArray<33> even_key(const value& x_only) {
    ByteArray<33> key{2};
    const auto x = unhex_array<32>(x_only);
    std::copy(x.begin(), x.end(), key.begin() + 1);
    return key;
}

TEST(TweakTaproot, TaprootTweaksAreThoseOfBip341) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("bip341_wallet.json"));
    const auto plugin = tweak_plugin();
    std::size_t with_root = 0, without = 0;
    for (const value& entry : vectors.at("scriptPubKey").as_array()) {
        const value& between = entry.at("intermediary");
        ByteArray<33> key = even_key(entry.at("given").at("internalPubkey"));
        TweakConfig config{TweakType::UnspendableTaproot, {}};
        if (!between.at("merkleRoot").is_null()) {
            config = {TweakType::TaprootWithMerkleRoot, unhex_array<32>(between.at("merkleRoot"))};
            ++with_root;
        } else {
            ++without;
        }
        const std::vector<musig::Tweak> expected{
            {unhex_array<32>(between.at("tweak")), TweakMode::XOnly}};
        EXPECT_EQ(plugin->tweaks(key, config).value(), expected);
        key[0] = 3; // only the x-coordinate counts
        EXPECT_EQ(plugin->tweaks(key, config).value(), expected);
    }
    EXPECT_EQ(with_root, 6u);
    EXPECT_EQ(without, 1u);
}

/// Value of a "merkle_root" or "tweak" member: an array of 32 numbers.
ByteArray<32> value_of(const object& config) {
    const char* const name = config.contains("merkle_root") ? "merkle_root" : "tweak";
    ByteArray<32> out{};
    if (config.contains(name))
        for (std::size_t i = 0; i < 32; ++i)
            out[i] = config.at(name).at(i).to_number<std::uint8_t>();
    return out;
}

TEST(TweakTaproot, TweakedAggregatesAreThoseOfTheRestVectors) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const auto plugin = tweak_plugin();
    std::set<TweakType> seen;
    for (const char* order : {"user_id", "bip327_sorted"}) {
        const value& group = vectors.at("key_aggregation").at(order);
        std::vector<musig::PlainPubKey> keys;
        for (const value& key : group.at("ordered_public_keys").as_array())
            keys.push_back(musig::PlainPubKey::parse(unhex(key)).value());
        for (const value& vector : group.at("vectors").as_array()) {
            const auto json =
                boost::json::parse(text(vector.at("taproot_tweak_config_json"))).as_object();
            const TweakConfig config{bitcoin::parse_tweak_type(text(json.at("type"))).value(),
                                     value_of(json)};
            const auto tweaks =
                plugin->tweaks(unhex_array<33>(vector.at("untweaked_public_key_hex")), config);
            ASSERT_TRUE(tweaks) << tweaks.error().detail;
            const auto tweaked = musig::KeyAggContext::create(keys, *tweaks);
            ASSERT_TRUE(tweaked) << tweaked.error().detail;
            EXPECT_EQ(hex_encode(tweaked->key().bytes()),
                      text(vector.at("aggregate_public_key_hex")));
            seen.insert(config.type);
        }
    }
    EXPECT_EQ(seen.size(), 5u); // all types
}

TEST(TweakTaproot, PassesScalarsThroughAndAppliesNothingForNone) {
    const auto plugin = tweak_plugin();
    const ByteArray<33> key{2};
    ByteArray<32> scalar{};
    scalar[31] = 9;
    EXPECT_TRUE(plugin->tweaks(key, {TweakType::None, {}}).value().empty());
    EXPECT_EQ(plugin->tweaks(key, {TweakType::PlainTweak, scalar}).value(),
              std::vector<musig::Tweak>({{scalar, TweakMode::Plain}}));
    EXPECT_EQ(plugin->tweaks(key, {TweakType::XOnlyTweak, scalar}).value(),
              std::vector<musig::Tweak>({{scalar, TweakMode::XOnly}}));
}

TEST(TweakTaproot, RefusesWhatIsNoScalarOrNoKey) {
    const auto plugin = tweak_plugin();
    const ByteArray<33> key{2};
    auto order = unhex_array<32>(
        std::string_view("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));
    for (const TweakType type : {TweakType::PlainTweak, TweakType::XOnlyTweak}) {
        EXPECT_EQ(plugin->tweaks(key, {type, order}).error().code, Errc::InvalidScalar);
        order[31] -= 1;
        EXPECT_TRUE(plugin->tweaks(key, {type, order}));
        order[31] += 1;
    }
    EXPECT_TRUE(
        plugin->tweaks(key, {TweakType::TaprootWithMerkleRoot, order})); // a hash, not a scalar
    EXPECT_EQ(plugin->tweaks(key, {TweakType::None, order}).error().code, Errc::InvalidArgument);
    EXPECT_EQ(plugin->tweaks(ByteArray<33>{4}, {TweakType::None, {}}).error().code,
              Errc::InvalidArgument);
}

} // namespace
} // namespace keymeld::test
