#include <iostream>

#include <CLI/CLI.hpp>

#include "appliance/cli/command.h"
#include "appliance/json/writer.h"
#include "core/config/config.h"

namespace keymeld::cli {
namespace {

struct ConfigCheckOptions {
    std::filesystem::path config;
    bool json = false;
};

int check_config(const ConfigCheckOptions& options) {
    const auto config = config::load_file(options.config);
    if (options.json) {
        json::Writer w;
        w.begin_object().member("ok", config.has_value()).member("file", options.config.string());
        if (config)
            w.member("enclaves", static_cast<std::uint64_t>(config->enclaves.size())).member("listen", config->server.listen.text());
        else
            w.member("error", config.error().detail);
        std::cout << w.end_object().view() << "\n";
        return config ? 0 : kFailed;
    }
    if (!config)
        return report(config.error());
    std::cout << options.config.string() << ": ok (" << config->enclaves.size() << " enclaves, listens on "
              << config->server.listen.text() << "); `keymeld doctor` checks what it names\n";
    return 0;
}

} // namespace

Run prepare_config_check(CLI::App& app) {
    auto options = std::make_shared<ConfigCheckOptions>();
    add_config_option(app, options->config);
    app.add_option("file", options->config, "The same as --config")->type_name("FILE");
    app.add_flag("--json", options->json, "As JSON");
    return [options] { return check_config(*options); };
}

} // namespace keymeld::cli
