#include "appliance/cli/command_loop.h"

#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace keymeld::cli {

namespace asio = boost::asio;

int run_command(const std::function<asio::awaitable<int>()>& command) {
    asio::io_context loop(1);
    asio::cancellation_signal cancel;
    asio::signal_set signals(loop, SIGINT, SIGTERM, SIGHUP);
    std::optional<int> code;
    int interrupted_by = 0;

    signals.async_wait([&](const boost::system::error_code& error, int number) {
        if (error)
            return;
        interrupted_by = number;
        std::fputs("\nkeymeld: interrupted, stopping\n", stderr);
        // A second signal must not end the clean-up: the set stays registered and nobody waits on it.
        cancel.emit(asio::cancellation_type::terminal);
    });
    asio::co_spawn(loop, command(), asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr error, int result) {
                       code = 1;
                       if (!error) {
                           code = result;
                       } else if (interrupted_by == 0) {
                           try {
                               std::rethrow_exception(error);
                           } catch (const std::exception& what) {
                               std::fprintf(stderr, "keymeld: internal error: %s\n", what.what());
                           }
                       }
                       boost::system::error_code ignored;
                       signals.cancel(ignored);
                   }));
    while (!code && loop.run_one() > 0) {
    }
    if (interrupted_by != 0)
        return 128 + interrupted_by;
    return code.value_or(1);
}

asio::awaitable<void> unless_interrupted() { co_return; }

} // namespace keymeld::cli
