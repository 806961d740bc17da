// The load: signing sessions, each as long as one client sees it.
#pragma once

#include "appliance/bench/bench_key.h"
#include "appliance/bench/load_loop.h"

namespace keymeld::bench {

/// Session number i signs with key i modulo their number: POST /signing, status, decryption, and
/// for each `verify_every`-th verification. The client and the keys must outlive it.
Job sign_job(client::RestClient& rest, const std::vector<BenchKey>& keys, unsigned verify_every);

/// Runs `sessions` sessions, `concurrency` at a time. Latencies are from before POST /signing to
/// after decryption.
Async<Result<LoadResult>> run_load(client::RestClient& rest, const std::vector<BenchKey>& keys, std::uint64_t sessions,
                                   unsigned concurrency, unsigned verify_every, cli::Progress& progress);

} // namespace keymeld::bench
