#include "core/engine/store.h"

namespace keymeld::engine {

Store::Store(asio::io_context& loop, TimerQueue& timers, std::unique_ptr<plugin::Storage> storage)
    : m_loop(loop), m_timers(timers), m_inbox(std::make_shared<Inbox>(loop)), m_storage(std::move(storage)) {}

Store::~Store() { close(); }

void Store::close() {
    // Moved out first: what is dropped may call back here.
    std::exchange(m_storage, nullptr).reset();
    m_inbox->close();
}

template <class T> bool Store::refused(std::function<void(Result<T>)>& done) const {
    if (m_storage)
        return false;
    asio::post(m_loop, [done = std::move(done)] { done(fail(Errc::StorageFailed, "storage is closed")); });
    return true;
}

template <class T> std::function<void(Result<T>)> Store::to_loop(std::function<void(Result<T>)> done) const {
    return [inbox = m_inbox, done = std::move(done)](Result<T> result) mutable {
        inbox->push([done = std::move(done), result = std::make_shared<Result<T>>(std::move(result))] {
            done(std::move(*result));
        });
    };
}

void Store::write(Batch batch, Done done) {
    if (refused<void>(done))
        return;
    ++m_writes;
    m_storage->write(std::move(batch), to_loop<void>([this, done = std::move(done)](Status status) {
                         --m_writes;
                         done(std::move(status));
                     }));
}

Async<Status> Store::write(Batch batch) {
    const OneShot<Status> answer(m_loop);
    write(std::move(batch), [answer](Status status) { answer.set(std::move(status)); });
    co_return co_await answer.wait();
}

void Store::read(plugin::ReadBatch questions, std::function<void(Result<plugin::ReadAnswer>)> done) {
    if (!refused<plugin::ReadAnswer>(done))
        m_storage->read(std::move(questions), to_loop<plugin::ReadAnswer>(std::move(done)));
}

Async<Result<plugin::ReadAnswer>> Store::read(plugin::ReadBatch questions, SteadyTime deadline) {
    const OneShot<Result<plugin::ReadAnswer>> answer(m_loop);
    read(std::move(questions), [answer](Result<plugin::ReadAnswer> result) { answer.set(std::move(result)); });
    co_return co_await answer.wait_until(m_timers, deadline, fail(Errc::StorageFailed, "storage did not answer in time"));
}

Async<Result<plugin::Unfinished>> Store::claim_unfinished(Uuid owner, std::uint64_t lease_until_unix) {
    const OneShot<Result<plugin::Unfinished>> answer(m_loop);
    std::function<void(Result<plugin::Unfinished>)> done = [answer](Result<plugin::Unfinished> result) { answer.set(std::move(result)); };
    if (!refused<plugin::Unfinished>(done))
        m_storage->claim_unfinished(owner, lease_until_unix, to_loop<plugin::Unfinished>(std::move(done)));
    co_return co_await answer.wait();
}

Async<Result<std::vector<Uuid>>> Store::ended_before(plugin::EndedKind kind, std::uint64_t before_unix, std::uint32_t limit) {
    const OneShot<Result<std::vector<Uuid>>> answer(m_loop);
    std::function<void(Result<std::vector<Uuid>>)> done = [answer](Result<std::vector<Uuid>> result) { answer.set(std::move(result)); };
    if (!refused<std::vector<Uuid>>(done))
        m_storage->ended_before(kind, before_unix, limit, to_loop<std::vector<Uuid>>(std::move(done)));
    co_return co_await answer.wait();
}

Async<Result<plugin::StorageStats>> Store::stats() {
    const OneShot<Result<plugin::StorageStats>> answer(m_loop);
    std::function<void(Result<plugin::StorageStats>)> done = [answer](Result<plugin::StorageStats> result) { answer.set(std::move(result)); };
    if (!refused<plugin::StorageStats>(done))
        m_storage->stats(to_loop<plugin::StorageStats>(std::move(done)));
    co_return co_await answer.wait();
}

} // namespace keymeld::engine
