#include "core/crypto/aggregate_key_tag.h"

#include <gtest/gtest.h>

#include "core/crypto/hmac.h"
#include "core/crypto/secret_key.h"
#include "core/secure/random.h"

namespace keymeld::crypto {
namespace {

TEST(AggregateKeyTag, CoversIdKeyListAndOrder) {
    const auto secret = secure::random_secret<32>();
    const KeygenId keygen(Uuid{secure::random_array<16>()});
    const PlainPubKey aggregate = SecretKey::generate().public_key();
    std::vector<AggregatedParticipant> list;
    for (int i = 0; i < 3; ++i)
        list.push_back(
            {UserId(Uuid{secure::random_array<16>()}), SecretKey::generate().public_key()});

    const Hash256 tag = aggregate_key_tag(secret, keygen, aggregate, list);
    std::string text = "keymeld-aggregate-v1:" + keygen.text() + ":" + aggregate.hex() + ":";
    text += list[0].user_id.text() + "=" + list[0].public_key.hex() + ",";
    text += list[1].user_id.text() + "=" + list[1].public_key.hex() + ",";
    text += list[2].user_id.text() + "=" + list[2].public_key.hex();
    EXPECT_EQ(tag, hmac_sha256(secret.expose(), as_bytes(text)));

    const std::vector<AggregatedParticipant> reordered{list[1], list[0], list[2]};
    EXPECT_NE(aggregate_key_tag(secret, keygen, aggregate, reordered), tag);
    EXPECT_NE(aggregate_key_tag(secret, keygen, aggregate, std::span(list).first(2)), tag);
    EXPECT_NE(aggregate_key_tag(secret, keygen, list[0].public_key, list), tag);
    EXPECT_NE(aggregate_key_tag(secret, KeygenId(Uuid{}), aggregate, list), tag);
    EXPECT_NE(aggregate_key_tag(secure::random_secret<32>(), keygen, aggregate, list), tag);
}

} // namespace
} // namespace keymeld::crypto
