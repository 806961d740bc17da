// One connection to an appliance and the loop that drives it on the caller's thread: no thread is ever started.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "appliance/client/rest.h"
#include "appliance/client/single_keys.h"

namespace keymeld::pkcs11 {

/// Thread rule: run() by one thread at a time; stop() by any.
class Channel {
  public:
    Channel(const client::Endpoint& endpoint, const client::RestClient::Options& options) : m_rest(m_loop.get_executor(), endpoint, options) {}

    client::RestClient& rest() { return m_rest; }

    /// Runs `work` to its end. `Errc::Cancelled` if stop() ended it. Then, and when `work` throws, nobody may use the channel again.
    template <class T> Result<T> run(client::Async<Result<T>> work) {
        std::optional<Result<T>> outcome;
        std::exception_ptr thrown;
        boost::asio::co_spawn(m_loop, std::move(work), [&](std::exception_ptr failure, Result<T> result) {
            thrown = failure;
            if (!failure)
                outcome.emplace(std::move(result));
        });
        if (m_stopped)
            return fail(Errc::Cancelled, "the module was finalised");
        m_loop.run();
        if (thrown) {
            drop();
            std::rethrow_exception(thrown);
        }
        if (!outcome)
            return fail(Errc::Cancelled, "the module was finalised");
        m_loop.restart();
        return std::move(*outcome);
    }

    /// Single keys over this connection. What an enclave has attested is remembered with it: drop() after a failure, so that the next call
    /// asks again.
    client::SingleKeys& single_keys(std::shared_ptr<const client::Trust> trust) {
        if (!m_single || m_trust != trust) {
            m_trust = std::move(trust);
            m_single.emplace(m_rest, *m_trust);
        }
        return *m_single;
    }
    /// Not to be used for another call.
    void drop() { m_dropped = true; }
    bool reusable() const { return !m_dropped && !m_stopped; }

    /// Ends a run() that is under way. [any-thread]
    void stop() {
        m_stopped = true;
        m_loop.stop();
    }

  private:
    std::atomic<bool> m_stopped{false};
    boost::asio::io_context m_loop{1};
    client::RestClient m_rest;
    std::shared_ptr<const client::Trust> m_trust;
    std::optional<client::SingleKeys> m_single;
    bool m_dropped = false;
};

/// Channels to one appliance: as many as are used at the same time, kept for the next call to the same endpoint.
class ChannelPool {
  public:
    /// A channel for the length of one call; goes back when the lease ends.
    class Lease {
      public:
        Lease(ChannelPool& pool, std::shared_ptr<Channel> channel) : m_pool(&pool), m_channel(std::move(channel)) {}
        Lease(Lease&& other) noexcept : m_pool(other.m_pool), m_channel(std::move(other.m_channel)) {}
        Lease& operator=(Lease&&) = delete;
        ~Lease() {
            if (m_channel)
                m_pool->give_back(std::move(m_channel));
        }
        Channel& operator*() const { return *m_channel; }
        Channel* operator->() const { return m_channel.get(); }

      private:
        ChannelPool* m_pool;
        std::shared_ptr<Channel> m_channel;
    };

    Lease take(const client::Endpoint& endpoint);
    /// Ends every call under way and refuses to keep channels from now on.
    void stop();
    /// Forgets the channels without destroying them: where OpenSSL is gone already.
    void abandon();

  private:
    friend class Lease;
    void give_back(std::shared_ptr<Channel> channel);

    std::mutex m_mutex;
    bool m_stopped = false;
    std::vector<std::shared_ptr<Channel>> m_idle;
    std::vector<std::shared_ptr<Channel>> m_busy;
};

} // namespace keymeld::pkcs11
