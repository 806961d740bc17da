// BIP-327: the vectors that the public interface can run. Those that need a given secret nonce are
// in bip327_opaque_test.cpp.
#include "core/musig/session_context.h"
#include "tests/support/vectors.h"

namespace keymeld::test {
namespace {

using namespace musig;
using bitcoin::schnorr_verify;

// What a signer's bytes are read as, with the blame that the vectors expect when they cannot be
// read.
template <class T>
Result<std::vector<T>> parse_all(const value& pool, const value& indices,
                                 Contribution contribution) {
    std::vector<T> out;
    std::uint32_t signer = 0;
    for (const value& i : indices.as_array()) {
        auto parsed = T::parse(unhex(pool.at(index(i))));
        if (!parsed)
            return contribution_error({SignerIndex{signer}, contribution});
        out.push_back(std::move(*parsed));
        ++signer;
    }
    return out;
}

std::vector<Tweak> tweaks_of(const value& pool, const object& test) {
    std::vector<Tweak> out;
    if (!test.contains("tweak_indices"))
        return out;
    const array& modes = test.at("is_xonly").as_array();
    for (const value& i : test.at("tweak_indices").as_array()) {
        const bool x_only = modes.at(out.size()).as_bool();
        out.push_back(
            {unhex_array<32>(pool.at(index(i))), x_only ? TweakMode::XOnly : TweakMode::Plain});
    }
    return out;
}

void expect_blame(const Error& error, const value& expected, Contribution contribution) {
    ASSERT_EQ(text(expected.at("type")), "invalid_contribution");
    EXPECT_EQ(blamed(error),
              (InvalidContribution{SignerIndex{expected.at("signer").to_number<std::uint32_t>()},
                                   contribution}));
}

TEST(Bip327Vectors, KeySort) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("key_sort_vectors.json"));
    std::vector<PlainPubKey> keys;
    for (const value& key : vectors.at("pubkeys").as_array())
        keys.push_back(PlainPubKey::parse(unhex(key)).value());
    key_sort(keys);
    const array& sorted = vectors.at("sorted_pubkeys").as_array();
    ASSERT_EQ(keys.size(), sorted.size());
    ASSERT_FALSE(keys.empty());
    for (std::size_t i = 0; i < keys.size(); ++i)
        EXPECT_EQ(hex_encode(keys[i].bytes()), hex_encode(unhex(sorted[i])));
}

TEST(Bip327Vectors, KeyAgg) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("key_agg_vectors.json"));
    const array& valid = vectors.at("valid_test_cases").as_array();
    ASSERT_EQ(valid.size(), 4u);
    for (const value& v : valid) {
        const auto keys =
            parse_all<PlainPubKey>(vectors.at("pubkeys"), v.at("key_indices"), Contribution::PubKey)
                .value();
        EXPECT_EQ(hex_encode(KeyAggContext::create(keys)->x_only().bytes()),
                  hex_encode(unhex(v.at("expected"))));
    }
    std::size_t checked = 0;
    for (const value& v : vectors.at("error_test_cases").as_array()) {
        const auto keys = parse_all<PlainPubKey>(vectors.at("pubkeys"), v.at("key_indices"),
                                                 Contribution::PubKey);
        ++checked;
        if (!keys) {
            expect_blame(keys.error(), v.at("error"), Contribution::PubKey);
            continue;
        }
        const auto made =
            KeyAggContext::create(*keys, tweaks_of(vectors.at("tweaks"), v.as_object()));
        ASSERT_FALSE(made) << v.at("comment");
        const bool infinity =
            text(v.at("error").at("message")).find("infinity") != std::string::npos;
        EXPECT_EQ(made.error().code, infinity ? Errc::AggregateAtInfinity : Errc::InvalidScalar)
            << v.at("comment");
    }
    EXPECT_EQ(checked, 5u);
}

TEST(Bip327Vectors, NonceAgg) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("nonce_agg_vectors.json"));
    const array& valid = vectors.at("valid_test_cases").as_array();
    ASSERT_EQ(valid.size(), 2u);
    for (const value& v : valid) {
        const auto nonces = parse_all<PubNonce>(vectors.at("pnonces"), v.at("pnonce_indices"),
                                                Contribution::PubNonce)
                                .value();
        EXPECT_EQ(hex_encode(nonce_agg(nonces)->bytes()), hex_encode(unhex(v.at("expected"))));
    }
    const array& bad = vectors.at("error_test_cases").as_array();
    ASSERT_EQ(bad.size(), 3u);
    for (const value& v : bad) {
        const auto nonces = parse_all<PubNonce>(vectors.at("pnonces"), v.at("pnonce_indices"),
                                                Contribution::PubNonce);
        ASSERT_FALSE(nonces) << v.at("comment");
        expect_blame(nonces.error(), v.at("error"), Contribution::PubNonce);
    }
}

TEST(Bip327Vectors, PartialSigVerify) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("sign_verify_vectors.json"));
    const auto messages = vectors.at("msgs").as_array();
    std::size_t verified = 0;
    std::size_t other_length = 0;
    for (const value& v : vectors.at("valid_test_cases").as_array()) {
        const Bytes message = unhex(messages.at(index(v.at("msg_index"))));
        if (message.size() != 32) {
            ++other_length; // libsecp256k1 signs 32-byte messages only
            continue;
        }
        const auto keys =
            parse_all<PlainPubKey>(vectors.at("pubkeys"), v.at("key_indices"), Contribution::PubKey)
                .value();
        const auto nonces = parse_all<PubNonce>(vectors.at("pnonces"), v.at("nonce_indices"),
                                                Contribution::PubNonce)
                                .value();
        const auto aggregate = KeyAggContext::create(keys).value();
        const auto sum = nonce_agg(nonces).value();
        EXPECT_EQ(sum,
                  AggNonce::parse(unhex(vectors.at("aggnonces").at(index(v.at("aggnonce_index")))))
                      .value());
        const auto session =
            SessionContext::create(sum, unhex_array<32>(messages.at(index(v.at("msg_index")))),
                                   aggregate)
                .value();
        const SignerIndex signer{v.at("signer_index").to_number<std::uint32_t>()};
        const auto partial = PartialSignature::parse(unhex(v.at("expected"))).value();
        EXPECT_TRUE(partial_sig_verify(partial, nonces[signer.value], signer, aggregate, session))
            << verified;
        ++verified;
    }
    EXPECT_EQ(verified, 4u);
    EXPECT_EQ(other_length, 2u);
}

TEST(Bip327Vectors, PartialSigVerifyFails) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("sign_verify_vectors.json"));
    std::size_t failed = 0;
    for (const value& v : vectors.at("verify_fail_test_cases").as_array()) {
        ++failed;
        const auto partial = PartialSignature::parse(unhex(v.at("sig")));
        if (!partial) {
            EXPECT_EQ(text(v.at("comment")), "Signature exceeds group size");
            continue;
        }
        const auto keys =
            parse_all<PlainPubKey>(vectors.at("pubkeys"), v.at("key_indices"), Contribution::PubKey)
                .value();
        const auto nonces = parse_all<PubNonce>(vectors.at("pnonces"), v.at("nonce_indices"),
                                                Contribution::PubNonce)
                                .value();
        const auto aggregate = KeyAggContext::create(keys).value();
        const auto message = unhex_array<32>(vectors.at("msgs").at(index(v.at("msg_index"))));
        const auto session =
            SessionContext::create(nonce_agg(nonces).value(), message, aggregate).value();
        const SignerIndex signer{v.at("signer_index").to_number<std::uint32_t>()};
        const auto status =
            partial_sig_verify(*partial, nonces[signer.value], signer, aggregate, session);
        ASSERT_FALSE(status) << v.at("comment");
        EXPECT_EQ(blamed(status.error()), (InvalidContribution{signer, Contribution::PartialSig}));
    }
    EXPECT_EQ(failed, 3u);

    std::size_t errors = 0;
    for (const value& v : vectors.at("verify_error_test_cases").as_array()) {
        const auto nonces = parse_all<PubNonce>(vectors.at("pnonces"), v.at("nonce_indices"),
                                                Contribution::PubNonce);
        const auto keys = parse_all<PlainPubKey>(vectors.at("pubkeys"), v.at("key_indices"),
                                                 Contribution::PubKey);
        ASSERT_TRUE(!nonces || !keys) << v.at("comment");
        if (!nonces)
            expect_blame(nonces.error(), v.at("error"), Contribution::PubNonce);
        else
            expect_blame(keys.error(), v.at("error"), Contribution::PubKey);
        ++errors;
    }
    EXPECT_EQ(errors, 2u);
}

TEST(Bip327Vectors, SignRefusesWhatCannotBeRead) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("sign_verify_vectors.json"));
    std::size_t keys_refused = 0;
    std::size_t nonces_refused = 0;
    for (const value& v : vectors.at("sign_error_test_cases").as_array()) {
        const auto keys = parse_all<PlainPubKey>(vectors.at("pubkeys"), v.at("key_indices"),
                                                 Contribution::PubKey);
        if (!keys) {
            expect_blame(keys.error(), v.at("error"), Contribution::PubKey);
            ++keys_refused;
        }
        if (!AggNonce::parse(unhex(vectors.at("aggnonces").at(index(v.at("aggnonce_index")))))) {
            EXPECT_EQ(text(v.at("error").at("contrib")), "aggnonce");
            ++nonces_refused;
        }
    }
    EXPECT_EQ(keys_refused, 1u);
    EXPECT_EQ(nonces_refused, 3u);
}

TEST(Bip327Vectors, Tweaks) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("tweak_vectors.json"));
    const auto message = unhex_array<32>(vectors.at("msg"));
    const array& valid = vectors.at("valid_test_cases").as_array();
    ASSERT_EQ(valid.size(), 5u);
    for (const value& v : valid) {
        const auto keys =
            parse_all<PlainPubKey>(vectors.at("pubkeys"), v.at("key_indices"), Contribution::PubKey)
                .value();
        const auto nonces = parse_all<PubNonce>(vectors.at("pnonces"), v.at("nonce_indices"),
                                                Contribution::PubNonce)
                                .value();
        const auto aggregate =
            KeyAggContext::create(keys, tweaks_of(vectors.at("tweaks"), v.as_object())).value();
        const auto sum = nonce_agg(nonces).value();
        EXPECT_EQ(sum, AggNonce::parse(unhex(vectors.at("aggnonce"))).value());
        const auto session = SessionContext::create(sum, message, aggregate).value();
        const SignerIndex signer{v.at("signer_index").to_number<std::uint32_t>()};
        const auto partial = PartialSignature::parse(unhex(v.at("expected"))).value();
        EXPECT_TRUE(partial_sig_verify(partial, nonces[signer.value], signer, aggregate, session))
            << v.at("comment");
    }
    const array& bad = vectors.at("error_test_cases").as_array();
    ASSERT_EQ(bad.size(), 1u);
    for (const value& v : bad) {
        const auto keys =
            parse_all<PlainPubKey>(vectors.at("pubkeys"), v.at("key_indices"), Contribution::PubKey)
                .value();
        EXPECT_EQ(KeyAggContext::create(keys, tweaks_of(vectors.at("tweaks"), v.as_object()))
                      .error()
                      .code,
                  Errc::InvalidScalar);
    }
}

TEST(Bip327Vectors, SigAgg) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_json("sig_agg_vectors.json"));
    const auto message = unhex_array<32>(vectors.at("msg"));
    const array& valid = vectors.at("valid_test_cases").as_array();
    ASSERT_EQ(valid.size(), 4u);
    for (const value& v : valid) {
        const auto keys =
            parse_all<PlainPubKey>(vectors.at("pubkeys"), v.at("key_indices"), Contribution::PubKey)
                .value();
        const auto nonces = parse_all<PubNonce>(vectors.at("pnonces"), v.at("nonce_indices"),
                                                Contribution::PubNonce)
                                .value();
        const auto partials = parse_all<PartialSignature>(vectors.at("psigs"), v.at("psig_indices"),
                                                          Contribution::PartialSig)
                                  .value();
        const auto aggregate =
            KeyAggContext::create(keys, tweaks_of(vectors.at("tweaks"), v.as_object())).value();
        const auto sum = nonce_agg(nonces).value();
        EXPECT_EQ(sum, AggNonce::parse(unhex(v.at("aggnonce"))).value());
        const auto session = SessionContext::create(sum, message, aggregate).value();
        const auto signature = aggregate_and_verify(aggregate, session, nonces, partials);
        ASSERT_TRUE(signature);
        EXPECT_EQ(hex_encode(signature->bytes), hex_encode(unhex(v.at("expected"))));
        EXPECT_TRUE(schnorr_verify(*signature, message, aggregate.x_only()));
    }
    const array& bad = vectors.at("error_test_cases").as_array();
    ASSERT_EQ(bad.size(), 1u);
    for (const value& v : bad) {
        const auto partials = parse_all<PartialSignature>(vectors.at("psigs"), v.at("psig_indices"),
                                                          Contribution::PartialSig);
        ASSERT_FALSE(partials);
        expect_blame(partials.error(), v.at("error"), Contribution::PartialSig);
    }
}

} // namespace
} // namespace keymeld::test
