#pragma once

#include <sys/types.h>

namespace keymeld::init {

/// Where the second ramdisk has the signer, and the account that it runs under.
inline constexpr const char* kSigner = "/app/keymeld-enclave";
inline constexpr unsigned kSignerAccount = 1000;

/// Starts the signer on vsock port 5000: its own user and group, no capability and no way to get
/// one, no core dumps, as much locked memory as it wants. Its id, or -1 and a line on the console.
pid_t start_signer();

} // namespace keymeld::init
