// Load from a generator that costs little itself: signing requests that were made before the clock starts, over bare keep-alive connections
// from several addresses of the loopback network, each of which is a client of its own to the appliance.
//
// An accepted session is waited for by long poll, and its signature kept; decrypting and verifying it is for after the clock has stopped.
#pragma once

#include <chrono>
#include <optional>

#include "appliance/bench/bench_key.h"
#include "appliance/cli/progress.h"

namespace keymeld::bench {

/// A signing session to be asked for, and what became of it.
struct Offer {
    enum class End {
        NotSent,          ///< the generator had no connection left
        Refused503,       ///< with Retry-After
        Refused429,       ///< with Retry-After
        RefusedOtherwise, ///< any other answer than 200
        Completed,
        Lost, ///< accepted, and then no signature
    };
    std::string request; ///< of POST /signing, complete
    SigningId id;
    ByteArray<32> message{};
    std::size_t key = 0; ///< index
    End end = End::NotSent;
    bool sent = false;
    std::chrono::nanoseconds latency{0}; ///< of completed ones, from when it was due to when the signature was there
    std::string final_signature;
};

struct FloodResult {
    std::chrono::nanoseconds elapsed{0}; ///< while new sessions were offered
    std::uint64_t completed_in_time = 0; ///< sessions completed until the last one was offered
    std::string trouble;                 ///< of the first that was refused otherwise or lost
};

class Flood {
  public:
    /// `keys` must outlive it. `clients` addresses, 127.0.0.1 and following; `most_connections` of each.
    Flood(client::Endpoint endpoint, const std::vector<BenchKey>& keys, unsigned clients, std::size_t most_connections);
    ~Flood();
    Flood(const Flood&) = delete;
    Flood& operator=(const Flood&) = delete;

    Result<std::vector<Offer>> make(std::uint64_t count) const;
    /// Makes so many headers for status requests before they are needed.
    Status prepare_headers(std::uint64_t count);

    /// `concurrency` at a time until all are done.
    Async<Result<FloodResult>> closed(std::vector<Offer>& offers, unsigned concurrency);
    /// One every 1/`rate` seconds, whoever still waits; ends when the last accepted one has. `Errc::DeadlineExceeded` if one has no end 240
    /// s after the last was offered.
    Async<Result<FloodResult>> open(std::vector<Offer>& offers, double rate, cli::Progress& progress);

    /// Decrypts and verifies the signatures of completed offers: how many. `Errc::InvalidSignature`.
    Result<std::uint64_t> verify(const std::vector<Offer>& offers) const;

  private:
    class Impl;
    std::shared_ptr<Impl> m_impl;
};

} // namespace keymeld::bench
