// Loops that offer load: closed (the next piece begins when one has ended) and open (pieces begin
// by the clock, whoever still waits).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "appliance/cli/progress.h"
#include "appliance/client/http.h"

namespace keymeld::bench {

template <class T> using Async = client::Async<T>;

struct LoadResult {
    std::vector<std::chrono::nanoseconds> latencies; ///< one for each piece
    std::chrono::nanoseconds elapsed{0};             ///< from the first beginning to the last end
    std::uint64_t verified = 0;
};

/// One piece of the load, by number; how many signatures it verified. It may outlive the loop when
/// that is cancelled, and must own what it uses or be sure of it.
using Job = std::function<Async<Result<std::uint64_t>>(std::uint64_t number)>;

/// `count` pieces, `concurrency` at a time. The first error ends it.
Async<Result<LoadResult>> closed_loop(Job job, std::uint64_t count, unsigned concurrency, cli::Progress& progress);

/// `count` pieces, `rate` a second on average, at the times of a Poisson process. A latency is from
/// the time when the piece was due, so that what the generator itself is late counts too. The first
/// error ends it. `rate` is positive.
Async<Result<LoadResult>> open_loop(Job job, std::uint64_t count, double rate, cli::Progress& progress);

} // namespace keymeld::bench
