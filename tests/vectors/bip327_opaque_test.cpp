// BIP-327 vectors that give a secret nonce. Neither libsecp256k1 nor our interface takes one, on
// purpose, so this test writes the library's opaque structures itself, as libsecp256k1 0.6 and 0.7
// lay them out, and skips when the library at hand lays them out otherwise. It shows that our key
// aggregation and session contexts make the library sign what the BIP says.
#include <cstring>

#include <secp256k1.h>
#include <secp256k1_musig.h>

#include "core/crypto/secp256k1_context.h"
#include "core/musig/session_context.h"
#include "core/secure/random.h"
#include "tests/support/vectors.h"

namespace keymeld::test {
namespace {

using namespace musig;
using crypto::misuse_reported;
using crypto::opaque_load;
using crypto::opaque_store;
using crypto::secp_context;

constexpr ByteArray<4> kSecNonceMagic{0x22, 0x0e, 0xdc, 0xf1};
constexpr ByteArray<4> kKeyAggMagic{0xf4, 0xad, 0xbb, 0xdf};

// magic (4) || k1 (32) || k2 (32) || public key (64)
secp256k1_musig_secnonce make_sec_nonce(ByteView k1, ByteView k2, const PlainPubKey& signer) {
    secp256k1_musig_secnonce out;
    std::memcpy(out.data, kSecNonceMagic.data(), 4);
    std::memcpy(out.data + 4, k1.data(), 32);
    std::memcpy(out.data + 36, k2.data(), 32);
    std::memcpy(out.data + 68, signer.opaque().data(), 64);
    return out;
}

// Whether the library's own structures look as assumed.
bool layout_is_known() {
    const SecretKey key = SecretKey::generate();
    const auto point = opaque_load<secp256k1_pubkey>(key.public_key().opaque());
    auto random = secure::random_array<32>();
    secp256k1_musig_secnonce nonce;
    secp256k1_musig_pubnonce pub;
    if (secp256k1_musig_nonce_gen(secp_context(), &nonce, &pub, random.data(), nullptr, &point,
                                  nullptr, nullptr, nullptr) != 1)
        return false;
    const PlainPubKey keys[] = {key.public_key()};
    const auto aggregate = KeyAggContext::create(keys).value();
    return sizeof nonce == 132 && std::memcmp(nonce.data, kSecNonceMagic.data(), 4) == 0 &&
           std::memcmp(nonce.data + 68, key.public_key().opaque().data(), 64) == 0 &&
           std::memcmp(aggregate.opaque().data(), kKeyAggMagic.data(), 4) == 0;
}

#define KEYMELD_KNOWN_LAYOUT_OR_SKIP()                                                             \
    if (!layout_is_known())                                                                        \
    GTEST_SKIP() << "NOT RUN: this libsecp256k1 lays its opaque structures out in a way this "     \
                    "test does not know"

std::vector<PlainPubKey> keys_of(const value& pool, const value& indices) {
    std::vector<PlainPubKey> out;
    for (const value& i : indices.as_array())
        out.push_back(PlainPubKey::parse(unhex(pool.at(index(i)))).value());
    return out;
}

// Signs as partial_sign() does, but with a nonce of the vectors. Empty if the library refuses.
std::optional<std::string> sign(const Bytes& sec_nonce97, const SecretKey& key,
                                const KeyAggContext& aggregate, const SessionContext& session) {
    const auto signer = PlainPubKey::parse(ByteView(sec_nonce97).subspan(64)).value();
    auto nonce = make_sec_nonce(ByteView(sec_nonce97).first(32),
                                ByteView(sec_nonce97).subspan(32, 32), signer);
    secp256k1_keypair pair;
    std::memcpy(pair.data, key.keypair().data(), sizeof pair.data);
    const auto cache = opaque_load<secp256k1_musig_keyagg_cache>(aggregate.opaque());
    const auto process = opaque_load<secp256k1_musig_session>(session.opaque());
    secp256k1_musig_partial_sig signature;
    if (secp256k1_musig_partial_sign(secp_context(), &signature, &nonce, &pair, &cache, &process) !=
        1) {
        EXPECT_TRUE(misuse_reported());
        return std::nullopt;
    }
    return hex_encode(PartialSignature::from_opaque(opaque_store(signature)).bytes());
}

TEST(Bip327OpaqueVectors, Sign) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("sign_verify_vectors.json"));
    KEYMELD_KNOWN_LAYOUT_OR_SKIP();
    const SecretKey key = SecretKey::parse(unhex(vectors.at("sk"))).value();
    const auto session_of = [&](const value& v, const KeyAggContext& aggregate) {
        const auto sum =
            AggNonce::parse(unhex(vectors.at("aggnonces").at(index(v.at("aggnonce_index")))))
                .value();
        return SessionContext::create(
                   sum, unhex_array<32>(vectors.at("msgs").at(index(v.at("msg_index")))), aggregate)
            .value();
    };
    std::size_t done = 0;
    for (const value& v : vectors.at("valid_test_cases").as_array()) {
        if (unhex(vectors.at("msgs").at(index(v.at("msg_index")))).size() != 32)
            continue;
        const auto aggregate =
            KeyAggContext::create(keys_of(vectors.at("pubkeys"), v.at("key_indices"))).value();
        EXPECT_EQ(
            sign(unhex(vectors.at("secnonces").at(0)), key, aggregate, session_of(v, aggregate)),
            hex_encode(unhex(v.at("expected"))));
        ++done;
    }
    EXPECT_EQ(done, 4u);

    // "Secnonce is invalid which may indicate nonce reuse"
    const auto& reuse = vectors.at("sign_error_test_cases").as_array().back();
    const auto aggregate =
        KeyAggContext::create(keys_of(vectors.at("pubkeys"), reuse.at("key_indices"))).value();
    EXPECT_EQ(
        sign(unhex(vectors.at("secnonces").at(1)), key, aggregate, session_of(reuse, aggregate)),
        std::nullopt);
}

TEST(Bip327OpaqueVectors, Tweak) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("tweak_vectors.json"));
    KEYMELD_KNOWN_LAYOUT_OR_SKIP();
    const SecretKey key = SecretKey::parse(unhex(vectors.at("sk"))).value();
    const auto sum = AggNonce::parse(unhex(vectors.at("aggnonce"))).value();
    const array& valid = vectors.at("valid_test_cases").as_array();
    ASSERT_EQ(valid.size(), 5u);
    for (const value& v : valid) {
        std::vector<Tweak> tweaks;
        for (const value& i : v.at("tweak_indices").as_array()) {
            const bool x_only = v.at("is_xonly").at(tweaks.size()).as_bool();
            tweaks.push_back({unhex_array<32>(vectors.at("tweaks").at(index(i))),
                              x_only ? TweakMode::XOnly : TweakMode::Plain});
        }
        const auto aggregate =
            KeyAggContext::create(keys_of(vectors.at("pubkeys"), v.at("key_indices")), tweaks)
                .value();
        const auto session =
            SessionContext::create(sum, unhex_array<32>(vectors.at("msg")), aggregate).value();
        EXPECT_EQ(sign(unhex(vectors.at("secnonce")), key, aggregate, session),
                  hex_encode(unhex(v.at("expected"))))
            << v.at("comment");
    }
}

TEST(Bip327OpaqueVectors, NonceGen) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("nonce_gen_vectors.json"));
    KEYMELD_KNOWN_LAYOUT_OR_SKIP();
    std::size_t done = 0;
    for (const value& v : vectors.at("test_cases").as_array()) {
        const bool has_message = !v.at("msg").is_null();
        if (has_message && text(v.at("msg")).size() != 64)
            continue; // libsecp256k1 takes 32-byte messages only
        auto random = unhex_array<32>(v.at("rand_"));
        const auto signer = PlainPubKey::parse(unhex(v.at("pk"))).value();
        const auto point = opaque_load<secp256k1_pubkey>(signer.opaque());
        const auto optional32 = [&](std::string_view name) {
            return v.at(name).is_null() ? Bytes{} : unhex(v.at(name));
        };
        const Bytes secret = optional32("sk");
        const Bytes message = optional32("msg");
        const Bytes extra = optional32("extra_in");
        // magic (4) || aggregate key (64) || rest, which nonce generation does not look at
        secp256k1_musig_keyagg_cache cache{};
        const bool has_aggregate = !v.at("aggpk").is_null();
        if (has_aggregate) {
            Bytes even{2};
            const Bytes x = unhex(v.at("aggpk"));
            even.insert(even.end(), x.begin(), x.end());
            const auto aggregate = PlainPubKey::parse(even).value();
            std::memcpy(cache.data, kKeyAggMagic.data(), 4);
            std::memcpy(cache.data + 4, aggregate.opaque().data(), 64);
        }
        secp256k1_musig_secnonce nonce;
        secp256k1_musig_pubnonce pub;
        const auto pointer = [](const Bytes& bytes) {
            return bytes.empty() ? nullptr : bytes.data();
        };
        ASSERT_EQ(secp256k1_musig_nonce_gen(secp_context(), &nonce, &pub, random.data(),
                                            pointer(secret), &point, pointer(message),
                                            has_aggregate ? &cache : nullptr, pointer(extra)),
                  1);
        EXPECT_EQ(hex_encode(ByteView(nonce.data + 4, 64)) + signer.hex(),
                  hex_encode(unhex(v.at("expected_secnonce"))));
        EXPECT_EQ(hex_encode(PubNonce::from_opaque(opaque_store(pub)).bytes()),
                  hex_encode(unhex(v.at("expected_pubnonce"))));
        ++done;
    }
    EXPECT_EQ(done, 2u);
}

} // namespace
} // namespace keymeld::test
