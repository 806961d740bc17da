// The metrics of rest-v1.md 4.14 in Prometheus' text format. Labels come from fixed sets; ids of sessions, users or requests never are
// labels.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/engine/observer.h"

namespace prometheus {
class Counter;
}

namespace keymeld::metrics {

/// Thread rule: [loop], like the observer it is.
class Metrics final : public engine::Observer {
  public:
    Metrics();
    ~Metrics() override;

    /// `endpoint`: the route's template, or "unmatched"; `method`: as sent, any text (unknown ones are counted as OTHER).
    void count_request(std::string_view endpoint, std::string_view method, unsigned status);

    /// Where the time of this process and of its enclaves went since their start, in seconds.
    struct Stages {
        double http = 0;    ///< parsing requests, writing answers
        double engine = 0;  ///< the rest of the event loop: JSON, sessions
        double storage = 0; ///< the other threads of this process
        double link = 0;    ///< coding and moving messages between gateway and enclaves, on both sides
        double crypto = 0;  ///< commands inside the enclaves: checks, MuSig2, sealing
    };
    /// Asked at each expose(); without it there is no such metric.
    void set_stages(std::function<Stages()> source) { m_stages = std::move(source); }

    /// Text exposition format 0.0.4.
    std::string expose() const;

    void on_transition(engine::SessionType type, std::string_view from, std::string_view to, bool success) override;
    void on_duration(engine::SessionType type, std::string_view operation, double seconds) override;
    void on_active(engine::SessionType type, std::string_view state, std::int64_t change) override;
    void on_session_error(engine::SessionType type, std::string_view error_type) override;
    void on_enclave_health(std::uint32_t enclave_id, bool healthy) override;
    void on_enclave_recovery(std::uint32_t enclave_id, bool success) override;
    void on_enclave_key_holders(std::uint32_t enclave_id, std::uint32_t count) override;
    void on_quota_violation() override;
    void on_musig(std::string_view operation, bool success) override;

  private:
    struct Families;
    prometheus::Counter& musig_counter(std::string_view operation, bool success);

    std::unique_ptr<Families> m_families;
    std::function<Stages()> m_stages;
};

} // namespace keymeld::metrics
