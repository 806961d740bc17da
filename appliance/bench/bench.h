// `keymeld bench`: what a signing costs and how long it takes, beside what the mathematics alone costs in the same run on the same machine.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

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
    std::optional<Remote> remote;
    bool json = false;
    bool quiet = false;
};

/// A report for people, or one JSON object.
boost::asio::awaitable<Result<std::string>> bench_sign(SignOptions options);

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
