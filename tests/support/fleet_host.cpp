// Runs a fleet for tests written in other languages. Prints one JSON line when it is ready, then obeys one command a line
// ("kill-appliance", "start-appliance", "kill-enclave N", "start-enclave N": answered "ok" or a reason); ends when its input ends.
#include <iostream>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "appliance/fleet/sim_fleet.h"
#include "appliance/json/writer.h"

namespace {

using keymeld::Result;
using keymeld::Status;
using keymeld::fleet::SimFleet;

template <class T> Result<T> run(boost::asio::awaitable<Result<T>> work) {
    boost::asio::io_context loop;
    std::optional<Result<T>> outcome;
    boost::asio::co_spawn(loop, std::move(work), [&](std::exception_ptr failure, Result<T> result) {
        if (failure)
            std::rethrow_exception(failure);
        outcome.emplace(std::move(result));
    });
    loop.run();
    return std::move(*outcome);
}

Status obey(SimFleet& fleet, const std::string& line) {
    const auto number = [&line] { return static_cast<std::uint32_t>(std::stoul(line.substr(line.find(' ') + 1))); };
    if (line == "kill-appliance") {
        fleet.kill_appliance();
        return {};
    }
    if (line == "start-appliance")
        return run<void>(fleet.start_appliance());
    if (line.starts_with("kill-enclave ")) {
        fleet.kill_enclave(number());
        return {};
    }
    if (line.starts_with("start-enclave "))
        return run<void>(fleet.start_enclave(number()));
    return keymeld::fail(keymeld::Errc::InvalidArgument, "unknown command");
}

} // namespace

int main(int argc, char** argv) {
    SimFleet::Options options;
    // The programs are one folder up: bin/ beside bin/tests/.
    options.programs = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
    options.limits = SimFleet::lifted_limits();
    options.log_level = "warn";
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument.starts_with("--enclaves=")) {
            options.enclaves = static_cast<std::uint32_t>(std::stoul(argument.substr(11)));
        } else if (argument.starts_with("--limit=")) {
            const auto equals = argument.find('=', 8);
            options.limits[argument.substr(8, equals - 8)] = argument.substr(equals + 1);
        } else {
            std::cerr << "fleet_host: unknown option " << argument << "\n";
            return 2;
        }
    }
    auto fleet = run<std::unique_ptr<SimFleet>>(SimFleet::start(std::move(options)));
    if (!fleet) {
        std::cerr << "fleet_host: " << fleet.error().detail << "\n";
        return 1;
    }
    keymeld::json::Writer ready;
    ready.begin_object()
        .member("url", (*fleet)->endpoint().text())
        .member("trust", (*fleet)->trust_root().string())
        .member("pcrs", (*fleet)->pcrs().string())
        .member("config", (*fleet)->config_file().string())
        .member("database", (*fleet)->database().string())
        .end_object();
    std::cout << ready.view() << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
        const Status done = obey(**fleet, line);
        std::cout << (done ? "ok" : done.error().detail) << std::endl;
    }
    const std::string casualties = (*fleet)->casualties();
    if (!casualties.empty())
        std::cerr << casualties << "\n";
    const Status ended = (*fleet)->shut_down();
    if (!ended)
        std::cerr << "fleet_host: " << ended.error().detail << "\n";
    return casualties.empty() && ended ? 0 : 1;
}
