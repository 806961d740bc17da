// The small parts of the signer on their own.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "core/secure/random.h"
#include "enclave/signer/ledger.h"
#include "enclave/signer/nonce_memory.h"
#include "enclave/signer/sealing.h"
#include "enclave/signer/secret_codec.h"
#include "enclave/signer/state_versions.h"

namespace keymeld::enclave {
namespace {

TEST(MarkMap, BehavesLikeAMap) {
    std::mt19937_64 random(1);
    std::map<Mark, std::uint64_t> expected;
    MarkMap map;
    EXPECT_FALSE(map.find(1));
    for (int i = 0; i < 20'000; ++i) {
        const Mark mark = random() % 5'000 + 1;
        const std::uint64_t word = random();
        map.set(mark, word);
        expected[mark] = word;
    }
    EXPECT_EQ(map.size(), expected.size());
    for (const auto& [mark, word] : expected)
        EXPECT_EQ(map.find(mark), word);
    EXPECT_FALSE(map.find(5'001));
    std::size_t seen = 0;
    map.for_each([&](Mark mark, std::uint64_t word) {
        EXPECT_EQ(expected.at(mark), word);
        ++seen;
    });
    EXPECT_EQ(seen, expected.size());
}

TEST(Marker, MarksDependOnKindKeyAndValue) {
    const auto key = secure::random_secret<32>();
    const Marker marker(key.clone());
    const Marker other(secure::random_secret<32>());
    const KeygenId keygen;
    const UserId user;
    const SigningId signing;
    EXPECT_EQ(marker.keygen(keygen), Marker(key.clone()).keygen(keygen));
    EXPECT_NE(marker.keygen(keygen), other.keygen(keygen));
    EXPECT_NE(marker.user(keygen, user), marker.signing(keygen, signing));
    EXPECT_NE(marker.session_nonce(keygen, "aa"), marker.session_nonce(keygen, "ab"));
}

TEST(NonceUse, KeepsKindAndSubjectApart) {
    const NonceUse create = NonceUse::of(UseKind::CreateSigning, 0x1234'5678'9abc'def0);
    EXPECT_EQ(create, NonceUse::of(UseKind::CreateSigning, 0x1234'5678'9abc'def0));
    EXPECT_NE(create, NonceUse::of(UseKind::Approve, 0x1234'5678'9abc'def0));
    EXPECT_NE(create, NonceUse::of(UseKind::CreateSigning, 0x1234'5678'9abc'de00));
    EXPECT_EQ(create.kind(), UseKind::CreateSigning);
    EXPECT_EQ(judge_use(create, create), NonceVerdict::SameUse);
    EXPECT_EQ(judge_use(create, NonceUse::read(9)), NonceVerdict::Replayed);
    EXPECT_EQ(judge_use(NonceUse::read(3), create), NonceVerdict::Replayed);
    EXPECT_EQ(judge_use(NonceUse::read(3), NonceUse::read(3)), NonceVerdict::Replayed);
    EXPECT_EQ(judge_use(NonceUse::read(3), NonceUse::read(2)), NonceVerdict::Replayed);
    EXPECT_EQ(judge_use(NonceUse::read(3), NonceUse::read(4)), NonceVerdict::SameUse);
}

TEST(RecentNonces, KeepsTheLatest) {
    RecentNonces nonces(3);
    for (Mark mark = 1; mark <= 5; ++mark)
        nonces.note(mark, NonceUse::read(mark));
    EXPECT_EQ(nonces.size(), 3u);
    EXPECT_FALSE(nonces.find(1));
    EXPECT_FALSE(nonces.find(2));
    for (Mark mark = 3; mark <= 5; ++mark)
        EXPECT_EQ(nonces.find(mark), NonceUse::read(mark));
    nonces.note(4, NonceUse::read(9));
    EXPECT_EQ(nonces.size(), 3u);
    EXPECT_EQ(nonces.find(4), NonceUse::read(9));
    RecentNonces none(0);
    none.note(1, NonceUse::read(1));
    EXPECT_FALSE(none.find(1));
}

TEST(SigningNonces, KeepsAtLeastOneGeneration) {
    SigningNonces nonces(10);
    for (Mark mark = 1; mark <= 100; ++mark) {
        nonces.note(mark, NonceUse::of(UseKind::Approve, 8 * mark));
        for (Mark recent = mark; recent > 0 && mark - recent < 10; --recent)
            EXPECT_TRUE(nonces.find(recent));
        EXPECT_LE(nonces.size(), 20u);
    }
    EXPECT_FALSE(nonces.find(1));
}

TEST(SecretCodec, ReadsBackAndFailsClosed) {
    SecretWriter out;
    out.u8(0xfe);
    out.u16(0xfedc);
    out.u32(0xfedcba98);
    out.u64(0xfedcba9876543210);
    const ByteArray<300> bytes{1, 2, 3};
    out.raw(bytes);
    SecretReader in(out.written());
    EXPECT_EQ(in.u8(), 0xfe);
    EXPECT_EQ(in.u16(), 0xfedc);
    EXPECT_EQ(in.u32(), 0xfedcba98);
    EXPECT_EQ(in.u64(), 0xfedcba9876543210);
    EXPECT_FALSE(in.done());
    EXPECT_EQ(in.array<300>(), bytes);
    EXPECT_TRUE(in.done());
    EXPECT_EQ(in.u64(), 0u);
    EXPECT_FALSE(in.ok());
    EXPECT_FALSE(in.done());

    SecretReader counts(out.written());
    EXPECT_FALSE(counts.fits(~std::size_t{0}, 16));
    EXPECT_FALSE(counts.ok());
    EXPECT_TRUE(counts.raw(1).empty());
}

Ledger sample_ledger() {
    Ledger ledger(3);
    for (std::uint8_t i = 1; i <= 5; ++i) {
        SigningId id;
        id.bytes[0] = i;
        ledger.apply(SigningAccepted{id, {i}, i});
        ledger.apply(NonceUsed{i, NonceUse::of(UseKind::CreateSigning, i * 8u)});
        ledger.apply(Approved{id, {2, true, 1000u + i}});
        ledger.apply(Approved{id, {0, false, ApprovalFact::kNever}});
        if (i > 3)
            ledger.apply(SigningEnded{id, i * 100u, i == 4 ? Ending::Rejected : Ending::Closed});
    }
    ledger.apply(PeerSeen{1, 17});
    ledger.apply(PeerSeen{1, 3});
    ledger.apply(PeerLife{1, {2, 22}});
    ledger.apply(PeerLife{1, {1, 11}});
    ledger.apply(PeerLife{1, {2, 23}});
    return ledger;
}

TEST(Ledger, ComesBackFromItsSnapshot) {
    const Ledger ledger = sample_ledger();
    SecretWriter out;
    ledger.encode(out);
    EXPECT_EQ(out.size(), ledger.encoded_size());
    Ledger back(3);
    SecretReader in(out.written());
    back.decode(in, true);
    ASSERT_TRUE(in.done());
    EXPECT_EQ(back.accepted(), 5u);
    EXPECT_EQ(back.entries(), ledger.entries());
    EXPECT_EQ(back.encoded_size(), ledger.encoded_size());
    EXPECT_EQ(back.peer_version(1), 17u);
    EXPECT_EQ(back.peer_incarnation(1), (Incarnation{2, 22}));
    EXPECT_EQ(back.peer_incarnation(2), Incarnation{});
    EXPECT_EQ(back.ended(400), Ending::Rejected);
    EXPECT_EQ(back.ended(500), Ending::Closed);
    EXPECT_FALSE(back.ended(300));
    SigningId id;
    id.bytes[0] = 2;
    ASSERT_NE(back.open(id), nullptr);
    EXPECT_EQ(back.open(id)->approvals, ledger.open(id)->approvals);
    ASSERT_EQ(back.open(id)->approvals.size(), 2u);
    EXPECT_EQ(back.open(id)->approval_of(0)->expires_at, ApprovalFact::kNever);
    EXPECT_EQ(back.open(id)->approval_of(1), nullptr);
    EXPECT_EQ(back.nonce(3), NonceUse::of(UseKind::CreateSigning, 24));
    id.bytes[0] = 5;
    EXPECT_EQ(back.open(id), nullptr);
}

TEST(Incarnation, NoEarlierLifeAndNoSecondOneOfANumber) {
    const Incarnation seen{2, 7};
    EXPECT_TRUE((Incarnation{2, 7}.may_follow(seen)));
    EXPECT_TRUE((Incarnation{3, 1}.may_follow(seen)));
    EXPECT_FALSE((Incarnation{2, 8}.may_follow(seen)));
    EXPECT_FALSE((Incarnation{1, 7}.may_follow(seen)));
    EXPECT_FALSE(Incarnation{}.may_follow(seen));
    EXPECT_TRUE(seen.may_follow({}));
    EXPECT_TRUE(Incarnation{}.may_follow({}));
}

TEST(Identity, ComesBackFromItsTravellingFormOnly) {
    const auto identity = EnclaveIdentity::generate(3, 1'000).reincarnated(2);
    const auto bytes = encode_identity(identity);
    const auto back = decode_identity(bytes.expose());
    ASSERT_TRUE(back);
    EXPECT_EQ(back->public_key(), identity.public_key());
    EXPECT_EQ(back->epoch(), 3u);
    EXPECT_EQ(back->generated_at(), 1'000u);
    EXPECT_EQ(back->incarnation(), 2u);
    for (std::size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(decode_identity(bytes.expose().first(size))) << size;
    Bytes longer = to_bytes(bytes.expose());
    longer.push_back(0);
    EXPECT_FALSE(decode_identity(longer));
    // Another version, no scalar, epoch 0, incarnation 0 and one that could overflow.
    const std::size_t size = bytes.size();
    for (const auto& [from, to, value] : {std::tuple{std::size_t{0}, std::size_t{1}, 2},
                                          {1, 33, 0},
                                          {1, 33, 255},
                                          {33, 41, 0},
                                          {size - 8, size, 0},
                                          {size - 8, size - 7, 255}}) {
        Bytes wrong = to_bytes(bytes.expose());
        std::fill(wrong.begin() + static_cast<std::ptrdiff_t>(from),
                  wrong.begin() + static_cast<std::ptrdiff_t>(to),
                  static_cast<std::uint8_t>(value));
        EXPECT_FALSE(decode_identity(wrong)) << from << ' ' << value;
    }
}

TEST(StateVersions, ComeBackAndNeverGoBack) {
    using enum StateVersions::Kind;
    StateVersions versions(3);
    versions.note(Keygen, 1, 10, false);
    versions.note(Keygen, 1, 9, false);
    versions.note(Keygen, 2, 5, true);
    versions.note(Keygen, 2, 99, false);
    versions.note(SingleKey, 1, 7, false);
    versions.note(SingleKey, 2, 7, false); // beyond the capacity
    versions.note(SingleKey, 1, 8, false);
    const auto list = [](const StateVersions& of, StateVersions::Kind kind) {
        std::map<Mark, std::pair<std::uint64_t, bool>> out;
        of.for_each(kind, [&](Mark mark, std::uint64_t version, bool deleted) {
            out[mark] = {version, deleted};
        });
        return out;
    };
    const Bytes bytes = versions.encode();
    const auto back = StateVersions::decode(bytes);
    ASSERT_TRUE(back);
    for (const StateVersions& each : {versions, *back}) {
        const auto keygens = list(each, Keygen);
        ASSERT_EQ(keygens.size(), 2u);
        EXPECT_EQ(keygens.at(1), std::pair(std::uint64_t{10}, false));
        EXPECT_EQ(keygens.at(2), std::pair(std::uint64_t{5}, true));
        EXPECT_EQ(list(each, SingleKey).size(), 1u);
        EXPECT_EQ(list(each, SingleKey).at(1), std::pair(std::uint64_t{8}, false));
    }
    for (std::size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(StateVersions::decode(ByteView(bytes).first(size))) << size;
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(StateVersions::decode(longer));
    EXPECT_FALSE(StateVersions::decode(Bytes(8, 255)));
    Bytes no_mark = bytes;
    std::fill_n(no_mark.begin() + 4, 8, std::uint8_t{0});
    EXPECT_FALSE(StateVersions::decode(no_mark));
}

TEST(Ledger, IsReadAsItWasWrittenBeforePeersHadLives) {
    const Ledger ledger = sample_ledger();
    SecretWriter out;
    ledger.encode(out);
    Ledger back(3);
    SecretReader in(out.written().first(out.size() - std::size_t{3} * 16));
    back.decode(in, false);
    ASSERT_TRUE(in.done());
    EXPECT_EQ(back.peer_version(1), 17u);
    EXPECT_EQ(back.peer_incarnation(1), Incarnation{});
}

TEST(Ledger, RefusesEveryTruncation) {
    SecretWriter out;
    sample_ledger().encode(out);
    for (std::size_t size = 0; size < out.size(); ++size) {
        Ledger back(3);
        SecretReader in(out.written().first(size));
        back.decode(in, true);
        EXPECT_FALSE(in.done()) << size;
    }
}

TEST(Ledger, FactsComeBackFromTheirDeltas) {
    SecretWriter out;
    SigningId id;
    id.bytes[3] = 7;
    SigningAccepted{id, {9}, 11}.encode(out);
    NonceUsed{11, NonceUse::of(UseKind::CreateSigning, 80)}.encode(out);
    Approved{id, {1, true, 55}}.encode(out);
    SigningEnded{id, 13, Ending::Rejected}.encode(out);
    PeerSeen{2, 99}.encode(out);
    SecretReader in(out.written());
    EXPECT_EQ(in.u8(), static_cast<std::uint8_t>(FactTag::SigningAccepted));
    const auto accepted = SigningAccepted::decode(in);
    EXPECT_EQ(accepted.signing, id);
    EXPECT_EQ(accepted.message[0], 9);
    EXPECT_EQ(in.u8(), static_cast<std::uint8_t>(FactTag::NonceUsed));
    EXPECT_EQ(NonceUsed::decode(in).nonce, 11u);
    EXPECT_EQ(in.u8(), static_cast<std::uint8_t>(FactTag::Approved));
    EXPECT_EQ(Approved::decode(in).approval, (ApprovalFact{1, true, 55}));
    EXPECT_EQ(in.u8(), static_cast<std::uint8_t>(FactTag::SigningEnded));
    EXPECT_EQ(SigningEnded::decode(in).ending, Ending::Rejected);
    EXPECT_EQ(in.u8(), static_cast<std::uint8_t>(FactTag::PeerSeen));
    EXPECT_EQ(PeerSeen::decode(in).version, 99u);
    EXPECT_TRUE(in.done());
}

} // namespace
} // namespace keymeld::enclave
