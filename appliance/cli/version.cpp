#include <iostream>

#include <CLI/CLI.hpp>

#include "appliance/cli/command.h"
#include "appliance/json/writer.h"

namespace keymeld::cli {

Run prepare_version(CLI::App& app) {
    auto json = std::make_shared<bool>(false);
    app.add_flag("--json", *json, "As JSON");
    return [json] {
        if (*json)
            std::cout << json::Writer().begin_object().member("version", version()).member("api_version", "v1").end_object().view()
                      << "\n";
        else
            std::cout << "keymeld " << version() << "\n";
        return 0;
    };
}

} // namespace keymeld::cli
