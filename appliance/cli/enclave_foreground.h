// What `enclave simulate` and `enclave boot` share: the enclaves of a configuration as child processes, in the foreground until Ctrl-C.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "appliance/cli/command.h"
#include "appliance/cli/progress.h"
#include "appliance/fleet/child_process.h"
#include "core/config/config.h"

namespace keymeld::cli {

struct ForegroundOptions {
    std::filesystem::path config;
    bool quiet = false;
};

/// Declares --config and --quiet.
void add_foreground_options(CLI::App& app, ForegroundOptions& options);

/// Why an enclave of the configuration is none that the command can run: `Errc::ConfigInvalid`, "<file>:<line>: enclave <id> <why>".
Error unfit(const config::Enclave& enclave, std::string_view why);

/// Child processes that are stopped together when the command ends, however it ends.
class ForegroundProcesses {
  public:
    using Child = std::shared_ptr<fleet::ChildProcess>;

    ForegroundProcesses() = default;
    ForegroundProcesses(const ForegroundProcesses&) = delete;
    ForegroundProcesses& operator=(const ForegroundProcesses&) = delete;
    ~ForegroundProcesses();

    void add(Child child) { m_children.push_back(std::move(child)); }
    /// Ends when one of them has ended, which is an error: `Errc::Io` with the end of its log.
    boost::asio::awaitable<Error> one_ended() const;

  private:
    std::vector<Child> m_children;
};

/// Runs `work`, which ends with an error only, until then or until a signal; returns the exit code. Ctrl-C is how it is meant to end: 0.
int run_in_foreground(bool quiet, const std::function<boost::asio::awaitable<Error>(Progress&)>& work);

} // namespace keymeld::cli
