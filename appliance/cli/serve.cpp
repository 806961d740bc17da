#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>

#include <unistd.h>

#include "appliance/cli/command.h"
#include "appliance/serve.h"

namespace keymeld::cli {
namespace {

struct ServeOptions {
    std::filesystem::path config;
    bool print_port = false;
    std::filesystem::path port_file;
};

/// Whole or not at all: a script that sees the file can read the port.
Status write_port_file(const std::filesystem::path& file, std::uint16_t port) {
    const std::filesystem::path part = file.string() + "." + std::to_string(::getpid());
    std::ofstream out(part);
    out << port << "\n";
    out.close();
    std::error_code error;
    if (out)
        std::filesystem::rename(part, file, error);
    if (!out || error)
        return fail(Errc::Io, "cannot write " + file.string());
    return {};
}

int run_appliance(const ServeOptions& options) {
    const auto config = config::load_file(options.config);
    if (!config)
        return report(config.error());
    appliance::ServeOptions serve;
    serve.version = version();
    serve.on_listening = [&](std::uint16_t port) -> Status {
        std::ostream& told = options.print_port ? std::cerr : std::cout;
        told << "listening on " << appliance::url_of(config->server, port) << std::endl;
        if (options.print_port)
            std::cout << port << std::endl;
        return options.port_file.empty() ? Status() : write_port_file(options.port_file, port);
    };
    const auto served = appliance::serve(*config, serve);
    std::error_code ignored;
    if (!options.port_file.empty())
        std::filesystem::remove(options.port_file, ignored);
    return served ? 0 : report(served.error());
}

} // namespace

Run prepare_serve(CLI::App& app) {
    auto options = std::make_shared<ServeOptions>();
    add_config_option(app, options->config);
    app.add_flag("--print-port", options->print_port, "Print the port, and nothing else, on standard output once it is open");
    app.add_option("--port-file", options->port_file, "Write the port to this file once it is open")->type_name("FILE");
    return [options] { return run_appliance(*options); };
}

} // namespace keymeld::cli
