// Per-client pacing (rest-v1.md section 9): a token bucket that delays before it refuses.
//
// A request takes a token or reserves one that is still to come and waits for it. Since the wait of one request is at most one token's time
// when nothing else of that client is outstanding, a client that sends one request at a time is slowed to the rate and never refused.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/clock.h"

namespace keymeld::http {

class RateLimiter {
  public:
    struct Limits {
        std::uint32_t rate = 200;  ///< tokens per second, >= 1
        std::uint32_t burst = 400; ///< bucket size, >= 1
        std::chrono::milliseconds delay_max{2000};
        std::size_t clients_max = 65536; ///< remembered at a time; beyond it strangers share one bucket
    };
    struct Verdict {
        bool refused = false;
        std::chrono::nanoseconds delay{}; ///< to wait before the request is served; if refused, until it may be sent again
    };

    explicit RateLimiter(Limits limits) : m_limits(limits) {}

    /// Counts one request of `client` at `now`. A refused request costs nothing. [loop]
    Verdict admit(std::string_view client, SteadyTime now);

    std::size_t clients() const { return m_buckets.size(); }

  private:
    /// Full at or before `full_at`: tokens = burst - rate * (full_at - now), negative if reserved ahead.
    struct Bucket {
        SteadyTime full_at{};
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    Bucket& bucket_of(std::string_view client, SteadyTime now);
    void forget_full(SteadyTime now);

    Limits m_limits;
    std::unordered_map<std::string, Bucket, Hash, std::equal_to<>> m_buckets;
    Bucket m_strangers;
    SteadyTime m_next_sweep{};
};

/// The key that an address is limited by: an IPv4 address as it is, an IPv6 address by its /64 (one site). [any-thread]
std::string client_key_of_v6(const std::uint8_t (&address)[16]);

} // namespace keymeld::http
