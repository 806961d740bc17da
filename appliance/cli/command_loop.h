// Runs a command's coroutine until it ends or somebody presses Ctrl-C.
#pragma once

#include <functional>

#include <boost/asio/awaitable.hpp>

namespace keymeld::cli {

/// Runs what `command` makes on a loop of its own on this thread and returns its exit code. SIGINT, SIGTERM and SIGHUP cancel it: its destructors
/// run, so that what it started is stopped and removed, and the code is 128 + the signal's number. An exception is reported and gives 1.
int run_command(const std::function<boost::asio::awaitable<int>()>& command);

/// To be awaited before an error is reported. When a signal has cancelled the command this ends it (by an exception, as every other co_await
/// then does): what goes wrong after a Ctrl-C is nothing to explain.
boost::asio::awaitable<void> unless_interrupted();

} // namespace keymeld::cli
