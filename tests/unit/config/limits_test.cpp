// Each row of rest-v1.md section 9: both ends of its range, and one beyond each.
#include "tests/unit/config/config_fixture.h"

namespace keymeld::test {
namespace {

struct Row {
    const char* key;
    const char* lowest;
    const char* highest;
    const char* below; ///< nullptr: there is nothing below
    const char* above; ///< nullptr: no upper limit
};

class Limits : public testing::TestWithParam<Row> {};

std::string limits(const std::string& key, const std::string& value) {
    return yaml_with("limits:\n  " + key + ": " + value + "\n");
}

TEST_P(Limits, AcceptsItsRangeAndNothingElse) {
    const Row& row = GetParam();
    for (const char* good : {row.lowest, row.highest})
        EXPECT_EQ(refusal(limits(row.key, good)), "(accepted)") << row.key << ": " << good;
    for (const char* bad :
         {row.below, row.above, "", "-1", "x", "1.5", "0x10", "1e3", "true", "1 s"}) {
        if (bad == nullptr)
            continue;
        const std::string why = refusal(limits(row.key, bad));
        const std::string start = "k.yaml:8: limits." + std::string(row.key) + " must be ";
        EXPECT_EQ(why.substr(0, start.size()), start) << row.key << ": " << bad << ": " << why;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Specification, Limits,
    testing::Values(Row{"max_body_bytes", "64KiB", "16MiB", "65535", "16777217"},
                    Row{"max_participants", "2", "1000", "1", "1001"},
                    Row{"timeout_secs_max", "1", "86400", "0", "86401"},
                    Row{"default_max_signing_sessions", "0", "4294967295", nullptr, "4294967296"},
                    Row{"wait_max_secs", "0", "60s", nullptr, "61"},
                    Row{"event_streams_per_client", "1", "4294967295", "0", "4294967296"},
                    Row{"event_streams_total", "1", "4294967295", "0", "4294967296"},
                    Row{"rate_per_client", "1", "4294967295", "0", "4294967296"},
                    Row{"rate_burst", "200", "4294967295", "199", "4294967296"},
                    Row{"rate_delay_max", "0s", "10", nullptr, "11s"},
                    Row{"pending_keygen_sessions_per_client", "1", "4294967295", "0", "4294967296"},
                    Row{"pending_keygen_sessions_total", "1", "4294967295", "0", "4294967296"},
                    Row{"max_inflight_requests", "1", "4294967295", "0", "4294967296"},
                    Row{"request_deadline", "1", "5m", "0", "301"},
                    Row{"enclave_wait_max", "0", "30", nullptr, "31"},
                    Row{"enclave_retry_max", "1", "100", "0", "101"},
                    Row{"approval_max_validity", "60", "7d", "59", "604801"},
                    Row{"completed_keygen_retention", "1d", "none", "86399",
                        "18446744073709551615d"},
                    Row{"finished_signing_retention", "1h", "3650d", "3599s", "40000d"},
                    Row{"failed_retention", "60m", "3650d", "3599", "40000d"},
                    Row{"canary_interval", "5s", "1h", "4s", "40000d"},
                    Row{"canary_max_age", "30s", "1h", "29s", "40000d"}),
    [](const auto& param) { return std::string(param.param.key); });

TEST(LimitsOfEachOther, DefaultsFollowWhatTheyDependOn) {
    EXPECT_EQ(load(limits("rate_per_client", "1000"))->limits.rate_burst, 1000u);
    EXPECT_EQ(load(limits("request_deadline", "4s"))->limits.enclave_wait_max, config::seconds(4));
    EXPECT_EQ(load(limits("canary_interval", "10m"))->limits.canary_max_age,
              config::seconds(30 * 60));
    EXPECT_EQ(refusal(yaml_with("limits: { request_deadline: 5s, enclave_wait_max: 6s }\n")),
              "k.yaml:7: limits.enclave_wait_max must be a time from 0s to request_deadline (5s)");
    EXPECT_EQ(refusal(yaml_with("limits: { canary_interval: 10s, canary_max_age: 9s }\n")),
              "k.yaml:7: limits.canary_max_age must be a time of at least canary_interval (10s)");
}

} // namespace
} // namespace keymeld::test
