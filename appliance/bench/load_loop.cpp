#include "appliance/bench/load_loop.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <random>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace keymeld::bench {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

/// Shared by what runs. It may outlive the call when that is cancelled, so all own it together.
struct Load {
    Load(Job piece, std::uint64_t pieces, cli::Progress& shown, const asio::any_io_executor& executor)
        : job(std::move(piece)), count(pieces), progress(shown), finished(executor, steady_clock::time_point::max()) {
        result.latencies.reserve(count);
    }

    Job job;
    std::uint64_t count;
    cli::Progress& progress;
    asio::steady_timer finished; ///< cancelled by the last one

    std::uint64_t next = 0;
    std::uint64_t running = 0;
    bool abandoned = false; ///< the caller is gone: touch nothing of its own any more
    LoadResult result;
    std::optional<Error> error;

    bool ends() const { return abandoned || error || next >= count; }
    /// Whether the piece counts.
    bool note(Result<std::uint64_t> verified, steady_clock::time_point begin) {
        if (abandoned)
            return false;
        if (!verified) {
            if (!error)
                error = std::move(verified).error();
            return false;
        }
        result.latencies.push_back(steady_clock::now() - begin);
        result.verified += *verified;
        progress.part(result.latencies.size(), count);
        return true;
    }
    void leave() {
        if (--running == 0)
            finished.cancel();
    }
};

using SharedLoad = std::shared_ptr<Load>;

/// Tells the workers when the caller's frame goes away under them.
struct Abandon {
    SharedLoad load;
    ~Abandon() { load->abandoned = true; }
};

Async<void> worker(SharedLoad load) {
    while (!load->ends()) {
        const auto begin = steady_clock::now();
        auto verified = co_await load->job(load->next++);
        if (!load->note(std::move(verified), begin))
            break;
    }
    load->leave();
}

Async<void> one_piece(SharedLoad load, std::uint64_t number, steady_clock::time_point due) {
    auto verified = co_await load->job(number);
    load->note(std::move(verified), due);
    load->leave();
}

void start(const asio::any_io_executor& executor, const SharedLoad& load, Async<void> piece) {
    asio::co_spawn(executor, std::move(piece), [load](std::exception_ptr error) {
        if (error && !load->abandoned)
            std::rethrow_exception(error);
    });
}

Async<Result<LoadResult>> all_ended(SharedLoad load, steady_clock::time_point begin) {
    while (load->running > 0) {
        boost::system::error_code cancelled;
        co_await load->finished.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    load->result.elapsed = steady_clock::now() - begin;
    if (load->error)
        co_return std::move(*load->error);
    co_return std::move(load->result);
}

} // namespace

Async<Result<LoadResult>> closed_loop(Job job, std::uint64_t count, unsigned concurrency, cli::Progress& progress) {
    const auto executor = co_await asio::this_coro::executor;
    const auto load = std::make_shared<Load>(std::move(job), count, progress, executor);
    const Abandon guard{load};
    load->running = std::min<std::uint64_t>(concurrency, count);
    const auto begin = steady_clock::now();
    for (std::uint64_t i = load->running; i > 0; --i)
        start(executor, load, worker(load));
    co_return co_await all_ended(load, begin);
}

Async<Result<LoadResult>> open_loop(Job job, std::uint64_t count, double rate, cli::Progress& progress) {
    const auto executor = co_await asio::this_coro::executor;
    const auto load = std::make_shared<Load>(std::move(job), count, progress, executor);
    const Abandon guard{load};
    std::mt19937_64 random{std::random_device{}()};
    std::exponential_distribution<double> gap(rate);
    asio::steady_timer timer(executor);
    const auto begin = steady_clock::now();
    std::chrono::duration<double> due{0};
    ++load->running; // this loop
    while (!load->ends()) {
        const auto at = begin + std::chrono::duration_cast<steady_clock::duration>(due);
        if (at > steady_clock::now()) {
            timer.expires_at(at);
            boost::system::error_code ignored;
            co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
        ++load->running;
        start(executor, load, one_piece(load, load->next++, at));
        due += std::chrono::duration<double>(gap(random));
    }
    load->leave();
    co_return co_await all_ended(load, begin);
}

} // namespace keymeld::bench
