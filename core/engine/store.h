// Storage as the loop uses it: the callbacks of its threads come back to the loop, in order.
#pragma once

#include <memory>

#include "core/engine/async.h"
#include "core/plugin/storage.h"

namespace keymeld::engine {

using Batch = std::vector<plugin::Mutation>;

/// [loop]
class Store {
  public:
    using Done = std::function<void(Status)>;

    Store(asio::io_context& loop, TimerQueue& timers, std::unique_ptr<plugin::Storage> storage);
    /// As close().
    ~Store();

    /// Waits for what storage was given; callbacks that have not run yet are dropped, with the coroutines that wait for them. Afterwards
    /// no thread of the plugin runs, the database is released, and every call answers StorageFailed.
    void close();

    /// Batches are applied in the order of these calls.
    void write(Batch batch, Done done);
    Async<Status> write(Batch batch);
    /// StorageFailed also when the answer does not come by `deadline`.
    Async<Result<plugin::ReadAnswer>> read(plugin::ReadBatch questions, SteadyTime deadline);
    void read(plugin::ReadBatch questions, std::function<void(Result<plugin::ReadAnswer>)> done);
    Async<Result<plugin::Unfinished>> claim_unfinished(Uuid owner, std::uint64_t lease_until_unix);
    Async<Result<std::vector<Uuid>>> ended_before(plugin::EndedKind kind, std::uint64_t before_unix, std::uint32_t limit);
    Async<Result<plugin::StorageStats>> stats();

    std::size_t writes_under_way() const { return m_writes; }

  private:
    template <class T> std::function<void(Result<T>)> to_loop(std::function<void(Result<T>)> done) const;
    /// After close(): answers in a later turn of the loop.
    template <class T> bool refused(std::function<void(Result<T>)>& done) const;

    asio::io_context& m_loop;
    TimerQueue& m_timers;
    std::shared_ptr<Inbox> m_inbox;
    std::unique_ptr<plugin::Storage> m_storage;
    std::size_t m_writes = 0;
};

} // namespace keymeld::engine
