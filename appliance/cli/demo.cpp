#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>

#include "appliance/cli/command.h"
#include "appliance/cli/command_loop.h"
#include "appliance/cli/tweak_option.h"
#include "appliance/demo/demo.h"

namespace keymeld::cli {
namespace {

struct DemoCommandOptions {
    demo::DemoOptions demo;
    std::string tweak = "unspendable_taproot";
    fleet::MachineOptions machines;
};

boost::asio::awaitable<int> show_demo(demo::DemoOptions options) {
    const auto last_line = co_await demo::run_demo(std::move(options));
    if (!last_line) {
        co_await unless_interrupted();
        co_return report(last_line.error());
    }
    std::fflush(stderr);
    std::cout << *last_line << std::endl;
    co_return std::cout ? 0 : kFailed;
}

} // namespace

Run prepare_demo(CLI::App& app) {
    auto options = std::make_shared<DemoCommandOptions>();
    app.add_option("--participants", options->demo.participants, "Signers, the coordinator among them")
        ->check(CLI::Range(2, 1000))
        ->capture_default_str()
        ->type_name("N");
    app.add_option("--enclaves", options->demo.enclaves, "Simulated enclaves")
        ->check(CLI::Range(1, 64))
        ->capture_default_str()
        ->type_name("N");
    add_tweak_option(app, options->tweak);
    app.add_flag("--bitcoin", options->demo.bitcoin,
                 "Sign the spend of a taproot output with a real node on regtest, broadcast it and mine it");
    app.add_option("--bitcoind", options->demo.bitcoind, "The node's program (default: bitcoind in PATH; scripts/get-bitcoind fetches one)")
        ->type_name("FILE");
    CLI::Option* const image = app.add_option("--image", options->machines.image,
                                              "Boot this enclave image under QEMU in place of simulating enclaves (the folder that "
                                              "scripts/build-image --test makes)")
                                   ->type_name("DIR");
    app.add_option("--qemu", options->machines.qemu, "QEMU and its vsock device (the folder that scripts/get-qemu makes)")
        ->needs(image)
        ->type_name("DIR");
    app.add_flag("--json", options->demo.json, "Print one JSON object instead of the line that begins with DEMO OK");
    app.add_flag("-q,--quiet", options->demo.quiet, "Show no progress on standard error");
    app.footer("Starts simulated enclaves and an appliance with a database of its own in a temporary folder, creates a key that all\n"
               "participants must sign with, signs, and verifies the signature with code that shares nothing with the signer.\n"
               "Two of the participants require approval. Everything is stopped and removed at the end, also on Ctrl-C.\n\n"
               "Examples:\n"
               "  keymeld demo\n"
               "  keymeld demo --participants 10 --enclaves 5 --tweak none\n"
               "  keymeld demo --bitcoin --bitcoind .cache/bitcoind/bitcoind\n"
               "  keymeld demo --image build/image/nitro-test --qemu .cache/qemu");
    return [options] {
        auto tweak = parse_tweak(options->tweak, MissingValue::Random);
        if (!tweak)
            return report(tweak.error());
        options->demo.tweak = *tweak;
        if (!options->machines.image.empty())
            options->demo.machines = options->machines;
        return run_command([options] { return show_demo(options->demo); });
    };
}

} // namespace keymeld::cli
