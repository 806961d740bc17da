// A fleet of simulated enclaves with its appliance, for one bench.
#pragma once

#include <memory>

#include "appliance/bench/bench_key.h"
#include "appliance/cli/progress.h"
#include "appliance/fleet/sim_fleet.h"

namespace keymeld::bench {

struct BenchFleet {
    std::unique_ptr<fleet::SimFleet> fleet;
    client::Trust trust;

    /// `limits`: usually SimFleet::lifted_limits().
    static Async<Result<BenchFleet>> start(unsigned enclaves, std::map<std::string, std::string> limits, cli::Progress& progress);
    /// Adds which processes have ended, where that may be why.
    Error explained(Error error) const;
};

} // namespace keymeld::bench
