// TCP to a signer process on the same machine: for development, tests and the demo, where no enclave is at hand.
#pragma once

#include "core/plugin/transport.h"

namespace keymeld::transport_tcp_sim {

/// Options: `host` (address literal or "localhost"; default 127.0.0.1), `port` (1..65535, required), `allow_remote` (default false).
/// A host that is not a loopback address, and any host name, needs `allow_remote: true`: the simulator's PKI protects
/// no secret that matters, so it should not be reached over a network by accident. A name is resolved once, when the plugin
/// makes the transport (which may block); its addresses are tried in order.
class TcpSimTransportPlugin final : public plugin::TransportPlugin {
  public:
    Result<std::unique_ptr<plugin::Transport>> create(plugin::Options options) override;
};

} // namespace keymeld::transport_tcp_sim
