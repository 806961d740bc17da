#include "core/engine/cleaner.h"

#include "core/base/log.h"
#include "core/engine/hub.h"
#include "core/session/call_outcome.h"

namespace keymeld::engine {
namespace {

constexpr std::size_t kMaxTasks = 100'000; // per enclave
constexpr std::chrono::seconds kPause{5};

} // namespace

void Cleaner::erase_keys(std::uint32_t enclave, const KeygenId& keygen) { add(enclave, {keygen, false}); }

void Cleaner::destroy(std::uint32_t enclave, const KeygenId& keygen) {
    if (m_hub.fleet.find(enclave) != nullptr)
        m_destroying[{enclave, keygen}];
    add(enclave, {keygen, true});
}

Async<Status> Cleaner::wait_destroyed(KeygenId keygen, std::vector<std::uint32_t> enclaves, SteadyTime until) {
    for (const std::uint32_t enclave : enclaves) {
        const auto owed = m_destroying.find({enclave, keygen});
        if (owed == m_destroying.end())
            continue;
        const OneShot<bool> gone(m_hub.loop);
        owed->second.push_back(gone);
        const bool done = co_await gone.wait_until(m_hub.timers, until, false);
        if (!done)
            co_return fail(Errc::EnclaveUnavailable, "an enclave still holds what was left of an earlier try");
    }
    co_return Status{};
}

void Cleaner::finished(std::uint32_t enclave, const Task& task) {
    if (!task.destroy)
        return;
    const auto owed = m_destroying.extract({enclave, task.keygen});
    if (!owed.empty())
        for (const OneShot<bool>& gone : owed.mapped())
            gone.set(true);
}

std::size_t Cleaner::owed() const {
    std::size_t count = 0;
    for (const auto& [enclave, queue] : m_queues)
        count += queue.tasks.size();
    return count;
}

void Cleaner::add(std::uint32_t enclave, Task task) {
    if (m_hub.fleet.find(enclave) == nullptr) {
        log::warn("engine", "clean_up_impossible", {{"enclave", enclave}, {"keygen", task.keygen}, {"why", "not configured"}});
        return;
    }
    Queue& queue = m_queues[enclave];
    if (queue.tasks.size() >= kMaxTasks) {
        log::error("engine", "clean_up_dropped", {{"enclave", enclave}, {"keygen", queue.tasks.front().keygen}});
        finished(enclave, queue.tasks.front());
        queue.tasks.pop_front();
    }
    queue.tasks.push_back(task);
    work(enclave);
}

void Cleaner::work(std::uint32_t enclave) {
    Queue& queue = m_queues[enclave];
    if (queue.working || queue.tasks.empty() || m_hub.stopping)
        return;
    queue.working = true;
    spawn(m_hub.loop, "clean_up", run(enclave));
}

Async<void> Cleaner::run(std::uint32_t enclave) {
    const BackgroundTask background(m_hub);
    Queue& queue = m_queues[enclave];
    while (!queue.tasks.empty() && !m_hub.stopping) {
        const Task task = queue.tasks.front();
        queue.tasks.pop_front();
        EnclaveCall call;
        call.enclave = enclave;
        call.owner = task.keygen;
        const Patience patience = m_hub.fleet.at_once();
        call.deadline = patience.deadline;
        call.build = [task](wire::Request& request) {
            const std::string id(as_text(task.keygen.view()));
            if (task.destroy)
                request.mutable_delete_keygen()->set_keygen_id(id);
            else
                request.mutable_fail_keygen()->set_keygen_id(id);
        };
        const auto done = co_await m_hub.fleet.ask(std::move(call));
        if (m_hub.stopping)
            break;
        if (done || session::classify(done.error().code) != session::CallOutcome::NoAnswer) {
            finished(enclave, task);
            // Gone already, or not restorable: then no key is left in it either.
            if (!done && done.error().code != Errc::NotFound)
                log::warn("engine", "clean_up_refused",
                          {{"enclave", enclave}, {"keygen", task.keygen}, {"error", done.error().code}});
            continue;
        }
        // Away: work() comes again when it is back, and after a while in any case.
        queue.tasks.push_front(task);
        m_hub.timers.after(kPause, [this, enclave] { work(enclave); });
        break;
    }
    queue.working = false;
}

} // namespace keymeld::engine
