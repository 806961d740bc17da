#include "appliance/metrics/metrics.h"

#include <gtest/gtest.h>

namespace keymeld::metrics {
namespace {

using engine::SessionType;

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, FamiliesAndLabelsAreThoseOfTheSpecification) {
    Metrics metrics;
    metrics.count_request("/keygen/{keygen_session_id}/slots", "GET", 200);
    metrics.count_request("/keygen/{keygen_session_id}/slots", "GET", 200);
    metrics.count_request("unmatched", "BREW", 404);
    metrics.on_transition(SessionType::Keygen, "none", "collecting_participants", true);
    metrics.on_duration(SessionType::Signing, "total", 0.02);
    metrics.on_active(SessionType::Signing, "collecting_participants", 2);
    metrics.on_active(SessionType::Signing, "collecting_participants", -1);
    metrics.on_session_error(SessionType::Signing, "expired");
    metrics.on_enclave_health(2, true);
    metrics.on_enclave_health(1, true);
    metrics.on_enclave_health(1, false);
    metrics.on_quota_violation();
    metrics.on_musig("partial_sign", true);
    metrics.on_musig("partial_sign", false);
    const std::string text = metrics.expose();
    for (const std::string line : {
             "keymeld_api_requests_total{endpoint=\"/keygen/{keygen_session_id}/slots\",method=\"GET\",status_code=\"200\"} 2",
             "keymeld_api_requests_total{endpoint=\"unmatched\",method=\"OTHER\",status_code=\"404\"} 1",
             "keymeld_session_state_transitions_total{from_state=\"none\",session_type=\"keygen\",success=\"true\",to_state=\"collecting_"
             "participants\"} 1",
             "keymeld_active_sessions{session_type=\"signing\",state=\"collecting_participants\"} 1",
             "keymeld_session_errors_total{error_type=\"expired\",session_type=\"signing\"} 1",
             "keymeld_enclave_health{enclave_id=\"1\"} 0",
             "keymeld_enclave_health{enclave_id=\"2\"} 1",
             "keymeld_quota_violations_total 1",
             "keymeld_musig_operations_total{operation=\"partial_sign\",success=\"success\"} 1",
             "keymeld_musig_operations_total{operation=\"partial_sign\",success=\"failure\"} 1",
             "keymeld_session_processing_duration_seconds_bucket{operation=\"total\",session_type=\"signing\",le=\"0.01\"} 0",
             "keymeld_session_processing_duration_seconds_bucket{operation=\"total\",session_type=\"signing\",le=\"0.05\"} 1",
             "keymeld_session_processing_duration_seconds_count{operation=\"total\",session_type=\"signing\"} 1",
         }) {
        const bool found = has_line(text, line);
        EXPECT_TRUE(found) << line << "\n" << text;
    }
    for (const char* bound : {"0.001", "0.005", "0.01", "0.05", "0.1", "0.5", "1", "2", "5", "10", "30", "+Inf"})
        EXPECT_NE(text.find("le=\"" + std::string(bound) + "\""), std::string::npos) << bound;
}

TEST(Metrics, StagesAreCountersOfTheirSource) {
    Metrics metrics;
    EXPECT_EQ(metrics.expose().find("keymeld_stage_seconds_total{"), std::string::npos);
    Metrics::Stages stages{.http = 1, .engine = 2, .storage = 3, .link = 4, .crypto = 5};
    metrics.set_stages([&] { return stages; });
    EXPECT_TRUE(has_line(metrics.expose(), "keymeld_stage_seconds_total{stage=\"crypto\"} 5"));
    stages = {.http = 1.5, .engine = 2, .storage = 3, .link = 4, .crypto = 0};
    const std::string text = metrics.expose();
    EXPECT_TRUE(has_line(text, "keymeld_stage_seconds_total{stage=\"http\"} 1.5")) << text;
    EXPECT_TRUE(has_line(text, "keymeld_stage_seconds_total{stage=\"crypto\"} 5")) << "an enclave restarted";
}

TEST(Metrics, WhatCanBeKnownBeforeIsThereFromTheStart) {
    const std::string text = Metrics().expose();
    EXPECT_TRUE(has_line(text, "keymeld_quota_violations_total 0")) << text;
    EXPECT_TRUE(has_line(text, "keymeld_active_sessions{session_type=\"keygen\",state=\"collecting_participants\"} 0")) << text;
    for (const char* operation : {"key_agg", "nonce_gen", "partial_sign", "sig_agg", "canary"})
        EXPECT_TRUE(has_line(text, "keymeld_musig_operations_total{operation=\"" + std::string(operation) + "\",success=\"failure\"} 0"))
            << text;
}

} // namespace
} // namespace keymeld::metrics
