// Runs a command's coroutine until it ends or somebody presses Ctrl-C.
#pragma once

#include <functional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "core/base/result.h"

namespace keymeld::cli {

/// Exit codes of every command.
inline constexpr int kSucceeded = 0;
inline constexpr int kFailed = 1;
inline constexpr int kBadUsage = 2;

/// Runs `command` on a loop of its own on this thread and returns its exit code. SIGINT, SIGTERM and SIGHUP cancel it: its destructors run, so
/// that what it started is stopped and removed, and the code is 128 + the signal's number. An exception is reported and gives kFailed.
int run_command(const std::function<boost::asio::awaitable<int>()>& command);

/// "keymeld: not_found: no such session" on standard error, with the remedy where one is known.
void report(const Error& error);

} // namespace keymeld::cli
