#include "appliance/cli/enclave_foreground.h"

#include <csignal>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/cli/command_loop.h"

namespace keymeld::cli {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kStopGrace{3};

asio::awaitable<void> wake_at_end(ForegroundProcesses::Child child, std::shared_ptr<asio::steady_timer> timer) {
    const Status ended = co_await child->ended(SteadyTime::max());
    if (ended)
        timer->cancel();
}

asio::awaitable<int> supervise(bool quiet, const std::function<asio::awaitable<Error>(Progress&)>& work) {
    Progress progress(co_await asio::this_coro::executor, quiet ? Progress::Style::Silent : Progress::Style::Shown);
    const Error error = co_await work(progress);
    co_await unless_interrupted();
    co_return report(error);
}

} // namespace

void add_foreground_options(CLI::App& app, ForegroundOptions& options) {
    add_config_option(app, options.config);
    app.add_flag("-q,--quiet", options.quiet, "Say nothing while all is well");
}

Error unfit(const config::Enclave& enclave, std::string_view why) {
    return fail(Errc::ConfigInvalid, enclave.where + ": enclave " + std::to_string(enclave.id) + " " + std::string(why));
}

ForegroundProcesses::~ForegroundProcesses() {
    std::vector<fleet::ChildProcess*> all;
    for (const Child& child : m_children)
        all.push_back(child.get());
    fleet::stop_all(all, kStopGrace);
}

asio::awaitable<Error> ForegroundProcesses::one_ended() const {
    const auto executor = co_await asio::this_coro::executor;
    const auto woken = std::make_shared<asio::steady_timer>(executor, SteadyTime::max());
    for (const Child& child : m_children)
        asio::co_spawn(executor, wake_at_end(child, woken), asio::detached);
    boost::system::error_code cancelled;
    co_await woken->async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    for (const Child& child : m_children)
        if (!child->running())
            co_return fail(Errc::Io, child->name() + " ended (" + child->status_text() + ")\n" + child->log_tail());
    co_return fail(Errc::Cancelled, "stopped");
}

int run_in_foreground(bool quiet, const std::function<asio::awaitable<Error>(Progress&)>& work) {
    const int code = run_command([quiet, &work] { return supervise(quiet, work); });
    return code == 128 + SIGINT || code == 128 + SIGTERM ? 0 : code;
}

} // namespace keymeld::cli
