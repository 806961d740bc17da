// Transport plugin: makes a protocol::Transport from the `transport:` mapping of an enclave entry.
#pragma once

#include <memory>

#include "core/base/result.h"
#include "core/plugin/options.h"
#include "core/protocol/transport.h"

namespace keymeld::plugin {

using protocol::Transport;

class TransportPlugin {
  public:
    virtual ~TransportPlugin() = default;
    /// `Errc::ConfigInvalid` for a missing, malformed or unknown option. [startup]
    virtual Result<std::unique_ptr<Transport>> create(Options options) = 0;
};

} // namespace keymeld::plugin
