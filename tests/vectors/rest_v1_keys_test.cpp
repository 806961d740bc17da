// rest-v1-vectors.json: key aggregation under every tweak and order, example signatures,
// aggregate_key_tag, addresses.
#include "core/bitcoin/address.h"
#include "core/bitcoin/taproot.h"
#include "core/crypto/aggregate_key_tag.h"
#include "core/crypto/hmac.h"
#include "core/musig/session_context.h"
#include "tests/vectors/rest_v1_support.h"

namespace keymeld::test {
namespace {

using namespace musig;
using bitcoin::KeyOrder;
using bitcoin::TweakConfig;
using bitcoin::TweakType;

struct Users {
    std::vector<UserId> ids;
    std::vector<PlainPubKey> keys;
};

Users users_of(const value& vectors) {
    Users out;
    for (const value& user : vectors.at("keys").at("users").as_array()) {
        out.ids.push_back(id_of<UserId>(user.at("user_id")));
        out.keys.push_back(secret_key(user.at("secret")).public_key());
        EXPECT_EQ(out.keys.back().hex(), text(user.at("public_key_hex")));
    }
    return out;
}

// rest-v1.md 5.5.
std::vector<Tweak> tweaks_of(const TweakConfig& config, const PlainPubKey& untweaked) {
    const XOnlyPubKey x = XOnlyPubKey::from(untweaked);
    switch (config.type) {
    case TweakType::None:
        return {};
    case TweakType::UnspendableTaproot:
        return {{bitcoin::tap_tweak_hash(x, std::nullopt), TweakMode::XOnly}};
    case TweakType::TaprootWithMerkleRoot:
        return {{bitcoin::tap_tweak_hash(x, config.value32), TweakMode::XOnly}};
    case TweakType::PlainTweak:
        return {{config.value32, TweakMode::Plain}};
    case TweakType::XOnlyTweak:
        return {{config.value32, TweakMode::XOnly}};
    }
    return {};
}

KeyAggContext aggregate_of(const std::vector<PlainPubKey>& ordered, const TweakConfig& config) {
    const auto untweaked = KeyAggContext::create(ordered).value();
    return KeyAggContext::create(ordered, tweaks_of(config, untweaked.key())).value();
}

void check_example(const KeyAggContext& aggregate, const ByteArray<32>& message,
                   const object& example) {
    std::vector<PubNonce> nonces;
    for (const value& nonce : example.at("pubnonces").as_array())
        nonces.push_back(PubNonce::parse(unhex(nonce)).value());
    std::vector<PartialSignature> partials;
    for (const value& partial : example.at("partial_sigs").as_array())
        partials.push_back(PartialSignature::parse(unhex(partial)).value());
    const AggNonce sum = nonce_agg(nonces).value();
    EXPECT_EQ(hex_encode(sum.bytes()), text(example.at("aggnonce")));
    const auto session = SessionContext::create(sum, message, aggregate).value();
    for (std::uint32_t i = 0; i < partials.size(); ++i)
        EXPECT_TRUE(partial_sig_verify(partials[i], nonces[i], SignerIndex{i}, aggregate, session))
            << i;
    const auto signature = aggregate_and_verify(aggregate, session, nonces, partials);
    ASSERT_TRUE(signature);
    EXPECT_EQ(signature->hex(), text(example.at("signature")));
}

TEST(RestV1Vectors, KeyAggregation) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const object& section = vectors.at("key_aggregation").as_object();
    const auto message = unhex_array<32>(section.at("message_signed"));
    const Users users = users_of(vectors);
    for (const KeyOrder order : {KeyOrder::UserId, KeyOrder::Bip327Sorted}) {
        const object& part = section.at(bitcoin::text(order)).as_object();
        std::vector<PlainPubKey> ordered;
        std::size_t at = 0;
        for (const std::size_t i : bitcoin::aggregation_order(users.ids, users.keys, order)) {
            EXPECT_EQ(users.ids[i].text(), text(part.at("ordered_user_ids").at(at)));
            EXPECT_EQ(users.keys[i].hex(), text(part.at("ordered_public_keys").at(at)));
            ordered.push_back(users.keys[i]);
            ++at;
        }
        const array& tweaked = part.at("vectors").as_array();
        ASSERT_EQ(tweaked.size(), 5u);
        for (const value& v : tweaked) {
            const auto aggregate =
                aggregate_of(ordered, tweak_config(v.at("taproot_tweak_config_json")));
            EXPECT_EQ(aggregate.untweaked_key().hex(), text(v.at("untweaked_public_key_hex")));
            EXPECT_EQ(aggregate.key().hex(), text(v.at("aggregate_public_key_hex")));
            EXPECT_EQ(aggregate.x_only().hex(), text(v.at("x_only")));
            EXPECT_EQ(bitcoin::p2tr_address(aggregate.x_only(), bitcoin::Network::Regtest),
                      text(v.at("p2tr_regtest_if_used_as_output_key")));
            check_example(aggregate, message, v.at("musig_example").as_object());
        }
    }
    std::vector<PlainPubKey> reversed;
    for (const std::size_t i : bitcoin::aggregation_order(users.ids, users.keys, KeyOrder::UserId))
        reversed.insert(reversed.begin(), users.keys[i]);
    EXPECT_EQ(KeyAggContext::create(reversed)->key().hex(),
              text(section.at("negative_order_check").at("reverse_of_user_id_order_untweaked")));
}

TEST(RestV1Vectors, AggregateKeyTag) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const object& section = vectors.at("aggregate_key_tag").as_object();
    const auto keygen = id_of<KeygenId>(vectors.at("keys").at("keygen_session_id"));
    const auto secret = secret32(vectors.at("keys").at("session_secret_hex"));
    const Users users = users_of(vectors);
    const array& valid = section.at("vectors").as_array();
    ASSERT_GE(valid.size(), 3u);
    for (const value& v : valid) {
        const auto order = bitcoin::parse_key_order(text(v.at("key_order"))).value();
        std::vector<crypto::AggregatedParticipant> list;
        std::vector<PlainPubKey> ordered;
        for (const std::size_t i : bitcoin::aggregation_order(users.ids, users.keys, order)) {
            list.push_back({users.ids[i], users.keys[i]});
            ordered.push_back(users.keys[i]);
        }
        const auto aggregate =
            aggregate_of(ordered, tweak_config(v.at("taproot_tweak_config_json")));
        const auto tag = crypto::aggregate_key_tag(secret, keygen, aggregate.key(), list);
        EXPECT_EQ(hex_encode(tag), text(v.at("aggregate_key_tag"))) << v.at("name");
        std::swap(list[0], list[1]);
        EXPECT_NE(crypto::aggregate_key_tag(secret, keygen, aggregate.key(), list), tag);
    }
    for (const value& v : section.at("must_differ").as_array())
        EXPECT_NE(
            hex_encode(crypto::hmac_sha256(secret.expose(), as_bytes(text(v.at("message_ascii"))))),
            text(v.at("must_not_equal")));
}

TEST(RestV1Vectors, AddressOfTheOriginal) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const object& observed = vectors.at("observed_original").as_object();
    const XOnlyPubKey key = XOnlyPubKey::from(public_key(observed.at("aggregate_key_hex")));
    EXPECT_EQ(bitcoin::p2tr_address(key, bitcoin::Network::Regtest),
              text(observed.at("taproot_address_regtest")));
}

} // namespace
} // namespace keymeld::test
