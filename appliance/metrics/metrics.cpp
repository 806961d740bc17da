#include "appliance/metrics/metrics.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <unordered_map>
#include <vector>

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

std::string_view type_label(engine::SessionType type) {
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

std::string_view outcome_label(bool success) { return success ? "success" : "failure"; }

/// A family and its members by label values. Family::Add hashes, locks and wants a map of strings, which a counter that moves
/// twenty times in a signing session must not: here a member that is known costs one look-up and no allocation.
template <class T> class Members {
  public:
    Members(Family<T>& family, std::vector<std::string> names) : m_family(&family), m_names(std::move(names)) {}

    /// `values`: one for each name, in the same order.
    template <class... Args> T& get(std::initializer_list<std::string_view> values, Args&&... args) {
        m_key.clear();
        for (const std::string_view value : values)
            m_key.append(value).append(1, '\n');
        const auto [at, added] = m_members.try_emplace(m_key, nullptr);
        if (added) {
            Labels labels;
            auto name = m_names.begin();
            for (const std::string_view value : values)
                labels.emplace(*name++, value);
            at->second = &m_family->Add(labels, std::forward<Args>(args)...);
        }
        return *at->second;
    }

  private:
    Family<T>* m_family;
    std::vector<std::string> m_names;
    std::string m_key; ///< kept for its memory
    std::unordered_map<std::string, T*> m_members;
};

} // namespace

struct Metrics::Families {
    prometheus::Registry registry;
    Members<Counter> transitions{prometheus::BuildCounter()
                                     .Name("keymeld_session_state_transitions_total")
                                     .Help("Transitions of sessions between states")
                                     .Register(registry),
                              {"session_type", "from_state", "to_state", "success"}};
    Members<Histogram> durations{prometheus::BuildHistogram()
                                     .Name("keymeld_session_processing_duration_seconds")
                                     .Help("Time that a step of a session took")
                                     .Register(registry),
                              {"session_type", "operation"}};
    Members<Gauge> active{prometheus::BuildGauge()
                              .Name("keymeld_active_sessions")
                              .Help("Unfinished sessions by state")
                              .Register(registry),
                              {"session_type", "state"}};
    Members<Counter> errors{prometheus::BuildCounter()
                                .Name("keymeld_session_errors_total")
                                .Help("Errors in sessions by type")
                                .Register(registry),
                              {"session_type", "error_type"}};
    Members<Gauge> health{prometheus::BuildGauge()
                              .Name("keymeld_enclave_health")
                              .Help("1 if the enclave is attested and answers, else 0")
                              .Register(registry),
                              {"enclave_id"}};
    Members<Counter> recoveries{prometheus::BuildCounter()
                                    .Name("keymeld_enclave_key_recoveries_total")
                                    .Help("Restarted enclaves whose key a peer handed over, or did not")
                                    .Register(registry),
                              {"enclave_id", "success"}};
    Members<Gauge> key_holders{prometheus::BuildGauge()
                                   .Name("keymeld_enclave_key_holders")
                                   .Help("Enclaves that are up and could hand over this one's key after its restart")
                                   .Register(registry),
                              {"enclave_id"}};
    Members<Counter> requests{prometheus::BuildCounter()
                                  .Name("keymeld_api_requests_total")
                                  .Help("HTTP requests by route template")
                                  .Register(registry),
                              {"endpoint", "method", "status_code"}};
    Counter& quota = prometheus::BuildCounter()
                         .Name("keymeld_quota_violations_total")
                         .Help("Signing sessions refused by max_signing_sessions")
                         .Register(registry)
                         .Add({});
    Members<Counter> stages{prometheus::BuildCounter()
                                .Name("keymeld_stage_seconds_total")
                                .Help("CPU time by stage: http, engine, storage, link, crypto (inside the enclaves)")
                                .Register(registry),
                            {"stage"}};
    Members<Counter> musig{prometheus::BuildCounter()
                               .Name("keymeld_musig_operations_total")
                               .Help("MuSig2 operations in the enclaves")
                               .Register(registry),
                              {"operation", "success"}};
};

prometheus::Counter& Metrics::musig_counter(std::string_view operation, bool success) {
    return m_families->musig.get({operation, outcome_label(success)});
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
    char code[12];
    const auto end = std::to_chars(std::begin(code), std::end(code), status).ptr;
    m_families->requests.get({endpoint, method_label(method), std::string_view(code, static_cast<std::size_t>(end - code))})
        .Increment();
}

std::string Metrics::expose() const {
    if (m_stages) {
        const Stages now = m_stages();
        for (const auto& [stage, seconds] : {std::pair<std::string_view, double>{"http", now.http},
                                             {"engine", now.engine},
                                             {"storage", now.storage},
                                             {"link", now.link},
                                             {"crypto", now.crypto}}) {
            Counter& counter = m_families->stages.get({stage});
            // An enclave that restarted counts from zero again; a counter stands still meanwhile.
            counter.Increment(std::max(0.0, seconds - counter.Value()));
        }
    }
    return prometheus::TextSerializer().Serialize(m_families->registry.Collect());
}

void Metrics::on_transition(engine::SessionType type, std::string_view from, std::string_view to, bool success) {
    m_families->transitions.get({type_label(type), from, to, success ? "true" : "false"}).Increment();
}

void Metrics::on_duration(engine::SessionType type, std::string_view operation, double seconds) {
    m_families->durations.get({type_label(type), operation}, kDurations).Observe(seconds);
}

void Metrics::on_active(engine::SessionType type, std::string_view state, std::int64_t change) {
    m_families->active.get({type_label(type), state}).Increment(static_cast<double>(change));
}

void Metrics::on_session_error(engine::SessionType type, std::string_view error_type) {
    m_families->errors.get({type_label(type), error_type}).Increment();
}

void Metrics::on_enclave_health(std::uint32_t enclave_id, bool healthy) {
    m_families->health.get({std::to_string(enclave_id)}).Set(healthy ? 1 : 0);
}

void Metrics::on_enclave_recovery(std::uint32_t enclave_id, bool success) {
    m_families->recoveries.get({std::to_string(enclave_id), success ? "true" : "false"}).Increment();
}

void Metrics::on_enclave_key_holders(std::uint32_t enclave_id, std::uint32_t count) {
    m_families->key_holders.get({std::to_string(enclave_id)}).Set(count);
}

void Metrics::on_quota_violation() { m_families->quota.Increment(); }

void Metrics::on_musig(std::string_view operation, bool success) {
    musig_counter(operation, success).Increment();
}

} // namespace keymeld::metrics
