// A configuration that is read keeps the promises of its type; one that is not gives one line that
// names the file.
#include "core/config/config.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;

namespace {

void expect_sound(config::Config& config) {
    FUZZ_EXPECT(!config.enclaves.empty());
    bool enabled = false;
    for (std::size_t i = 0; i < config.enclaves.size(); ++i) {
        const config::Enclave& enclave = config.enclaves[i];
        FUZZ_EXPECT(i == 0 || config.enclaves[i - 1].id < enclave.id);
        FUZZ_EXPECT(!enclave.transport.plugin.empty());
        FUZZ_EXPECT(enclave.attestation.aws == enclave.attestation.root_pem.empty());
        FUZZ_EXPECT(enclave.attestation.pcrs.is_absolute());
        enabled = enabled || enclave.enabled;
    }
    FUZZ_EXPECT(enabled);
    const config::Server& server = config.server;
    FUZZ_EXPECT(server.tls || server.allow_plain_http || server.listen.loopback());
    FUZZ_EXPECT(!server.ops_listen || server.allow_plain_http || server.ops_listen->loopback());
    const config::Limits& limits = config.limits;
    FUZZ_EXPECT(limits.max_body_bytes >= 65536 && limits.max_body_bytes <= 16777216);
    FUZZ_EXPECT(limits.max_participants >= 2 && limits.max_participants <= 1000);
    FUZZ_EXPECT(limits.enclave_wait_max <= limits.request_deadline);
    FUZZ_EXPECT(limits.rate_burst >= limits.rate_per_client && limits.rate_per_client > 0);
    FUZZ_EXPECT(limits.canary_max_age >= limits.canary_interval);
    FUZZ_EXPECT(!limits.completed_keygen_retention ||
                limits.completed_keygen_retention->count() >= 86400);
    const auto path = config.storage.options.required_path("path");
    FUZZ_EXPECT(!path || path->is_absolute());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto config = config::load_text(as_text({data, size}), "fuzz.yaml", "/base",
                                    [](std::string_view name) -> std::optional<std::string> {
                                        if (name == "A")
                                            return "7";
                                        return std::nullopt;
                                    });
    if (config) {
        expect_sound(*config);
        return 0;
    }
    FUZZ_EXPECT(config.error().code == Errc::ConfigInvalid);
    FUZZ_EXPECT(config.error().detail.starts_with("fuzz.yaml:"));
    FUZZ_EXPECT(config.error().detail.find('\n') == std::string::npos);
    return 0;
}
