#include "appliance/metrics/metrics.h"

#include <unordered_map>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace keymeld::metrics {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;

const Histogram::BucketBoundaries kDurations{.001, .005, .01, .05, .1, .5, 1, 2, 5, 10, 30};

std::string type_label(engine::SessionType type) {
    switch (type) {
    case engine::SessionType::Keygen: return "keygen";
    case engine::SessionType::Signing: return "signing";
    }
    return "keygen";
}

std::string_view method_label(std::string_view method) {
    for (const std::string_view known : {"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"})
        if (method == known)
            return known;
    return "OTHER";
}

std::string joined(std::initializer_list<std::string_view> parts) {
    std::string key;
    for (const std::string_view part : parts)
        key.append(part).append(1, '\n');
    return key;
}

/// A family and its members by label values: Family::Add hashes and locks, which a counter on every request need not.
template <class T> class Members {
  public:
    explicit Members(Family<T>& family) : m_family(&family) {}

    template <class... Args> T& get(const std::string& key, const Labels& labels, Args&&... args) {
        const auto [at, added] = m_members.try_emplace(key, nullptr);
        if (added)
            at->second = &m_family->Add(labels, std::forward<Args>(args)...);
        return *at->second;
    }

  private:
    Family<T>* m_family;
    std::unordered_map<std::string, T*> m_members;
};

} // namespace

struct Metrics::Families {
    prometheus::Registry registry;
    Members<Counter> transitions{prometheus::BuildCounter()
                                     .Name("keymeld_session_state_transitions_total")
                                     .Help("Transitions of sessions between states")
                                     .Register(registry)};
    Members<Histogram> durations{prometheus::BuildHistogram()
                                     .Name("keymeld_session_processing_duration_seconds")
                                     .Help("Time that a step of a session took")
                                     .Register(registry)};
    Members<Gauge> active{prometheus::BuildGauge()
                              .Name("keymeld_active_sessions")
                              .Help("Unfinished sessions by state")
                              .Register(registry)};
    Members<Counter> errors{prometheus::BuildCounter()
                                .Name("keymeld_session_errors_total")
                                .Help("Errors in sessions by type")
                                .Register(registry)};
    Members<Gauge> health{prometheus::BuildGauge()
                              .Name("keymeld_enclave_health")
                              .Help("1 if the enclave is attested and answers, else 0")
                              .Register(registry)};
    Members<Counter> requests{prometheus::BuildCounter()
                                  .Name("keymeld_api_requests_total")
                                  .Help("HTTP requests by route template")
                                  .Register(registry)};
    Counter& quota = prometheus::BuildCounter()
                         .Name("keymeld_quota_violations_total")
                         .Help("Signing sessions refused by max_signing_sessions")
                         .Register(registry)
                         .Add({});
    Members<Counter> musig{prometheus::BuildCounter()
                               .Name("keymeld_musig_operations_total")
                               .Help("MuSig2 operations in the enclaves")
                               .Register(registry)};
};

prometheus::Counter& Metrics::musig_counter(std::string_view operation, bool success) {
    const std::string outcome = success ? "success" : "failure";
    return m_families->musig.get(joined({operation, outcome}),
                                 {{"operation", std::string(operation)}, {"success", outcome}});
}

Metrics::Metrics() : m_families(std::make_unique<Families>()) {
    // A rate over a counter that appears at its first increment misses that increment.
    for (const auto type : {engine::SessionType::Keygen, engine::SessionType::Signing})
        on_active(type, "collecting_participants", 0);
    for (const std::string_view operation : {"key_agg", "nonce_gen", "partial_sign", "sig_agg", "canary"})
        for (const bool success : {true, false})
            musig_counter(operation, success);
}
Metrics::~Metrics() = default;

void Metrics::count_request(std::string_view endpoint, std::string_view method, unsigned status) {
    const std::string code = std::to_string(status);
    const std::string_view label = method_label(method);
    m_families->requests
        .get(joined({endpoint, label, code}),
             {{"endpoint", std::string(endpoint)}, {"method", std::string(label)}, {"status_code", code}})
        .Increment();
}

std::string Metrics::expose() const {
    return prometheus::TextSerializer().Serialize(m_families->registry.Collect());
}

void Metrics::on_transition(engine::SessionType type, std::string_view from, std::string_view to, bool success) {
    const std::string label = type_label(type);
    const std::string outcome = success ? "true" : "false";
    m_families->transitions
        .get(joined({label, from, to, outcome}), {{"session_type", label},
                                                  {"from_state", std::string(from)},
                                                  {"to_state", std::string(to)},
                                                  {"success", outcome}})
        .Increment();
}

void Metrics::on_duration(engine::SessionType type, std::string_view operation, double seconds) {
    const std::string label = type_label(type);
    m_families->durations
        .get(joined({label, operation}), {{"session_type", label}, {"operation", std::string(operation)}}, kDurations)
        .Observe(seconds);
}

void Metrics::on_active(engine::SessionType type, std::string_view state, std::int64_t change) {
    const std::string label = type_label(type);
    m_families->active.get(joined({label, state}), {{"session_type", label}, {"state", std::string(state)}})
        .Increment(static_cast<double>(change));
}

void Metrics::on_session_error(engine::SessionType type, std::string_view error_type) {
    const std::string label = type_label(type);
    m_families->errors
        .get(joined({label, error_type}), {{"session_type", label}, {"error_type", std::string(error_type)}})
        .Increment();
}

void Metrics::on_enclave_health(std::uint32_t enclave_id, bool healthy) {
    const std::string id = std::to_string(enclave_id);
    m_families->health.get(id, {{"enclave_id", id}}).Set(healthy ? 1 : 0);
}

void Metrics::on_quota_violation() { m_families->quota.Increment(); }

void Metrics::on_musig(std::string_view operation, bool success) {
    musig_counter(operation, success).Increment();
}

} // namespace keymeld::metrics
