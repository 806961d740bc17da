#include <iostream>

#include <CLI/CLI.hpp>

#include "appliance/cli/command.h"
#include "appliance/enclave_probe.h"
#include "appliance/json/writer.h"
#include "core/base/hex.h"

namespace keymeld::cli {
namespace {

struct EnclaveListOptions {
    std::filesystem::path config;
    unsigned seconds = 5;
    bool json = false;
};

void write_json(json::Writer& w, const appliance::EnclaveProbe& probe) {
    w.begin_object().member("enclave_id", probe.enclave_id).member("enabled", probe.enabled);
    w.member("transport", probe.transport).member("attested", probe.attested);
    if (probe.attested) {
        w.member("hardware", probe.hardware).member("image", probe.image);
        w.member("public_key", hex_encode(probe.public_key)).member("key_epoch", probe.key_epoch);
        w.member("sealing", probe.sealing).member("incarnation", probe.incarnation);
        w.member("signer_version", probe.signer_version).member("uptime_seconds", probe.uptime_seconds);
        w.member("known_keygens", probe.known_keygens).key("pcrs").begin_object();
        for (const auto& [name, value] : probe.pcrs)
            w.member(name, value);
        w.end_object();
    }
    if (const Error* error = probe.error())
        w.member("error", error->detail).member("error_type", errc_name(error->code));
    w.end_object();
}

void print(const appliance::EnclaveProbe& probe) {
    std::cout << "enclave " << probe.enclave_id << "  " << probe.transport << "  ";
    if (!probe.enabled)
        std::cout << "disabled\n";
    else if (const Error* error = probe.error())
        std::cout << "FAILED  " << error->detail << "\n";
    else
        std::cout << "attested as \"" << probe.image << "\"" << (probe.hardware ? "" : " (simulator)") << "  key epoch "
                  << probe.key_epoch << "  sealing " << probe.sealing << "  key " << hex_encode(probe.public_key) << "  up " << probe.uptime_seconds << " s\n";
}

int list_enclaves(const EnclaveListOptions& options) {
    const auto config = config::load_file(options.config);
    if (!config)
        return report(config.error());
    const auto probes = appliance::probe_enclaves(*config, std::chrono::seconds(options.seconds));
    bool all_good = true;
    json::Writer w;
    w.begin_object().key("enclaves").begin_array();
    for (const auto& probe : probes) {
        all_good = all_good && (!probe.enabled || probe.error() == nullptr);
        write_json(w, probe);
        if (!options.json)
            print(probe);
    }
    w.end_array().end_object();
    if (options.json)
        std::cout << w.view() << "\n";
    return all_good ? 0 : kFailed;
}

} // namespace

Run prepare_enclave_list(CLI::App& app) {
    auto options = std::make_shared<EnclaveListOptions>();
    add_config_option(app, options->config);
    app.add_option("--timeout", options->seconds, "Seconds to wait for each enclave (default 5)")->check(CLI::Range(1u, 60u));
    app.add_flag("--json", options->json, "As JSON");
    return [options] { return list_enclaves(*options); };
}

} // namespace keymeld::cli
