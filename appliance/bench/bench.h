// `keymeld bench`: what a signing costs and how long it takes, beside what the mathematics alone costs in the same run on the same machine.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "appliance/client/http.h"
#include "core/base/result.h"

namespace keymeld::bench {

/// An appliance that runs already; otherwise a fleet of simulated enclaves is started, with rate limits lifted.
struct Remote {
    client::Endpoint endpoint;
    std::string trust;              ///< "aws" or a PEM file
    std::filesystem::path pcrs;
};

struct SignOptions {
    unsigned participants = 3;
    unsigned enclaves = 3;          ///< of the fleet that is started
    std::uint64_t sessions = 2000;
    std::uint64_t warm_up = 200;    ///< sessions before those that count
    unsigned concurrency = 16;      ///< sessions under way at any time
    unsigned keys = 8;              ///< keygen sessions to sign with, in turn; created before the clock starts
    unsigned verify_every = 1;      ///< verify each n-th signature; 1: all of them
    /// Then as many sessions at random times, so many a second, or this share of the saturated rate just measured. At most one is set.
    std::optional<double> rate;
    std::optional<double> load;
    std::optional<Remote> remote;
    bool json = false;
    bool quiet = false;
};

/// A report for people, or one JSON object.
boost::asio::awaitable<Result<std::string>> bench_sign(SignOptions options);

struct SingleOptions {
    unsigned enclaves = 3;
    unsigned keys = 8;              ///< single keys to sign with, in turn; generated before the clock starts
    std::uint64_t signatures = 4000; ///< of each kind
    std::uint64_t warm_up = 200;
    unsigned concurrency = 32;      ///< requests under way at any time
    unsigned batch = 50;            ///< signatures of a batch request
    bool json = false;
    bool quiet = false;
};

/// Single keys over REST, by BIP-340 and by ECDSA, one signature a request and many; beside the bare signature in libsecp256k1.
boost::asio::awaitable<Result<std::string>> bench_single(SingleOptions options);

struct KeygenOptions {
    unsigned participants = 3;
    unsigned enclaves = 3;
    std::uint64_t keygens = 200;
    unsigned concurrency = 8;
    bool json = false;
    bool quiet = false;
};

/// From POST /keygen to the aggregate key that the client has recomputed; memory of the processes afterwards.
boost::asio::awaitable<Result<std::string>> bench_keygen(KeygenOptions options);

struct ScaleOptions {
    std::vector<unsigned> signers{2, 3, 5, 10, 20, 50, 100};
    unsigned enclaves = 3;
    std::uint64_t work = 3000;      ///< partial signatures to make at each point: sessions times signers
    std::uint64_t stored = 0;       ///< completed keygens in the database for the second part; 0: no second part
    std::uint64_t alone = 1200;     ///< sessions of the second part, one at a time, on each of a large and an empty database by turns
    bool json = false;
    bool quiet = false;
};

/// CPU time of a session by number of signers, beside bare libsecp256k1; then start, memory and latency with a large database.
boost::asio::awaitable<Result<std::string>> bench_scale(ScaleOptions options);

struct OverloadOptions {
    unsigned enclaves = 3;
    std::uint64_t sessions = 3000;  ///< to find the peak
    double factor = 4;              ///< offered, as a multiple of the peak
    unsigned seconds = 10;
    unsigned in_flight = 2048;      ///< the appliance's max_inflight_requests
    bool json = false;
    bool quiet = false;
};

/// What an appliance completes and refuses when several times its peak is offered.
boost::asio::awaitable<Result<std::string>> bench_overload(OverloadOptions options);

struct IdleOptions {
    std::uint64_t sessions = 1000;
    unsigned seconds = 20;          ///< of each of the two measurements
    unsigned enclaves = 3;
    bool json = false;
    bool quiet = false;
};

/// CPU time of a fleet without sessions, then with sessions that wait for an approval.
boost::asio::awaitable<Result<std::string>> bench_idle(IdleOptions options);

} // namespace keymeld::bench
