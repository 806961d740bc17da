// The commands of the `keymeld` program.
//
// A command is one line in the table of commands.cpp and one function `Run prepare_<id>(CLI::App& app)`, best in cli/<id>.cpp: it declares the
// command's options on `app`, bound to variables that the returned function owns, and the returned function does the work and gives the exit
// code: 0 only on success. Names of two words make a group ("config check"). CLI11's header is precompiled for this folder.
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace CLI {
class App;
}

namespace keymeld::cli {

using Run = std::function<int()>;

struct Command {
    std::string_view name;
    std::string_view summary;
    Run (*prepare)(CLI::App& app);
};

/// The table, in the order of the help text.
std::span<const Command> commands();

inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

/// "keymeld: <detail>" on standard error; returns kFailed.
int report(const Error& error);

/// Declares --config, with the default of $KEYMELD_CONFIG or /etc/keymeld/keymeld.yaml.
void add_config_option(CLI::App& app, std::filesystem::path& config);

/// "0.1.0"
std::string_view version();

} // namespace keymeld::cli
