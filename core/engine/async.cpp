#include "core/engine/async.h"

#include <exception>

#include <boost/asio/co_spawn.hpp>

#include "core/base/log.h"

namespace keymeld::engine {

void spawn(asio::io_context& loop, std::string_view name, Async<void> task) {
    asio::co_spawn(loop, std::move(task), [name](std::exception_ptr problem) {
        if (!problem)
            return;
        try {
            std::rethrow_exception(problem);
        } catch (const std::exception& e) {
            log::error("engine", "task_failed", {{"task", name}, {"what", e.what()}});
        } catch (...) {
            log::error("engine", "task_failed", {{"task", name}});
        }
    });
}

void Inbox::push(std::function<void()> function) {
    const std::lock_guard lock(m_mutex);
    if (m_closed)
        return;
    m_items.push_back(std::move(function));
    if (std::exchange(m_posted, true))
        return;
    asio::post(m_executor, [self = shared_from_this()] { self->drain(); });
}

void Inbox::close() {
    std::vector<std::function<void()>> dropped;
    const std::lock_guard lock(m_mutex);
    m_closed = true;
    dropped.swap(m_items);
}

void Inbox::drain() {
    std::vector<std::function<void()>> items;
    {
        const std::lock_guard lock(m_mutex);
        items.swap(m_items);
        m_posted = false;
    }
    for (const auto& item : items)
        item();
}

} // namespace keymeld::engine
