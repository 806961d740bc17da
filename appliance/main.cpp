// The `keymeld` program: finds the command in the table and runs it.
#include <exception>
#include <iostream>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>

#include "appliance/cli/command.h"

namespace {

using keymeld::cli::Run;

/// The sub-application for "config check": its group is made at first use.
CLI::App& place(CLI::App& app, std::map<std::string, CLI::App*>& groups, std::string_view name, std::string_view summary) {
    const std::size_t space = name.find(' ');
    if (space == std::string_view::npos)
        return *app.add_subcommand(std::string(name), std::string(summary));
    const std::string group(name.substr(0, space));
    CLI::App*& parent = groups[group];
    if (parent == nullptr) {
        parent = app.add_subcommand(group, "Commands about: " + group);
        parent->require_subcommand(1);
    }
    return *parent->add_subcommand(std::string(name.substr(space + 1)), std::string(summary));
}

int run(int argc, char** argv) {
    CLI::App app("KeyMeld: an HSM-style MuSig2 signing appliance", "keymeld");
    app.require_subcommand(1);
    app.set_version_flag("--version", "keymeld " + std::string(keymeld::cli::version()));
    std::map<std::string, CLI::App*> groups;
    std::vector<std::pair<CLI::App*, Run>> runs;
    for (const auto& command : keymeld::cli::commands()) {
        CLI::App& sub = place(app, groups, command.name, command.summary);
        runs.emplace_back(&sub, command.prepare(sub));
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : keymeld::cli::kUsage;
    }
    for (const auto& [sub, command] : runs)
        if (sub->parsed())
            return command();
    return keymeld::cli::kUsage;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "keymeld: " << error.what() << "\n";
        return keymeld::cli::kFailed;
    }
}
