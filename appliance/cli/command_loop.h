// Runs a command's coroutine until it ends or somebody presses Ctrl-C.
#pragma once

#include <functional>

#include <boost/asio/awaitable.hpp>

namespace keymeld::cli {

/// Runs what `command` makes on a loop of its own on this thread and returns its exit code. SIGINT, SIGTERM and SIGHUP cancel it: its destructors
/// run, so that what it started is stopped and removed, and the code is 128 + the signal's number. An exception is reported and gives 1.
int run_command(const std::function<boost::asio::awaitable<int>()>& command);

/// Whether the running command is being cancelled by a signal: its errors are then nothing to report.
boost::asio::awaitable<bool> interrupted();

} // namespace keymeld::cli
