#include <array>
#include <cstdlib>
#include <iostream>

#include <CLI/CLI.hpp>

#include "appliance/cli/command.h"

// One line a command: its function is prepare_<id>.
#define KEYMELD_COMMANDS(COMMAND)                                                                   \
    COMMAND(serve, "serve", "Run the appliance")                                                    \
    COMMAND(demo, "demo", "Run keygen and signing once, over simulated enclaves")                    \
    COMMAND(bench_sign, "bench sign", "Measure signing: rate, latency, CPU time")                   \
    COMMAND(bench_single, "bench single", "Measure single keys: rate, latency, CPU time")           \
    COMMAND(bench_keygen, "bench keygen", "Measure making keys: rate, latency, CPU time, memory")   \
    COMMAND(bench_scale, "bench scale", "Measure growth with signers and with a large database")    \
    COMMAND(bench_overload, "bench overload", "Offer more than the appliance can do")               \
    COMMAND(bench_idle, "bench idle", "Measure what waiting sessions cost")                         \
    COMMAND(keygen_new_key, "keygen new-key", "Make a participant's key file")                      \
    COMMAND(keygen_create, "keygen create", "Create a key as its coordinator")                      \
    COMMAND(keygen_join, "keygen join", "Take part in a key that you are invited to")               \
    COMMAND(keygen_status, "keygen status", "Show how far a key is, and verify it")                 \
    COMMAND(sign_create, "sign create", "Ask for a signature")                                      \
    COMMAND(sign_approve, "sign approve", "Approve a signing session")                              \
    COMMAND(sign_reject, "sign reject", "Reject a signing session")                                 \
    COMMAND(sign_status, "sign status", "Show a signing session; decrypt and verify its signature") \
    COMMAND(key_generate, "key generate", "Have an enclave make a single key")                      \
    COMMAND(key_import, "key import", "Hand a private key to an enclave as a single key")           \
    COMMAND(key_list, "key list", "List your single keys")                                          \
    COMMAND(key_status, "key status", "Show a single key")                                          \
    COMMAND(key_sign, "key sign", "Sign 32 bytes with a single key")                                \
    COMMAND(key_delete, "key delete", "Destroy a single key")                                       \
    COMMAND(attest_verify, "attest verify", "Check attestation documents, and show each check")     \
    COMMAND(credentials_init, "credentials init", "Make a credential store for the PKCS#11 module")  \
    COMMAND(credentials_add, "credentials add", "Put a key's credentials into a store")             \
    COMMAND(credentials_list, "credentials list", "Show what is in a store")                        \
    COMMAND(credentials_certificate, "credentials certificate", "Put a certificate beside a key")   \
    COMMAND(credentials_remove, "credentials remove", "Take a key's credentials out of a store")    \
    COMMAND(credentials_passwd, "credentials passwd", "Change a store's PIN")                       \
    COMMAND(enclave_simulate, "enclave simulate", "Run the simulated enclaves of a configuration")  \
    COMMAND(enclave_boot, "enclave boot", "Boot the test image under QEMU for each enclave")         \
    COMMAND(doctor, "doctor", "Check everything that `serve` needs and say what to do about it")    \
    COMMAND(config_check, "config check", "Say whether a configuration file is right")              \
    COMMAND(plugins_list, "plugins list", "List the plugins and their checksums")                   \
    COMMAND(enclave_list, "enclave list", "Ask every enclave who it is and verify it")              \
    COMMAND(version, "version", "Print the version")

namespace keymeld::cli {

#define KEYMELD_DECLARE(id, name, summary) Run prepare_##id(CLI::App& app);
KEYMELD_COMMANDS(KEYMELD_DECLARE)
#undef KEYMELD_DECLARE

std::span<const Command> commands() {
#define KEYMELD_ROW(id, name, summary) Command{name, summary, &prepare_##id},
    static constexpr std::array table{KEYMELD_COMMANDS(KEYMELD_ROW)};
#undef KEYMELD_ROW
    return table;
}

int report(const Error& error) {
    std::cerr << "keymeld: " << error.detail << "\n";
    return kFailed;
}

void add_config_option(CLI::App& app, std::filesystem::path& config) {
    const char* from_environment = std::getenv("KEYMELD_CONFIG");
    config = from_environment != nullptr && *from_environment != '\0' ? from_environment : "/etc/keymeld/keymeld.yaml";
    app.add_option("-c,--config", config, "Configuration file (default: $KEYMELD_CONFIG, else /etc/keymeld/keymeld.yaml)")
        ->type_name("FILE");
}

std::string_view version() { return KEYMELD_VERSION; }

} // namespace keymeld::cli
