// The enclave's only way to complain before the signer runs: one line on the console. In an enclave
// that is not in debug mode nobody sees it; under QEMU it is on the serial port.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <unistd.h>

namespace keymeld::init {

inline void say(const char* what) {
    ::dprintf(STDERR_FILENO, "keymeld-init: %s\n", what);
}

/// Says what failed and why (errno); false, to be returned.
inline bool failed(const char* what) {
    const int reason = errno;
    ::dprintf(STDERR_FILENO, "keymeld-init: %s: %s\n", what, std::strerror(reason));
    return false;
}

} // namespace keymeld::init
