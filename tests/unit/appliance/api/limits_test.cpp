#include <gtest/gtest.h>

#include "appliance/api/pending_keygens.h"
#include "appliance/api/stream_slots.h"

namespace keymeld::api {
namespace {

KeygenId id(std::uint8_t n) {
    KeygenId out;
    out.bytes[15] = n;
    return out;
}

TEST(StreamSlots, BoundPerClientAndInTotal) {
    const auto slots = std::make_shared<StreamSlots>(2, 3);
    auto a1 = slots->take("a");
    {
        auto a2 = slots->take("a");
        ASSERT_TRUE(a1.has_value() && a2.has_value());
        EXPECT_EQ(slots->take("a").error().code, Errc::RateLimited);
        auto b1 = slots->take("b");
        ASSERT_TRUE(b1.has_value());
        EXPECT_EQ(slots->take("b").error().code, Errc::Overloaded);
        const StreamSlots::Slot moved = std::move(*b1);
        EXPECT_EQ(slots->take("c").error().code, Errc::Overloaded);
    }
    auto a3 = slots->take("a");
    EXPECT_TRUE(a3.has_value());
    EXPECT_TRUE(slots->take("c").has_value());
}

TEST(PendingKeygens, CountsPerClient) {
    PendingKeygens pending(2);
    pending.add("a", id(1), 100, 10);
    EXPECT_FALSE(pending.full("a"));
    pending.add("a", id(2), 100, 10);
    EXPECT_TRUE(pending.full("a"));
    EXPECT_FALSE(pending.full("b"));
    EXPECT_TRUE(pending.lists("a", id(2)));
    EXPECT_FALSE(pending.lists("b", id(2)));
    EXPECT_EQ(pending.of("a").size(), 2u);
    pending.remove("a", id(1));
    pending.remove("a", id(9));
    EXPECT_FALSE(pending.full("a"));
    pending.remove("a", id(2));
    EXPECT_EQ(pending.clients(), 0u);
}

TEST(PendingKeygens, ForgetsWhatHasExpired) {
    PendingKeygens pending(64);
    for (int i = 0; i < 1023; ++i)
        pending.add("client " + std::to_string(i), id(1), 100, 10);
    EXPECT_EQ(pending.clients(), 1023u);
    pending.add("late", id(1), 300, 200);
    EXPECT_EQ(pending.clients(), 1u);
    EXPECT_TRUE(pending.lists("late", id(1)));
}

} // namespace
} // namespace keymeld::api
