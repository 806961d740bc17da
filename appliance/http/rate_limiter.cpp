#include "appliance/http/rate_limiter.h"

#include <algorithm>

#include "core/base/hex.h"

namespace keymeld::http {

using std::chrono::nanoseconds;

RateLimiter::Verdict RateLimiter::admit(std::string_view client, SteadyTime now) {
    const nanoseconds per_token = nanoseconds(std::chrono::seconds(1)) / m_limits.rate;
    const nanoseconds capacity = per_token * m_limits.burst;
    Bucket& bucket = bucket_of(client, now);
    const SteadyTime full_at = std::max(bucket.full_at, now) + per_token;
    // More than `capacity` away from full means that the bucket is empty and tokens of the future are reserved.
    const nanoseconds delay = full_at - now - capacity;
    if (delay <= nanoseconds::zero()) {
        bucket.full_at = full_at;
        return {};
    }
    if (delay > m_limits.delay_max)
        return {.refused = true, .delay = delay - m_limits.delay_max};
    bucket.full_at = full_at;
    return {.refused = false, .delay = delay};
}

RateLimiter::Bucket& RateLimiter::bucket_of(std::string_view client, SteadyTime now) {
    if (const auto found = m_buckets.find(client); found != m_buckets.end())
        return found->second;
    if (m_buckets.size() >= m_limits.clients_max && now >= m_next_sweep) {
        forget_full(now);
        m_next_sweep = now + std::chrono::seconds(1);
    }
    if (m_buckets.size() >= m_limits.clients_max)
        return m_strangers;
    return m_buckets.emplace(std::string(client), Bucket{}).first->second;
}

void RateLimiter::forget_full(SteadyTime now) {
    std::erase_if(m_buckets, [&](const auto& entry) { return entry.second.full_at <= now; });
}

std::string client_key_of_v6(const std::uint8_t (&address)[16]) {
    static constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (std::equal(std::begin(kMapped), std::end(kMapped), address)) {
        std::string v4;
        for (int i = 12; i < 16; ++i)
            v4 += (v4.empty() ? "" : ".") + std::to_string(address[i]);
        return v4;
    }
    return hex_encode(ByteView(address, 8)) + "/64";
}

} // namespace keymeld::http
