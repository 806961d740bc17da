#include "appliance/load_parts.h"

#include "core/plugin/loader.h"
#include "core/plugin/storage.h"
#include "core/plugin/transport.h"
#include "core/plugin/tweak.h"

namespace keymeld::appliance {

Result<std::unique_ptr<plugin::Storage>> load_storage(const config::Config& config) {
    const plugin::Loader loader(config.plugin_directory);
    KEYMELD_TRY(const auto storage, loader.storage(config.storage.plugin, config.storage.sha256));
    return storage->open(config.storage.options);
}

Result<std::shared_ptr<plugin::TweakPlugin>> load_tweak(const config::Config& config) {
    const plugin::Loader loader(config.plugin_directory);
    KEYMELD_CHECK(config.tweak.options.finish());
    KEYMELD_TRY(auto tweak, loader.tweak(config.tweak.plugin, config.tweak.sha256));
    return std::shared_ptr<plugin::TweakPlugin>(std::move(tweak));
}

Result<std::unique_ptr<protocol::Transport>> load_transport(const config::Config& config, const config::Enclave& enclave) {
    const plugin::Loader loader(config.plugin_directory);
    KEYMELD_TRY(const auto transport, loader.transport(enclave.transport.plugin, enclave.transport.sha256));
    return transport->create(enclave.transport.options);
}

Result<engine::Parts> load_parts(const config::Config& config) {
    engine::Parts parts;
    KEYMELD_TRY(parts.tweak, load_tweak(config));
    for (const config::Enclave& enclave : config.enclaves) {
        if (!enclave.enabled)
            continue;
        KEYMELD_TRY(parts.transports[enclave.id], load_transport(config, enclave));
    }
    KEYMELD_TRY(parts.storage, load_storage(config));
    return parts;
}

} // namespace keymeld::appliance
