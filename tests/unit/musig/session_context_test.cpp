#include "core/musig/session_context.h"

#include <gtest/gtest.h>

#include "core/bitcoin/taproot.h"
#include "core/secure/random.h"

namespace keymeld::musig {
namespace {

using bitcoin::schnorr_verify;

// The five tweaks of rest-v1.md 5.5.
enum class Kind { None, UnspendableTaproot, MerkleRoot, Plain, XOnly };
constexpr Kind kKinds[] = {Kind::None, Kind::UnspendableTaproot, Kind::MerkleRoot, Kind::Plain,
                           Kind::XOnly};

std::vector<Tweak> tweaks_of(Kind kind, const PlainPubKey& untweaked) {
    const auto x = XOnlyPubKey::from(untweaked);
    ByteArray<32> value = secure::random_array<32>();
    value[0] = 0x7f; // below the group order
    switch (kind) {
    case Kind::None:
        return {};
    case Kind::UnspendableTaproot:
        return {{bitcoin::tap_tweak_hash(x, std::nullopt), TweakMode::XOnly}};
    case Kind::MerkleRoot:
        return {{bitcoin::tap_tweak_hash(x, value), TweakMode::XOnly}};
    case Kind::Plain:
        return {{value, TweakMode::Plain}};
    case Kind::XOnly:
        return {{value, TweakMode::XOnly}};
    }
    return {};
}

// n signers, an aggregate key and one signing session up to the partial signatures.
struct Ceremony {
    std::vector<SecretKey> keys;
    std::optional<KeyAggContext> aggregate;
    ByteArray<32> message = secure::random_array<32>();
    std::vector<SecNonce> secret_nonces;
    std::vector<PubNonce> nonces;
    std::optional<SessionContext> session;

    explicit Ceremony(std::size_t signers, Kind kind = Kind::None) {
        std::vector<PlainPubKey> publics;
        for (std::size_t i = 0; i < signers; ++i) {
            keys.push_back(SecretKey::generate());
            publics.push_back(keys.back().public_key());
        }
        const auto untweaked = KeyAggContext::create(publics).value();
        aggregate = KeyAggContext::create(publics, tweaks_of(kind, untweaked.key())).value();
        for (const SecretKey& key : keys) {
            auto pair = nonce_gen(key, &*aggregate, &message).value();
            secret_nonces.push_back(std::move(pair.secret));
            nonces.push_back(pair.pub);
        }
        session = SessionContext::create(nonce_agg(nonces).value(), message, *aggregate).value();
    }

    std::vector<PartialSignature> sign_all() {
        std::vector<PartialSignature> out;
        for (std::size_t i = 0; i < keys.size(); ++i)
            out.push_back(
                partial_sign(std::move(secret_nonces[i]), keys[i], *aggregate, *session).value());
        return out;
    }
};

TEST(Musig, SignatureOfAllIsABip340Signature) {
    for (const std::size_t signers : {1u, 2u, 3u, 10u}) {
        for (const Kind kind : kKinds) {
            // The parity of the aggregate key before and after the tweak is a matter of luck: go on
            // until all four were met.
            bool met[2][2] = {};
            for (int tries = 0; tries < 60; ++tries) {
                Ceremony ceremony(signers, kind);
                const auto partials = ceremony.sign_all();
                const KeyAggContext& aggregate = *ceremony.aggregate;
                const auto signature =
                    aggregate_and_verify(aggregate, *ceremony.session, ceremony.nonces, partials);
                ASSERT_TRUE(signature)
                    << signers << ' ' << static_cast<int>(kind) << ' ' << signature.error().detail;
                ASSERT_TRUE(schnorr_verify(*signature, ceremony.message, aggregate.x_only()));
                met[aggregate.untweaked_key().has_even_y()][aggregate.key().has_even_y()] = true;
                const bool all_met = kind == Kind::None
                                         ? met[0][0] && met[1][1]
                                         : met[0][0] && met[0][1] && met[1][0] && met[1][1];
                if (all_met)
                    break;
                ASSERT_LT(tries, 59) << "parities are not random";
            }
        }
    }
}

TEST(Musig, EqualKeysCanSignTogether) {
    const SecretKey key = SecretKey::generate();
    const std::vector<PlainPubKey> twice{key.public_key(), key.public_key()};
    const auto aggregate = KeyAggContext::create(twice).value();
    auto a = nonce_gen(key).value();
    auto b = nonce_gen(key).value();
    const std::vector<PubNonce> nonces{a.pub, b.pub};
    const ByteArray<32> message{5};
    const auto session =
        SessionContext::create(nonce_agg(nonces).value(), message, aggregate).value();
    const std::vector<PartialSignature> partials{
        partial_sign(std::move(a.secret), key, aggregate, session).value(),
        partial_sign(std::move(b.secret), key, aggregate, session).value()};
    EXPECT_TRUE(aggregate_and_verify(aggregate, session, nonces, partials));
}

TEST(PartialSign, EndsTheNonceOnEveryPath) {
    Ceremony ceremony(2);
    Ceremony other(2);
    const auto error = [&](std::size_t nonce, const SecretKey& key, const KeyAggContext& aggregate,
                           const SessionContext& session) {
        const auto signed_ =
            partial_sign(std::move(ceremony.secret_nonces[nonce]), key, aggregate, session);
        EXPECT_FALSE(ceremony.secret_nonces[nonce].usable());
        return signed_ ? Errc{} : signed_.error().code;
    };
    // Good, then again with the same object.
    EXPECT_EQ(error(0, ceremony.keys[0], *ceremony.aggregate, *ceremony.session), Errc{});
    EXPECT_EQ(error(0, ceremony.keys[0], *ceremony.aggregate, *ceremony.session),
              Errc::NonceConsumed);
    // Another signer's key.
    EXPECT_EQ(error(1, ceremony.keys[0], *ceremony.aggregate, *ceremony.session),
              Errc::KeyMismatch);
    EXPECT_EQ(error(1, ceremony.keys[1], *ceremony.aggregate, *ceremony.session),
              Errc::NonceConsumed);
    // A session of another key; a key that is not among the signers.
    Ceremony third(2);
    ceremony.secret_nonces = std::move(third.secret_nonces);
    EXPECT_EQ(error(0, third.keys[0], *third.aggregate, *other.session), Errc::InvalidArgument);
    EXPECT_EQ(error(1, third.keys[1], *other.aggregate, *other.session), Errc::KeyMismatch);
    EXPECT_EQ(error(1, third.keys[1], *third.aggregate, *third.session), Errc::NonceConsumed);
}

TEST(PartialSigVerify, BlamesTheSigner) {
    Ceremony ceremony(3, Kind::UnspendableTaproot);
    auto partials = ceremony.sign_all();
    for (std::uint32_t i = 0; i < 3; ++i)
        EXPECT_TRUE(partial_sig_verify(partials[i], ceremony.nonces[i], SignerIndex{i},
                                       *ceremony.aggregate, *ceremony.session));
    std::swap(partials[1], partials[2]);
    const auto status = partial_sig_verify(partials[1], ceremony.nonces[1], SignerIndex{1},
                                           *ceremony.aggregate, *ceremony.session);
    ASSERT_FALSE(status);
    EXPECT_EQ(blamed(status.error()),
              (InvalidContribution{SignerIndex{1}, Contribution::PartialSig}));
    EXPECT_EQ(partial_sig_verify(partials[0], ceremony.nonces[0], SignerIndex{3},
                                 *ceremony.aggregate, *ceremony.session)
                  .error()
                  .code,
              Errc::InvalidArgument);
    Ceremony other(3);
    EXPECT_EQ(partial_sig_verify(partials[0], ceremony.nonces[0], SignerIndex{0}, *other.aggregate,
                                 *ceremony.session)
                  .error()
                  .code,
              Errc::InvalidArgument);
}

TEST(AggregateAndVerify, NamesWhoSpoiltTheSignature) {
    for (std::uint32_t culprit = 0; culprit < 3; ++culprit) {
        Ceremony ceremony(3, Kind::MerkleRoot);
        auto partials = ceremony.sign_all();
        ByteArray<32> bytes = partials[culprit].bytes();
        bytes[31] = static_cast<std::uint8_t>(bytes[31] ^ 1);
        partials[culprit] = PartialSignature::parse(bytes).value();
        const auto signature =
            aggregate_and_verify(*ceremony.aggregate, *ceremony.session, ceremony.nonces, partials);
        ASSERT_FALSE(signature);
        EXPECT_EQ(blamed(signature.error()),
                  (InvalidContribution{SignerIndex{culprit}, Contribution::PartialSig}));
    }
}

TEST(AggregateAndVerify, NeedsEverySigner) {
    Ceremony ceremony(3);
    const auto partials = ceremony.sign_all();
    const auto error = [&](std::span<const PubNonce> nonces,
                           std::span<const PartialSignature> signatures) {
        const auto made =
            aggregate_and_verify(*ceremony.aggregate, *ceremony.session, nonces, signatures);
        return made ? Errc{} : made.error().code;
    };
    EXPECT_EQ(error(ceremony.nonces, partials), Errc{});
    EXPECT_EQ(error(ceremony.nonces, std::span(partials).first(2)), Errc::InvalidArgument);
    EXPECT_EQ(error(std::span(ceremony.nonces).first(2), partials), Errc::InvalidArgument);
    EXPECT_EQ(error({}, {}), Errc::InvalidArgument);
    EXPECT_EQ(partial_sig_agg(*ceremony.session, {}).error().code, Errc::InvalidArgument);
    EXPECT_FALSE(
        schnorr_verify(partial_sig_agg(*ceremony.session, std::span(partials).first(2)).value(),
                       ceremony.message, ceremony.aggregate->x_only()));
}

TEST(PartialSignature, IsAScalar) {
    ByteArray<32> bytes{};
    EXPECT_TRUE(PartialSignature::parse(bytes));
    bytes.fill(0xff);
    EXPECT_EQ(PartialSignature::parse(bytes).error().code, Errc::InvalidScalar);
    EXPECT_EQ(PartialSignature::parse(ByteView(bytes).first(31)).error().code, Errc::InvalidScalar);
    const auto parsed = PartialSignature::parse(ByteArray<32>{1}).value();
    EXPECT_EQ(PartialSignature::from_opaque(parsed.opaque()), parsed);
}

} // namespace
} // namespace keymeld::musig
