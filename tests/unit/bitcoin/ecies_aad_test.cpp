#include "core/bitcoin/ecies_aad.h"

#include <set>

#include <gtest/gtest.h>

namespace keymeld::bitcoin {
namespace {

UserId user_starting(std::uint8_t first) {
    return UserId(Uuid{ByteArray<16>{first}});
}

TEST(ParamsId, EveryParameterCounts) {
    SessionParams base{{user_starting(1), user_starting(2)}, {}, KeyOrder::UserId, 100};
    std::set<std::string> ids{params_id(base)};
    const auto vary = [&](auto change) {
        SessionParams other = base;
        change(other);
        EXPECT_TRUE(ids.insert(params_id(other)).second);
    };
    vary([](SessionParams& p) {
        std::swap(p.expected_participants[0], p.expected_participants[1]);
    });
    vary([](SessionParams& p) { p.expected_participants.push_back(user_starting(3)); });
    vary([](SessionParams& p) { p.tweak.type = TweakType::UnspendableTaproot; });
    vary([](SessionParams& p) { p.tweak.type = TweakType::PlainTweak; });
    vary([](SessionParams& p) { p.tweak.type = TweakType::XOnlyTweak; });
    vary([](SessionParams& p) { p.tweak = {TweakType::XOnlyTweak, {1}}; });
    vary([](SessionParams& p) { p.key_order = KeyOrder::Bip327Sorted; });
    vary([](SessionParams& p) { p.max_signing_sessions = 10; });
}

TEST(EciesAad, PurposesNeverCoincide) {
    const KeygenId keygen(Uuid{ByteArray<16>{9}});
    const std::string params(64, 'a');
    const std::set<std::string> all{private_key_aad(keygen, user_starting(1), "none", params, params),
                                    private_key_aad(keygen, user_starting(1), "header", params, params),
                                    private_key_aad(keygen, user_starting(2), "none", params, params),
                                    coordinator_key_aad(keygen, user_starting(1)),
                                    coordinator_key_aad(keygen, user_starting(2)),
                                    session_secret_aad(keygen, user_starting(1), params)};
    EXPECT_EQ(all.size(), 6u);
}

} // namespace
} // namespace keymeld::bitcoin
