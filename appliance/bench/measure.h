// What the benches count: CPU time and memory of a fleet's processes, percentiles, and numbers as text.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "appliance/client/rest.h"
#include "appliance/fleet/sim_fleet.h"
#include "appliance/json/writer.h"

namespace keymeld::bench {

using Nanos = std::chrono::nanoseconds;

double micros(Nanos time);
double millis(Nanos time);
std::string decimal(double value, int places);
void number(json::Writer& out, std::string_view name, double value, int places);

/// CPU time spent so far. Differences of two are what a measurement cost.
struct Cpu {
    Nanos appliance{0};
    Nanos enclaves{0};
    Nanos client{0}; ///< this process

    /// Null: only this process is seen.
    static Cpu now(fleet::SimFleet* fleet);
    Cpu operator-(const Cpu& before) const;
    Nanos server() const { return appliance + enclaves; }
};

/// Seconds by stage as the appliance's metric keymeld_stage_seconds_total has them, complete: waits for the next pings of the enclaves.
struct Stages {
    static constexpr std::array<std::string_view, 5> kNames{"http", "engine", "storage", "link", "crypto"};
    std::array<double, kNames.size()> seconds{};
};
boost::asio::awaitable<Result<Stages>> stages_of(client::RestClient& rest);

/// Resident memory in MiB: of the appliance, and of the enclave that has most.
struct Memory {
    double appliance = 0;
    double enclave = 0;
    static Memory now(fleet::SimFleet& fleet);
};

/// The latency that `share` of the sessions did not exceed; `sorted` is not empty.
double percentile_ms(const std::vector<Nanos>& sorted, double share);
/// Sorts, then p50, p95, p99 and max as members of an object.
void write_latency(json::Writer& out, std::string_view name, std::vector<Nanos> latencies);
/// "p50 1.20 ms, p99 3.40 ms".
std::string latency_text(std::vector<Nanos> latencies);

} // namespace keymeld::bench
