// The heartbeat that `nitro-cli run-enclave` waits for: one byte to the parent, and the same back.
#pragma once

#include <span>

namespace keymeld::init {

struct HeartbeatPeer {
    unsigned cid;
    int timeout_seconds;
    int attempts;
};

/// Where the heartbeat goes; the first peer that answers is enough. Each program links one answer:
/// heartbeat_nitro.cpp (the parent instance) or heartbeat_test.cpp (QEMU's host too).
std::span<const HeartbeatPeer> heartbeat_peers();

/// False: nobody answered, and the console says so.
bool send_heartbeat();

} // namespace keymeld::init
