#include "appliance/bench/bench_key.h"

namespace keymeld::bench {

Async<Result<BenchKey>> make_key(client::RestClient& rest, const client::Trust& trust, unsigned participants, unsigned approvers,
                                 std::uint32_t quota) {
    std::vector<client::Participant> people;
    std::vector<UserId> expected;
    for (unsigned i = 0; i < participants; ++i) {
        people.push_back(client::Participant::generate());
        expected.push_back(people.back().user_id);
    }
    client::KeygenOptions options;
    options.max_signing_sessions = quota;
    client::Ceremony ceremony(rest, trust);
    auto invitation = co_await ceremony.create_keygen(people.front(), std::move(expected), options);
    if (!invitation)
        co_return std::move(invitation).error();
    for (unsigned i = 0; i < participants; ++i) {
        const auto policy = i + approvers >= participants ? client::Approval::Header : client::Approval::None;
        auto joined = co_await ceremony.join_keygen(*invitation, people[i], policy);
        if (!joined)
            co_return std::move(joined).error();
    }
    auto key = co_await ceremony.aggregate_key(*invitation, people.front(), std::chrono::steady_clock::now() + std::chrono::seconds(60));
    if (!key)
        co_return std::move(key).error();
    co_return BenchKey{std::move(people), std::move(*invitation), *key};
}

} // namespace keymeld::bench
