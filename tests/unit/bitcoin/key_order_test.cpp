#include "core/bitcoin/key_order.h"

#include <gtest/gtest.h>

namespace keymeld::bitcoin {
namespace {

UserId user(std::uint8_t first) {
    return UserId(Uuid{ByteArray<16>{first}});
}

TEST(KeyOrder, TextsAreReadBack) {
    for (const KeyOrder order : {KeyOrder::UserId, KeyOrder::Bip327Sorted})
        EXPECT_EQ(parse_key_order(text(order)).value(), order);
    EXPECT_EQ(parse_key_order("sorted").error().code, Errc::InvalidArgument);
}

TEST(KeyOrder, SortsByIdOrByKeyAndEqualKeysById) {
    std::vector<PlainPubKey> keys;
    for (int i = 0; i < 3; ++i)
        keys.push_back(SecretKey::generate().public_key());
    std::sort(keys.begin(), keys.end());
    const std::vector<PlainPubKey> of_users{keys[2], keys[1], keys[0], keys[1]};
    const std::vector<UserId> users{user(0x80), user(0x7f), user(0xff), user(0x00)};
    EXPECT_EQ(aggregation_order(users, of_users, KeyOrder::UserId),
              (std::vector<std::size_t>{3, 1, 0, 2}));
    EXPECT_EQ(aggregation_order(users, of_users, KeyOrder::Bip327Sorted),
              (std::vector<std::size_t>{2, 3, 1, 0}));
    EXPECT_THROW(static_cast<void>(aggregation_order(users, keys, KeyOrder::UserId)),
                 std::invalid_argument);
}

} // namespace
} // namespace keymeld::bitcoin
