#include <iostream>

#include <CLI/CLI.hpp>

#include "appliance/cli/command.h"
#include "appliance/json/writer.h"
#include "core/base/hex.h"
#include "core/config/config.h"
#include "core/plugin/loader.h"

namespace keymeld::cli {
namespace {

struct PluginsListOptions {
    std::filesystem::path directory;
    bool json = false;
};

int list_plugins(const PluginsListOptions& options) {
    const auto directory = std::filesystem::absolute(options.directory).lexically_normal();
    const plugin::Loader loader(directory);
    const auto names = loader.names();
    if (!names)
        return report(names.error());
    bool all_good = true;
    json::Writer w;
    w.begin_object().member("directory", directory.string()).key("plugins").begin_array();
    for (const std::string& name : *names) {
        const auto info = loader.inspect(name);
        all_good = all_good && info.has_value();
        w.begin_object().member("name", name).member("usable", info.has_value());
        if (info) {
            w.member("kind", plugin::text(info->kind)).member("version", info->version);
            w.member("sha256", hex_encode(info->sha256)).member("file", info->file.string());
        } else {
            w.member("error", info.error().detail);
        }
        w.end_object();
        if (options.json)
            continue;
        if (info)
            std::cout << name << "  " << plugin::text(info->kind) << "  " << info->version << "  sha256 "
                      << hex_encode(info->sha256) << "\n";
        else
            std::cout << name << "  NOT USABLE  " << info.error().detail << "\n";
    }
    w.end_array().end_object();
    if (options.json)
        std::cout << w.view() << "\n";
    else if (names->empty())
        std::cout << directory.string() << ": no plugins\n";
    return all_good ? 0 : kFailed;
}

} // namespace

Run prepare_plugins_list(CLI::App& app) {
    auto options = std::make_shared<PluginsListOptions>();
    options->directory = config::default_plugin_directory();
    app.add_option("-d,--directory", options->directory, "Folder of the plugins (default: the one beside this program)")
        ->type_name("DIR");
    app.add_flag("--json", options->json, "As JSON");
    return [options] { return list_plugins(*options); };
}

} // namespace keymeld::cli
