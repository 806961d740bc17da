// Small tools around Asio's awaitables: a value that arrives once, tasks nobody waits for, and functions run on the loop from elsewhere.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/base/result.h"
#include "core/engine/timer_queue.h"

namespace keymeld::engine {

namespace asio = boost::asio;
template <class T> using Async = asio::awaitable<T>;

/// A value set once and awaited by one coroutine, before or after. Copies share it. Whoever waits is resumed in a later turn of the loop,
/// never from inside set(). [loop]
template <class T> class OneShot {
  public:
    explicit OneShot(asio::io_context& loop) : m_state(std::make_shared<State>(loop.get_executor())) {}

    /// The first call counts.
    void set(T value) const { m_state->set(std::move(value)); }
    bool is_set() const { return m_state->value.has_value() || m_state->taken; }

    Async<T> wait() const {
        return asio::async_initiate<const asio::use_awaitable_t<>&, void(T)>(
            [state = m_state](auto handler) {
                if (state->value)
                    return State::resume(state->executor, std::move(handler), *std::exchange(state->value, std::nullopt));
                state->handler.emplace(std::move(handler));
            },
            asio::use_awaitable);
    }

    /// As wait(), but `late` if nothing came by then.
    Async<T> wait_until(TimerQueue& timers, SteadyTime deadline, T late) const {
        TimerQueue::Handle timer;
        if (!m_state->value)
            timer = timers.at(deadline, [state = m_state, late = std::move(late)]() mutable { state->set(std::move(late)); });
        T value = co_await wait();
        timers.cancel(timer);
        co_return value;
    }

  private:
    using Handler = asio::any_completion_handler<void(T)>;
    struct State {
        explicit State(asio::io_context::executor_type e) : executor(std::move(e)) {}
        void set(T given) {
            if (taken || value)
                return;
            if (!handler) {
                value = std::move(given);
                return;
            }
            taken = true;
            resume(executor, std::move(*handler), std::move(given));
            handler.reset();
        }
        template <class H> static void resume(const asio::io_context::executor_type& executor, H handler, T given) {
            asio::post(executor, [handler = std::move(handler), given = std::move(given)]() mutable {
                std::move(handler)(std::move(given));
            });
        }
        asio::io_context::executor_type executor;
        std::optional<T> value;
        std::optional<Handler> handler; ///< never assigned: Boost 1.81's any_completion_handler cannot be
        bool taken = false;
    };
    std::shared_ptr<State> m_state;
};

/// Runs a coroutine that nobody waits for. An exception is a defect: logged with `name`, and swallowed.
void spawn(asio::io_context& loop, std::string_view name, Async<void> task);

/// Hands functions from other threads to the loop, many with one wake-up, in order. After close() they are dropped.
class Inbox : public std::enable_shared_from_this<Inbox> {
  public:
    explicit Inbox(asio::io_context& loop) : m_executor(loop.get_executor()) {}
    void push(std::function<void()> function); ///< [any-thread]
    void close();                              ///< [loop]

  private:
    void drain();
    asio::io_context::executor_type m_executor;
    std::mutex m_mutex;
    std::vector<std::function<void()>> m_items;
    bool m_posted = false;
    bool m_closed = false;
};

} // namespace keymeld::engine
