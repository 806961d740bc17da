#include <iostream>

#include <CLI/CLI.hpp>

#include "appliance/cli/command.h"
#include "appliance/doctor.h"
#include "appliance/json/writer.h"

namespace keymeld::cli {
namespace {

struct DoctorOptions {
    std::filesystem::path config;
    unsigned seconds = 5;
    bool json = false;
};

std::string_view text(appliance::Finding finding) {
    switch (finding) {
    case appliance::Finding::Ok: return "ok";
    case appliance::Finding::Warning: return "warn";
    case appliance::Finding::Failed: return "fail";
    }
    return "fail";
}

int examine(const DoctorOptions& options) {
    const auto config = config::load_file(options.config);
    std::vector<appliance::CheckLine> lines;
    if (config)
        lines = appliance::examine(*config, std::chrono::seconds(options.seconds));
    else
        lines.push_back({appliance::Finding::Failed, "configuration", config.error().detail,
                         "mend the file, or name another one with --config; config/sim.yaml is a good start"});
    bool all_good = true;
    json::Writer w;
    w.begin_object().key("checks").begin_array();
    for (const auto& line : lines) {
        all_good = all_good && line.finding != appliance::Finding::Failed;
        w.begin_object().member("result", text(line.finding)).member("name", line.name).member("detail", line.detail);
        w.member("remedy", line.remedy).end_object();
        if (options.json)
            continue;
        const std::string tag(text(line.finding));
        std::cout << tag << std::string(6 - tag.size(), ' ') << line.name << ": " << line.detail << "\n";
        if (!line.remedy.empty())
            std::cout << "      -> " << line.remedy << "\n";
    }
    w.end_array().member("ok", all_good).end_object();
    if (options.json)
        std::cout << w.view() << "\n";
    return all_good ? 0 : kFailed;
}

} // namespace

Run prepare_doctor(CLI::App& app) {
    auto options = std::make_shared<DoctorOptions>();
    add_config_option(app, options->config);
    app.add_option("--timeout", options->seconds, "Seconds to wait for the enclaves (default 5)")->check(CLI::Range(1u, 60u));
    app.add_flag("--json", options->json, "As JSON");
    return [options] { return examine(*options); };
}

} // namespace keymeld::cli
