#include "core/crypto/secp256k1_context.h"

#include <thread>

#include <gtest/gtest.h>
#include <secp256k1.h>
#include <secp256k1_musig.h>

namespace keymeld::crypto {
namespace {

TEST(Secp256k1Context, MisuseIsReportedAndDoesNotAbort) {
    secp256k1_pubkey no_point{};
    ByteArray<33> out;
    std::size_t length = out.size();
    EXPECT_EQ(secp256k1_ec_pubkey_serialize(secp_context(), out.data(), &length, &no_point,
                                            SECP256K1_EC_COMPRESSED),
              0);
    EXPECT_TRUE(misuse_reported());
    EXPECT_FALSE(misuse_reported()) << "the mark is cleared by reading it";
}

TEST(Secp256k1Context, ReusingASecretNonceDoesNotAbort) {
    secp256k1_musig_secnonce used{}; // what the library leaves of a used nonce
    secp256k1_musig_partial_sig signature;
    const secp256k1_keypair pair{};
    const secp256k1_musig_keyagg_cache cache{};
    const secp256k1_musig_session session{};
    EXPECT_EQ(
        secp256k1_musig_partial_sign(secp_context(), &signature, &used, &pair, &cache, &session),
        0);
    EXPECT_TRUE(misuse_reported());
}

TEST(Secp256k1Context, ANewCallStartsWithoutBlame) {
    secp256k1_pubkey no_point{};
    ByteArray<33> out;
    std::size_t length = out.size();
    EXPECT_EQ(secp256k1_ec_pubkey_serialize(secp_context(), out.data(), &length, &no_point,
                                            SECP256K1_EC_COMPRESSED),
              0);
    static_cast<void>(secp_context());
    EXPECT_FALSE(misuse_reported());
}

TEST(Secp256k1Context, EachThreadHasItsOwn) {
    const void* const mine = secp_context();
    EXPECT_EQ(secp_context(), mine);
    const void* theirs = nullptr;
    std::thread([&] { theirs = secp_context(); }).join();
    EXPECT_NE(theirs, nullptr);
    EXPECT_NE(theirs, mine);
}

} // namespace
} // namespace keymeld::crypto
