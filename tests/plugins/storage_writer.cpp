// The victim of storage_crash_test: writes until it is killed, and says on its standard output what
// was answered as durable.
//
// usage: storage_writer FILE     prints "<thread> <batch>" for each callback
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "tests/plugins/storage_crash.h"

namespace keymeld::test {
namespace {

/// Keeps up to 16 batches of one thread in flight, so that commits are shared.
class Window {
  public:
    void enter() {
        std::unique_lock lock(m_mutex);
        m_free.wait(lock, [this] { return m_used < 16; });
        ++m_used;
    }
    void leave() {
        const std::lock_guard lock(m_mutex);
        --m_used;
        m_free.notify_one();
    }

  private:
    std::mutex m_mutex;
    std::condition_variable m_free;
    int m_used = 0;
};

void write_until_killed(Storage& storage, std::uint64_t thread) {
    const auto start = read(storage, {.keygen = keygen_id(thread)}).keygen;
    if (!start && !write(storage, {insert_keygen(thread)}))
        std::abort();
    Window window;
    for (std::uint64_t n = start ? start->record.version : 1;; ++n) {
        window.enter();
        storage.write(crash_batch(thread, n), [&window, thread, n](Status done) {
            if (!done)
                std::abort(); // seen by the test as another end than SIGKILL
            const std::string line = std::to_string(thread) + " " + std::to_string(n) + "\n";
            if (::write(STDOUT_FILENO, line.data(), line.size()) !=
                static_cast<ssize_t>(line.size()))
                ::_exit(3);
            window.leave();
        });
    }
}

} // namespace
} // namespace keymeld::test

int main(int argc, char** argv) {
    if (argc != 2)
        return 2;
    auto opened = keymeld::test::open_storage(argv[1]);
    if (!opened) {
        std::fprintf(stderr, "%s\n", opened.error().detail.c_str());
        return 1;
    }
    std::vector<std::thread> threads;
    for (std::uint64_t t = 1; t <= keymeld::test::kCrashThreads; ++t)
        threads.emplace_back(keymeld::test::write_until_killed, std::ref(**opened), t);
    for (std::thread& thread : threads)
        thread.join();
    return 0;
}
