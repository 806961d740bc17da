#include "core/bitcoin/bound_approval.h"

#include <gtest/gtest.h>

namespace keymeld::bitcoin {
namespace {

TEST(BoundApproval, SignatureCoversEveryField) {
    const SecretKey key = SecretKey::generate();
    BoundApproval approval;
    approval.keygen.bytes[0] = 1;
    approval.signing.bytes[0] = 2;
    approval.user.bytes[0] = 3;
    approval.expires_at = 0x0102030405060708;
    const SchnorrSignature signature = approval.sign(key).value();
    EXPECT_TRUE(approval.verify(signature, key.public_key()));

    const auto refused = [&](auto change) {
        BoundApproval other = approval;
        change(other);
        const Status status = other.verify(signature, key.public_key());
        return !status && status.error().code == Errc::AuthFailed;
    };
    EXPECT_TRUE(refused([](BoundApproval& a) { a.keygen.bytes[15] = 1; }));
    EXPECT_TRUE(refused([](BoundApproval& a) { a.signing.bytes[15] = 1; }));
    EXPECT_TRUE(refused([](BoundApproval& a) { a.user.bytes[15] = 1; }));
    EXPECT_TRUE(refused([](BoundApproval& a) { a.message_hash[31] = 1; }));
    for (int bit = 0; bit < 64; ++bit)
        EXPECT_TRUE(refused([&](BoundApproval& a) { a.expires_at ^= std::uint64_t{1} << bit; }));
    EXPECT_FALSE(approval.verify(signature, SecretKey::generate().public_key()));
}

} // namespace
} // namespace keymeld::bitcoin
