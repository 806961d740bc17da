#include "core/crypto/peer_channel.h"

#include <gtest/gtest.h>

#include "core/secure/compare.h"

namespace keymeld::crypto {
namespace {

struct PeerChannels : testing::Test {
    SecretKey alice_key = SecretKey::generate();
    SecretKey bob_key = SecretKey::generate();
    PeerChannel alice = PeerChannel::create(alice_key, bob_key.public_key()).value();
    PeerChannel bob = PeerChannel::create(bob_key, alice_key.public_key()).value();
    Bytes plaintext = to_bytes(as_bytes("partial signatures"));
    Bytes aad = to_bytes(as_bytes("aad"));
    Bytes box = alice.seal("partials/1", plaintext, aad);

    static bool refused(const Result<secure::SecretBytes>& opened) {
        return !opened && opened.error().code == Errc::DecryptFailed;
    }
};

TEST_F(PeerChannels, CarryBothWays) {
    const auto at_bob = bob.open("partials/1", box, aad);
    ASSERT_TRUE(at_bob);
    EXPECT_TRUE(secure::ct_equal(at_bob->expose(), plaintext));
    const auto at_alice = alice.open("answer", bob.seal("answer", {}));
    ASSERT_TRUE(at_alice);
    EXPECT_TRUE(at_alice->empty());
    EXPECT_EQ(alice.peer(), bob_key.public_key());
}

TEST_F(PeerChannels, RefuseReflection) {
    EXPECT_TRUE(refused(alice.open("partials/1", box, aad)));
}

TEST_F(PeerChannels, RefuseOtherContextAadAndPeer) {
    EXPECT_TRUE(refused(bob.open("partials/2", box, aad)));
    EXPECT_TRUE(refused(bob.open("", box, aad)));
    EXPECT_TRUE(refused(bob.open("partials/1", box)));
    const SecretKey carol_key = SecretKey::generate();
    const auto carol = PeerChannel::create(carol_key, alice_key.public_key()).value();
    EXPECT_TRUE(refused(carol.open("partials/1", box, aad)));
    const auto bob_to_carol = PeerChannel::create(bob_key, carol_key.public_key()).value();
    EXPECT_TRUE(refused(bob_to_carol.open("partials/1", box, aad)));
}

TEST_F(PeerChannels, RefuseEveryChangedByteAndLength) {
    for (std::size_t at = 0; at < box.size(); ++at) {
        Bytes changed = box;
        changed[at] = static_cast<std::uint8_t>(changed[at] ^ 0x80);
        ASSERT_TRUE(refused(bob.open("partials/1", changed, aad))) << at;
        ASSERT_TRUE(refused(bob.open("partials/1", ByteView(box).first(at), aad))) << at;
    }
}

TEST_F(PeerChannels, NeverSealTheSameWayTwice) {
    EXPECT_NE(alice.seal("partials/1", plaintext, aad), box);
}

TEST_F(PeerChannels, DerivedKeysAgreeAndDependOnThePurpose) {
    const auto a = alice.derive_key("roster");
    const auto b = bob.derive_key("roster");
    const auto other = bob.derive_key("ledger");
    EXPECT_TRUE(secure::ct_equal(a.expose(), b.expose()));
    EXPECT_FALSE(secure::ct_equal(a.expose(), other.expose()));
}

TEST_F(PeerChannels, NeedTwoDifferentKeys) {
    const auto self = PeerChannel::create(alice_key, alice_key.public_key());
    ASSERT_FALSE(self);
    EXPECT_EQ(self.error().code, Errc::InvalidArgument);
}

} // namespace
} // namespace keymeld::crypto
