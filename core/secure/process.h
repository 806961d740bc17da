// What a process that holds keys does first.
#pragma once

#include <cstddef>

#include "core/base/result.h"

namespace keymeld::secure {

/// No core dumps (RLIMIT_CORE 0, PR_SET_DUMPABLE 0) and `locked_bytes` of locked memory reserved.
/// `Errc::Io` with what to do when the system refuses; the program must then not start. In a debug
/// build memory that cannot be locked is a warning only. [startup]
Status harden_process(std::size_t locked_bytes = 64 * 1024);

/// Keeps OpenSSL from reading its configuration file, and so from loading what that names. To be
/// called before anything else of OpenSSL, by programs that must depend on no file. [startup]
void ignore_openssl_configuration();

} // namespace keymeld::secure
