#include "pkcs11/channel.h"

#include <algorithm>
#include <utility>

namespace keymeld::pkcs11 {

namespace {

// docs/pkcs11.md states these: connecting takes at most 3 s (client library), a request 10 s, what the appliance asks to be repeated is twice.
client::RestClient::Options options() {
    client::RestClient::Options out;
    out.request_timeout = std::chrono::seconds(10);
    out.repeats = 2;
    return out;
}

constexpr std::size_t kMaxIdle = 64;

} // namespace

ChannelPool::Lease ChannelPool::take(const client::Endpoint& endpoint) {
    std::shared_ptr<Channel> channel;
    std::vector<std::shared_ptr<Channel>> to_elsewhere; // of a store that was replaced; closed without the lock
    {
        const std::lock_guard lock(m_mutex);
        while (!m_idle.empty() && !channel) {
            channel = std::move(m_idle.back());
            m_idle.pop_back();
            if (channel->rest().pool().endpoint() != endpoint)
                to_elsewhere.push_back(std::exchange(channel, nullptr));
        }
    }
    if (!channel)
        channel = std::make_shared<Channel>(endpoint, options());
    const std::lock_guard lock(m_mutex);
    if (m_stopped)
        channel->stop();
    m_busy.push_back(channel);
    return Lease(*this, std::move(channel));
}

void ChannelPool::give_back(std::shared_ptr<Channel> channel) {
    const std::lock_guard lock(m_mutex);
    std::erase(m_busy, channel);
    if (!m_stopped && channel->reusable() && m_idle.size() < kMaxIdle)
        m_idle.push_back(std::move(channel));
}

void ChannelPool::stop() {
    const std::lock_guard lock(m_mutex);
    m_stopped = true;
    for (const auto& channel : m_busy)
        channel->stop();
}

void ChannelPool::abandon() {
    const std::lock_guard lock(m_mutex);
    for (auto& channel : m_idle)
        new std::shared_ptr<Channel>(std::move(channel)); // never destroyed, on purpose
    m_idle.clear();
}

} // namespace keymeld::pkcs11
