#include "appliance/bench/sign_load.h"

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/crypto/encrypted_data.h"
#include "core/secure/random.h"

namespace keymeld::bench {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kSessionSeconds = 300;
constexpr unsigned kWaitSeconds = 60;

/// Shared by the workers. They may outlive the call when it is cancelled, so they own it together.
struct Load {
    Load(client::RestClient& client, const std::vector<BenchKey>& with, std::uint64_t count, unsigned every, cli::Progress& shown,
         const asio::any_io_executor& executor)
        : rest(client), keys(with), sessions(count), verify_every(every), progress(shown), finished(executor, steady_clock::time_point::max()) {}

    client::RestClient& rest;
    const std::vector<BenchKey>& keys;
    std::uint64_t sessions;
    unsigned verify_every;
    cli::Progress& progress;
    asio::steady_timer finished; ///< cancelled by the last worker

    std::uint64_t next = 0;
    unsigned workers = 0;
    bool abandoned = false; ///< the caller is gone: touch nothing of its own any more
    LoadResult result;
    std::optional<Error> error;
};

Async<Result<bool>> one_session(client::RestClient& rest, const BenchKey& key, bool verify) {
    const ByteArray<32> message = secure::random_array<32>();
    const client::Participant& coordinator = key.people.front();
    client::Ceremony ceremony(rest); // no key leaves here
    auto id = co_await ceremony.create_signing(key.invitation, coordinator.user_id, message, kSessionSeconds);
    if (!id)
        co_return std::move(id).error();
    for (;;) {
        auto status = co_await rest.signing_status(*id, coordinator.signing_header(), kWaitSeconds);
        if (!status)
            co_return std::move(status).error();
        if (status->status == "failed")
            co_return fail(Errc::WrongState, "a signing session failed: " + (status->failure ? status->failure->message : "no reason"));
        if (!status->final_signature)
            continue;
        if (verify) {
            auto signature = client::open_signature(key.invitation, *status->final_signature, message, key.key.x_only());
            if (!signature)
                co_return std::move(signature).error();
        } else {
            auto plain = crypto::encrypted_data_open(key.invitation.session_secret, crypto::DataContext::Signature,
                                                     *status->final_signature);
            if (!plain)
                co_return std::move(plain).error();
        }
        co_return verify;
    }
}

Async<void> worker(std::shared_ptr<Load> load) {
    while (!load->abandoned && !load->error && load->next < load->sessions) {
        const std::uint64_t number = load->next++;
        const auto begin = steady_clock::now();
        auto verified = co_await one_session(load->rest, load->keys[number % load->keys.size()], number % load->verify_every == 0);
        if (load->abandoned)
            break;
        if (!verified) {
            if (!load->error)
                load->error = std::move(verified).error();
            break;
        }
        load->result.latencies.push_back(steady_clock::now() - begin);
        if (*verified)
            ++load->result.verified;
        load->progress.part(load->result.latencies.size(), load->sessions);
    }
    if (--load->workers == 0)
        load->finished.cancel();
}

/// Tells the workers when the caller's frame goes away under them.
struct Abandon {
    std::shared_ptr<Load> load;
    ~Abandon() { load->abandoned = true; }
};

} // namespace

Async<Result<LoadResult>> run_load(client::RestClient& rest, const std::vector<BenchKey>& keys, std::uint64_t sessions,
                                   unsigned concurrency, unsigned verify_every, cli::Progress& progress) {
    const auto executor = co_await asio::this_coro::executor;
    const auto load = std::make_shared<Load>(rest, keys, sessions, verify_every, progress, executor);
    const Abandon guard{load};
    load->result.latencies.reserve(sessions);
    load->workers = static_cast<unsigned>(std::min<std::uint64_t>(concurrency, sessions));
    const auto begin = steady_clock::now();
    for (unsigned i = load->workers; i > 0; --i)
        asio::co_spawn(executor, worker(load), [load](std::exception_ptr error) {
            if (error && !load->abandoned)
                std::rethrow_exception(error);
        });
    while (load->workers > 0) {
        boost::system::error_code cancelled;
        co_await load->finished.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    load->result.elapsed = steady_clock::now() - begin;
    if (load->error)
        co_return std::move(*load->error);
    co_return std::move(load->result);
}

} // namespace keymeld::bench
