// vsock to an enclave: native AF_VSOCK (Nitro parent instance), or the "hybrid" unix socket with which Firecracker,
// cloud-hypervisor and vhost-device-vsock stand in for it on the host.
//
// Hybrid handshake: connect to the unix socket, send "CONNECT <port>\n"; the answer is the line "OK <number>", where the number
// is the host's side of the connection and may be any. A connection closed before that means that nobody listens in the guest (yet).
#pragma once

#include "core/plugin/transport.h"

namespace keymeld::transport_vsock {

/// Options: `port` (0..4294967294, required) and exactly one of `cid` (1..4294967294) and `path` (unix socket, at most 107 bytes;
/// relative to the configuration file).
class VsockTransportPlugin final : public plugin::TransportPlugin {
  public:
    Result<std::unique_ptr<plugin::Transport>> create(plugin::Options options) override;
};

} // namespace keymeld::transport_vsock
