// `keymeld serve`: the appliance from configuration to clean stop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/config/config.h"

namespace keymeld::appliance {

struct ServeOptions {
    std::string version;
    /// Called once when requests are answered, with the port of `server.listen`; an error stops the appliance again.
    std::function<Status(std::uint16_t port)> on_listening;
};

/// Runs until SIGINT or SIGTERM; a second signal ends the process at once. Takes the calling thread as the event loop. The errors are those of
/// the start: ConfigInvalid, Plugin..., Storage..., Io (port taken, memory that cannot be locked). [startup]
Status serve(const config::Config& config, const ServeOptions& options);

/// "http://127.0.0.1:8080", or https.
std::string url_of(const config::Server& server, std::uint16_t port);

} // namespace keymeld::appliance
