#include "appliance/bench/measure.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace keymeld::bench {

double micros(Nanos time) { return static_cast<double>(time.count()) / 1e3; }
double millis(Nanos time) { return static_cast<double>(time.count()) / 1e6; }

std::string decimal(double value, int places) {
    char text[48];
    std::snprintf(text, sizeof text, "%.*f", places, value);
    return text;
}

void number(json::Writer& out, std::string_view name, double value, int places) { out.key(name).raw(decimal(value, places)); }

Cpu Cpu::now(fleet::SimFleet* fleet) {
    Cpu out;
    timespec own{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    out.client = std::chrono::seconds(own.tv_sec) + Nanos(own.tv_nsec);
    if (fleet != nullptr)
        for (const auto& process : fleet->usage())
            (process.name == "appliance" ? out.appliance : out.enclaves) += process.cpu;
    return out;
}

Cpu Cpu::operator-(const Cpu& before) const {
    return {appliance - before.appliance, enclaves - before.enclaves, client - before.client};
}

boost::asio::awaitable<Result<Stages>> stages_of(client::RestClient& rest) {
    boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor, std::chrono::milliseconds(2500));
    co_await pause.async_wait(boost::asio::use_awaitable);
    const std::string path = "/metrics";
    auto text = co_await rest.get_text(path);
    if (!text)
        co_return std::move(text).error();
    Stages out;
    for (std::size_t i = 0; i < out.kNames.size(); ++i) {
        const std::string line = "\nkeymeld_stage_seconds_total{stage=\"" + std::string(out.kNames[i]) + "\"} ";
        const std::size_t at = text->find(line);
        if (at == std::string::npos)
            co_return fail(Errc::Internal, "the appliance does not say how long its stages took");
        out.seconds[i] = std::strtod(text->c_str() + at + line.size(), nullptr);
    }
    co_return out;
}

Memory Memory::now(fleet::SimFleet& fleet) {
    Memory out;
    for (const auto& process : fleet.usage()) {
        std::ifstream status("/proc/" + std::to_string(process.pid) + "/status");
        double mib = 0;
        for (std::string word; status >> word;)
            if (word == "VmRSS:" && status >> mib)
                mib /= 1024;
        double& most = process.name == "appliance" ? out.appliance : out.enclave;
        most = std::max(most, mib);
    }
    return out;
}

double percentile_ms(const std::vector<Nanos>& sorted, double share) {
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5);
    return millis(sorted[std::min(rank, sorted.size() - 1)]);
}

void write_latency(json::Writer& out, std::string_view name, std::vector<Nanos> latencies) {
    std::sort(latencies.begin(), latencies.end());
    out.key(name).begin_object();
    if (!latencies.empty()) {
        number(out, "p50", percentile_ms(latencies, 0.50), 3);
        number(out, "p95", percentile_ms(latencies, 0.95), 3);
        number(out, "p99", percentile_ms(latencies, 0.99), 3);
        number(out, "max", millis(latencies.back()), 3);
    }
    out.end_object();
}

std::string latency_text(std::vector<Nanos> latencies) {
    if (latencies.empty())
        return "none";
    std::sort(latencies.begin(), latencies.end());
    return "p50 " + decimal(percentile_ms(latencies, 0.50), 2) + " ms, p95 " + decimal(percentile_ms(latencies, 0.95), 2) + " ms, p99 " +
           decimal(percentile_ms(latencies, 0.99), 2) + " ms, most " + decimal(millis(latencies.back()), 2) + " ms";
}

} // namespace keymeld::bench
