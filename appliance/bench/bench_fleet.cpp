#include "appliance/bench/bench_fleet.h"

namespace keymeld::bench {

Async<Result<BenchFleet>> BenchFleet::start(unsigned enclaves, std::map<std::string, std::string> limits, cli::Progress& progress) {
    progress.begin("start");
    fleet::SimFleet::Options wanted;
    wanted.enclaves = enclaves;
    wanted.limits = std::move(limits);
    wanted.progress = [&](std::string_view what) { progress.at(what); };
    auto started = co_await fleet::SimFleet::start(std::move(wanted));
    if (!started)
        co_return std::move(started).error();
    auto trust = client::Trust::load((*started)->trust_root().string(), (*started)->pcrs());
    if (!trust)
        co_return std::move(trust).error();
    progress.done(std::to_string(enclaves) + " simulated enclaves, appliance, SQLite");
    co_return BenchFleet{std::move(*started), std::move(*trust)};
}

Error BenchFleet::explained(Error error) const {
    if (const std::string casualties = fleet ? fleet->casualties() : ""; !casualties.empty())
        error.detail += "\n" + casualties;
    return error;
}

} // namespace keymeld::bench
