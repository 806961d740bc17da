// From configuration to the plugins that the engine works with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/config/config.h"
#include "core/engine/engine.h"

namespace keymeld::appliance {

/// Loads every plugin that the configuration names and opens storage, tweak and one transport for each enabled enclave. Errors are one line
/// with file and remedy (core/plugin/loader.h, and what the plugins say of their options). [startup]
Result<engine::Parts> load_parts(const config::Config& config);

/// Each of them alone, for `keymeld doctor` and `keymeld enclave list`.
Result<std::unique_ptr<plugin::Storage>> load_storage(const config::Config& config);
Result<std::shared_ptr<plugin::TweakPlugin>> load_tweak(const config::Config& config);
Result<std::unique_ptr<protocol::Transport>> load_transport(const config::Config& config, const config::Enclave& enclave);

} // namespace keymeld::appliance
