// The load: signing sessions in a closed loop, each as long as one client sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "appliance/bench/bench_key.h"
#include "appliance/cli/progress.h"

namespace keymeld::bench {

struct LoadResult {
    std::vector<std::chrono::nanoseconds> latencies; ///< from before POST /signing to after decryption; one for each session
    std::chrono::nanoseconds elapsed{0};
    std::uint64_t verified = 0;
};

/// Runs `sessions` sessions, `concurrency` at a time, over the keys in turn. The first error ends it.
Async<Result<LoadResult>> run_load(client::RestClient& rest, const std::vector<BenchKey>& keys, std::uint64_t sessions,
                                   unsigned concurrency, unsigned verify_every, cli::Progress& progress);

} // namespace keymeld::bench
